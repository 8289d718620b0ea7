"""What is compared: fabrics, jobs and sizes, all else equal. Plain values, so that it travels to other processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from netsim.errors import NetsimError
from netsim.specs.case import Case
from netsim.specs.idle import refuse_idle
from netsim.specs.question import Question

SIZES = "64KiB:16GiB:4"


class Point(NamedTuple):
    """One fabric under one job at one size."""

    topology: str
    workload: str
    gpus: int


@dataclass(frozen=True)
class CompareRequest:
    """What is compared: the first topology is the one that the others are held against.

    question : all else, whose own fabric, job and size do not count; sizes : message sizes of the idle-fabric curves;
    bind : simulate again with 10 % more of each resource
    """

    topologies: tuple[str, ...]
    workloads: tuple[str, ...] = ("deepseek-v3",)
    gpus: tuple[int, ...] = (2048,)
    question: Question = field(default_factory=Question)
    sizes: str = SIZES
    bind: bool = True

    def points(self) -> list[Point]:
        """Every combination, in the order of the question.

        Raises NetsimError when one is asked for twice, or none.
        """
        for option, given in (
            ("--topologies", self.topologies), ("--workloads", self.workloads), ("--gpus", self.gpus),
        ):  # fmt: skip
            if not given:
                raise NetsimError(f"{option}: must name one at least")
            twice = [each for n, each in enumerate(given) if each in given[:n]]
            if twice:
                raise NetsimError(f"{option} {twice[0]}: given twice")
        found = [Point(t, w, g) for w in self.workloads for g in self.gpus for t in self.topologies]
        self._check_names(found)
        return found

    def _check_names(self, points: list[Point]) -> None:
        """Rows go by the names inside the files, so two files must not have the same."""
        for option, part in (("--topologies", "topology"), ("--workloads", "workload")):
            seen: dict[str, str] = {}
            for asked, case in {getattr(point, part): self.case(point) for point in points}.items():
                name = getattr(case, part).name
                if name in seen:
                    raise NetsimError(f"{option}: {seen[name]} and {asked} have the same name = {name!r}")
                seen[name] = asked

    def case(self, point: Point) -> Case:
        """The specs of a point.

        Raises NetsimError for a name, key or value that is wrong.
        """
        asked = self.question.changed(topology=point.topology, workload=point.workload, gpus=point.gpus)
        refuse_idle(asked.overrides, asked.scaling)
        return asked.case()
