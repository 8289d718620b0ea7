"""The spec of a shared cluster: `[[jobs]]`, each a workload with its GPUs and where on the fabric they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from netsim.specs.base import Strict


class JobSpec(Strict):
    """One job. `placement`: the next free hosts (`contiguous`), or every other with the jobs that say the same
    (`interleaved`); `hosts` names them instead, as in "0-15,32". `set` overrides keys of the workload.
    """

    name: Annotated[str, Field(min_length=1, max_length=40)]
    gpus: Annotated[int, Field(ge=1)]
    workload: str = "deepseek-v3"
    profile: str | None = None
    placement: Literal["contiguous", "interleaved"] = "contiguous"
    hosts: str | None = None
    set: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> JobSpec:
        if self.hosts is not None and "placement" in self.model_fields_set:
            raise ValueError("placement has no effect beside hosts")
        return self


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class JobsSpec(Strict):
    """The jobs of a cluster, in the order in which they take hosts."""

    jobs: Annotated[tuple[JobSpec, ...], BeforeValidator(_as_tuple), Field(min_length=1)]

    @model_validator(mode="after")
    def _names(self) -> JobsSpec:
        names = [job.name for job in self.jobs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"jobs: two are named {name!r}")
        return self
