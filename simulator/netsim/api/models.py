"""Models and jobs, counted and not run: `netsim workload` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from netsim.api.arguments import Name, count, plain
from netsim.errors import NetsimError


@dataclass(frozen=True, eq=False)
class Models:
    """Models and their jobs side by side: `record` as `netsim workload --json` prints it."""

    record: dict[str, Any]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a quantity (dotted key of the record), a column a model."""
        from netsim.analysis.models import flat

        return pd.DataFrame({record["name"]: dict(flat(record)) for record in self.record["models"]})


def workload(
    *names: Name,
    sequence_length: int = 4096,
    context: int = 4096,
    batch: int = 128,
    gpus: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Models:
    """Parameters, FLOPs, KV cache, memory and traffic of jobs (or of a config.json), as `netsim workload` counts them.

    sequence_length : tokens, for FLOPs and the intensity of sequences; context, batch : of a decode step; gpus : None
    for those that the job's batch implies

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.analysis.models import ModelRequest, compare

    if not names:
        raise NetsimError("workload: name one job or model at least")
    sizes = {"sequence_length": sequence_length, "context": context, "batch": batch}
    ask = ModelRequest(
        **{key: count(key, value) for key, value in sizes.items()},
        gpus=None if gpus is None else count("gpus", gpus),
    )
    return Models(compare([str(name) for name in names], ask, plain(overrides)))
