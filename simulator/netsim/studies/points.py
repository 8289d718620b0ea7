"""A study to its points: grid x zipped rows x Latin hypercube, each with its settings and a seed of its own.

The seed of a point is the child of the study's seed that is named by the point's settings, so that it does not depend
on the order of the points, on what else the study holds, or on who computes it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netsim.errors import NetsimError
from netsim.studies.question import StudyPoint, make_point
from netsim.studies.spec import SampleSpec, StudySpec

_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)\s*$", re.ASCII)


@dataclass(frozen=True)
class Point:
    """A point: its place in the study, the settings that make it differ, and the whole question."""

    index: int
    varied: Mapping[str, Any]
    question: StudyPoint


def points(spec: StudySpec) -> Iterator[Point]:
    """Every point of a study, in the order of its lists, the last one fastest.

    Raises NetsimError for a range that cannot be read, SpecError for an option of the wrong kind.
    """
    axes = [[{key: value} for value in values] for key, values in spec.vary.items()]
    axes += [
        [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        for table in spec.zip
    ]
    if spec.sample:
        axes.append(latin_hypercube(spec.sample, spec.seed))
    for index, parts in enumerate(itertools.product(*axes)):
        varied = {key: value for part in parts for key, value in part.items()}
        settings = dict(spec.base) | varied
        settings.setdefault("seed", point_seed(spec, settings))
        yield Point(index, varied, make_point(settings))


def point_seed(spec: StudySpec, settings: Mapping[str, Any]) -> int:
    """The child of the study's seed named by the settings, below 2^32; or the study's own when it is shared."""
    if spec.seeds == "shared":
        return spec.seed
    name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest()
    words = np.frombuffer(name, dtype=np.uint32)
    return int(np.random.SeedSequence([spec.seed, *words.tolist()]).generate_state(1)[0])


def latin_hypercube(sample: SampleSpec, seed: int) -> list[dict[str, Any]]:
    """Rows of settings, each stratum of each range met once.

    Source: McKay, Beckman and Conover, Technometrics 21 (1979).
    """
    from scipy.stats import qmc

    rng = np.random.default_rng([seed, 0x4C48])
    unit = qmc.LatinHypercube(len(sample.ranges), rng=rng).random(sample.points)
    columns = [
        [_at(key, choice, share) for share in unit[:, n].tolist()]
        for n, (key, choice) in enumerate(sample.ranges.items())
    ]
    return [dict(zip(sample.ranges, row, strict=True)) for row in zip(*columns, strict=True)]


def _at(key: str, choice: Any, share: float) -> Any:
    """The value of a range or list at a share in [0, 1)."""
    if isinstance(choice, list):
        return choice[int(share * len(choice))]
    ends = Ends.read(key, choice)
    return ends.at(share)


@dataclass(frozen=True)
class Ends:
    """A range between two numbers, or two quantities of one unit."""

    low: float
    high: float
    unit: str
    log: bool
    whole: bool

    @classmethod
    def read(cls, key: str, choice: Mapping[str, Any]) -> Ends:
        """Check a table of low, high and scale.

        Raises NetsimError.
        """
        place = f"range of {key}"
        unknown = set(choice) - {"low", "high", "scale"}
        if unknown:
            raise NetsimError(f"{place}: unknown key {min(unknown)!r}: known: high, low, scale")
        if not {"low", "high"} <= choice.keys():
            raise NetsimError(f"{place}: needs low and high")
        (low, unit), (high, other) = _number(place, choice["low"]), _number(place, choice["high"])
        scale = choice.get("scale", "linear")
        if scale not in ("linear", "log"):
            raise NetsimError(f"{place}: scale = {scale!r}, must be linear or log")
        if unit != other:
            raise NetsimError(f"{place}: low and high must have one unit, not {unit!r} and {other!r}")
        if not low < high or (scale == "log" and low <= 0):
            raise NetsimError(
                f"{place}: low = {low:g}, high = {high:g}: must ascend (from above 0 on a log scale)"
            )
        whole = all(isinstance(choice[end], int) for end in ("low", "high"))
        return cls(low, high, unit, scale == "log", whole)

    def at(self, share: float) -> Any:
        """The value at a share in [0, 1); whole numbers are equally likely on a linear scale."""
        high = self.high + 1 if self.whole else self.high
        value = self.low * (high / self.low) ** share if self.log else self.low + share * (high - self.low)
        if self.whole:
            return min(math.floor(value), int(self.high))
        # 12 digits: what a person would type, the same on every machine
        rounded = float(f"{value:.12g}")
        return f"{rounded:.12g} {self.unit}" if self.unit else rounded


def _number(place: str, value: Any) -> tuple[float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None:
        raise NetsimError(f"{place}: {value!r}, must be a number or a quantity with its unit")
    return float(match.group(1)), match.group(2)
