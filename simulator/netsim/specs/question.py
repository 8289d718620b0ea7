"""The one question: which fabric, job and cluster size, under which conditions. Every verb answers one.

Plain values, so that a question travels to another process and into a file. The CLI parses options into it, Python
callers build it (`netsim.Question(topology="ft3", gpus=4096)`), and a study varies its fields. It knows nothing of
how it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from netsim.specs.case import Case, make_case, read_run
from netsim.specs.idle import refuse, refuse_idle

Scaling = Literal["weak", "strong"]
#: fields that name what a spec.toml holds whole
_NAMES = ("topology", "workload", "hardware", "profile", "prices")


@dataclass(frozen=True)
class Question:
    """What is asked; names are presets or paths, None leaves the choice to the job, the fabric or the price book.

    gpus : in the cluster; scaling : weak keeps micro-batches per pipeline, strong the batch; placement : a policy or a
    CSV; gpu_hour_usd : rent, $ per GPU and hour; overrides : spec keys and values, as `--set`; faults : lines as of
    `--fault`; fault_rate, reliability : draw more of them, at this many times the rates of a table; folded : share the
    execution of ranks that cannot be told apart

    >>> Question(gpus=64).changed(routing="ecmp").gpus
    64
    """

    topology: str = "mpft"
    gpus: int = 2048
    workload: str = "deepseek-v3"
    hardware: str | None = None
    profile: str | None = None
    prices: str = "published"
    routing: str | None = None
    schedule: str | None = None
    scaling: Scaling = "weak"
    placement: str | None = None
    gpu_hour_usd: float | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    fault_rate: float | None = None
    reliability: str | None = None
    seed: int = 0
    folded: bool = True

    def as_values(self) -> dict[str, Any]:
        """Plain values, for JSON and for another process."""
        return asdict(self)

    def changed(self, **fields: Any) -> Question:
        """The same question with other values."""
        return replace(self, **fields)

    def case(self) -> Case:
        """The checked specs.

        Raises NetsimError (SpecError) for an unknown name, key or value, and for one that is given twice.
        """
        return make_case(
            self.topology, self.workload, hardware=self.hardware, profile=self.profile, prices=self.prices,
            routing=self.routing, schedule=self.schedule, placement=self.placement, gpu_hour_usd=self.gpu_hour_usd,
            overrides=self.overrides,
        )  # fmt: skip

    def checked_case(self, *read: str) -> Case:
        """The specs, where every override says something about this job; `read` : prefixes that the verb reads.

        Raises NetsimError for a key without effect too.
        """
        refuse_idle(self.overrides, self.scaling, list(read))
        case = self.case()
        refuse(case.idle)
        return case

    def repeated_from(self, spec: Path, given: set[str]) -> Question:
        """The question of the run whose spec.toml this is, but for the fields in `given` and the overrides.

        Raises NetsimError for a file that is not whole, and for a name that the file holds already.
        """
        was = read_run(spec, given & set(_NAMES))
        kept: dict[str, Any] = {
            key: getattr(was, key) for key in ("gpus", "scaling", "seed") if key not in given
        }
        return replace(self, **(kept | {name: str(spec) for name in _NAMES}))
