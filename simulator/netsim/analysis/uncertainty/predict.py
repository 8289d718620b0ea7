"""From published steps to how far an answer may be off: groups of jobs that are alike, and conformal prediction.

Error of row i of group g (framework, generation of GPU, kind of model), on cluster c:

    e = location(g) + structure(g) x z + constants x z'

The location of a group is shrunk towards that of all groups, by how far groups lie apart and how well its own mean is
known; its variance is shrunk towards the typical one (the geometric mean over groups), which counts as `PRIOR` rows.
Rows of one job on one cluster count as one. `constants` is what the constants of the compute and network models explain
by themselves (`analysis.uncertainty.factors`); structure is what is left. The interval is

    location +- q x sqrt(structure^2 + constants^2)

with q the quantile of scores |e - location| / sqrt(...) in which each row was predicted *without its whole cluster*: of
rows from clusters that netsim has not seen, the stated share falls inside, whatever the shape of the errors.

Left out: that errors of a group may grow with the number of GPUs.

Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005 (conformal prediction); Lei et al.,
JASA 113 (2018), section 5.2 (scores over a local scale); Gelman et al., Bayesian Data Analysis, ch. 5 (shrinkage).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netsim.analysis.uncertainty.evidence import Kind, StepError

#: independent rows that the typical variance of a group counts as
PRIOR = 2.0
LEVEL = 0.8
#: no group is known better than this: the smallest spread of the measurements themselves
_LEAST = 0.005
#: groups of so many independent rows say how far rows of a group lie apart
_THICK = 3
#: spread where there is no row at all
_NOTHING = 0.3
#: scales that an interval takes where no row says how many
_UNKNOWN = 3.0
Group = tuple[str, str, str]


def group_of(kind: Kind) -> Group:
    """The group whose errors speak for a kind of job."""
    return kind.framework, kind.generation, kind.model


@dataclass(frozen=True)
class Prediction:
    """How far an answer of a group may be off: location and structural spread of ln(true / simulated)."""

    location: float
    structure: float
    rows: int
    clusters: int

    def scale(self, constants: float) -> float:
        """The spread together with that of constants."""
        return math.hypot(self.structure, constants)


@dataclass(frozen=True)
class Errors:
    """Published steps that set no constant; what they say of a group, all clusters in or one left out."""

    rows: tuple[StepError, ...]

    @classmethod
    def of(cls, rows: Iterable[StepError]) -> Errors:
        return cls(tuple(row for row in rows if not row.sets_constant))

    def predict(self, kind: Kind, without: str | None = None) -> Prediction:
        """What the rows say of a kind of job; `without` : a cluster that is left out."""
        groups = self._without(without)
        own = groups.get(group_of(kind))
        every = _Whole.of(groups.values())
        return every.prediction(own)

    def stranger(self, kind: Kind) -> Prediction:
        """What the rows say of a job that is like none of them."""
        groups = self._without(None)
        return _Whole.of(group for name, group in groups.items() if name != group_of(kind)).prediction(None)

    def quantile(self, level: float = LEVEL, without: str | None = None) -> float:
        """q: the share `level` of rows has a score below it; `without` : a cluster whose scores are left out."""
        scores = sorted(score for row, score in self._scores if row.cluster != without)
        if not scores:
            return _UNKNOWN
        at = math.ceil(level * (len(scores) + 1)) - 1
        return scores[min(at, len(scores) - 1)]

    @cached_property
    def _scores(self) -> list[tuple[StepError, float]]:
        """How far each row is off, in the spread predicted for it without its cluster."""
        return [(row, self.score(row, row.cluster)) for row in self.rows]

    def score(self, row: StepError, without: str | None = None) -> float:
        """How far a row is off, in the spread predicted for it; `without` : a cluster that is left out."""
        found = self.predict(row.kind, without)
        return abs(row.error - found.location) / found.scale(row.constants)

    def _without(self, cluster: str | None) -> dict[Group, _Cells]:
        if cluster not in self._known:
            rows: dict[Group, list[StepError]] = defaultdict(list)
            for row in self.rows:
                if row.cluster != cluster:
                    rows[group_of(row.kind)].append(row)
            self._known[cluster] = {group: _Cells.of(mine) for group, mine in rows.items()}
        return self._known[cluster]

    @cached_property
    def _known(self) -> dict[str | None, dict[Group, _Cells]]:
        return {}


@dataclass(frozen=True)
class _Cells:
    """A group: independent rows (one a job and cluster), their mean, sum of squares about it, and what is explained."""

    rows: int
    clusters: int
    count: int
    mean: float
    squares: float
    explained: float

    @classmethod
    def of(cls, rows: Sequence[StepError]) -> _Cells:
        cells: dict[tuple[str, str], list[StepError]] = defaultdict(list)
        for row in rows:
            cells[row.cluster, row.job].append(row)
        mean = float(np.mean([np.mean([row.error for row in cell]) for cell in cells.values()]))
        squares = sum(float(np.mean([(row.error - mean) ** 2 for row in cell])) for cell in cells.values())
        explained = float(np.mean([row.constants**2 + row.noise**2 for row in rows]))
        clusters = len({row.cluster for row in rows})
        return cls(len(rows), clusters, len(cells), mean, squares, explained)


@dataclass(frozen=True)
class _Whole:
    """All groups: the mean of their means, the variance between them, and the typical variance inside one."""

    mean: float
    between: float
    inside: float

    @classmethod
    def of(cls, groups: Iterable[_Cells]) -> _Whole:
        known = list(groups)
        if not known:
            return cls(0.0, _NOTHING**2, _NOTHING**2)
        means = np.array([group.mean for group in known])
        thick = [group.squares / (group.count - 1) for group in known if group.count >= _THICK]
        inside = float(np.exp(np.mean(np.log(np.maximum(thick, _LEAST**2))))) if thick else _NOTHING**2
        between = float(np.var(means, ddof=1)) if len(known) > 1 else inside
        return cls(float(np.mean(means)), max(between, _LEAST**2), inside)

    def prediction(self, own: _Cells | None) -> Prediction:
        """Shrunk location and spread of a group, or of one that nobody published a row of."""
        if own is None:
            return Prediction(self.mean, math.sqrt(self.between + self.inside), 0, 0)
        inside = (PRIOR * self.inside + own.squares) / (PRIOR + max(own.count - 1, 0))
        known, assumed = own.count / inside, 1.0 / self.between
        location = (known * own.mean + assumed * self.mean) / (known + assumed)
        left = max(inside - own.explained, _LEAST**2)
        return Prediction(location, math.sqrt(left + 1.0 / (known + assumed)), own.rows, own.clusters)
