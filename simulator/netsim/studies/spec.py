"""The spec of a study: what stays, what varies and how.

`base` holds what every point has in common, `vary` lists whose product is taken, `zip` tables of equally long lists
whose rows stay together, and `sample` a Latin hypercube over ranges. Keys everywhere are the options of `netsim run`
(topology, workload, gpus, ...) and the keys that `--set` takes; `switch.radix = [64, 128]` may be quoted or not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from netsim.errors import NetsimError
from netsim.specs import catalog
from netsim.specs.base import Strict, read_toml, validate
from netsim.specs.paths import placed
from netsim.studies.question import PRESETS, check_keys, check_presets

#: more points than this need to be asked for twice
MANY = 100_000


class SampleSpec(Strict):
    """A Latin hypercube of `points` points: each range is cut into that many strata, and each stratum is met once.

    A range is a table with `low` and `high` (numbers, or quantities of one unit), and `scale`, linear or log; two
    whole numbers make a range of whole numbers; a list is drawn from evenly.
    """

    points: Annotated[int, Field(ge=1)]
    ranges: Mapping[str, Any]


class PlotSpec(Strict):
    """What the pictures show; what is left out is chosen by the shape of the study."""

    x: str | None = None
    series: str | None = None
    metrics: list[str] = Field(default_factory=list)


class StudySpec(Strict):
    """A study. `seeds` is one of each_point (a seed of its own for every point) and shared (the study's for all)."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=100)] = (
        "sweep"
    )
    description: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    seeds: Literal["each_point", "shared"] = "each_point"
    base: Mapping[str, Any] = Field(default_factory=dict)
    vary: Mapping[str, Any] = Field(default_factory=dict)
    zip: list[Mapping[str, Any]] = Field(default_factory=list)
    sample: SampleSpec | None = None
    plot: PlotSpec = PlotSpec()
    gpu_usd_per_hour: Annotated[float, Field(ge=0.0)] = 2.0
    years: Annotated[float, Field(gt=0.0)] = 4.0


def find_study(name: str) -> Path:
    """The TOML of a study: a path, or the name of one that ships.

    Raises NetsimError when there is none.
    """
    return catalog.find_study(name)


def load_study(path: Path) -> StudySpec:
    """Read and check a study.

    Raises NetsimError in one line: file, key, value, rule.
    """
    data = dict(read_toml(path))
    for table in ("base", "vary"):
        if isinstance(data.get(table), dict):
            data[table] = flatten(data[table])
    if isinstance(data.get("zip"), dict):
        data["zip"] = [data["zip"]]
    if isinstance(data.get("zip"), list):
        data["zip"] = [flatten(each) if isinstance(each, dict) else each for each in data["zip"]]
    if isinstance(data.get("sample"), dict) and isinstance(data["sample"].get("ranges"), dict):
        data["sample"] = data["sample"] | {"ranges": flatten(data["sample"]["ranges"])}
    data |= {
        table: placed(data[table], path.parent, PRESETS)
        for table in ("base", "vary")
        if isinstance(data.get(table), dict)
    }
    if isinstance(data.get("zip"), list):
        data["zip"] = [
            placed(each, path.parent, PRESETS) if isinstance(each, dict) else each for each in data["zip"]
        ]
    place = catalog.display(path)
    spec = validate(StudySpec, data, place)
    check(spec, place)
    return spec


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables to dotted keys; a range (a table with low or high) is a value.

    >>> flatten({"switch": {"radix": [64]}, "nic.line_rate": {"low": 1, "high": 2}})
    {'switch.radix': [64], 'nic.line_rate': {'low': 1, 'high': 2}}
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value and not {"low", "high"} & value.keys():
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def check(spec: StudySpec, place: str) -> None:
    """Refuse unknown keys, keys given twice, empty and unequal lists, presets that are not there.

    Raises NetsimError.
    """
    values: dict[str, list[Any]] = {}
    for where, table in tables(spec):
        for key, value in table.items():
            if key in values:
                raise NetsimError(f"{place}: {where}.{key}: given twice")
            values[key] = _choices(f"{place}: {where}.{key}", where, value)
    if not any((spec.vary, spec.zip, spec.sample)):
        raise NetsimError(f"{place}: nothing varies: add a [vary] table, or --vary KEY=VALUE,VALUE")
    for number, table in enumerate(spec.zip):
        lengths = {key: len(value) for key, value in table.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise NetsimError(f"{place}: zip.{number}: lists must be equally long: {told}")
        if not table:
            raise NetsimError(f"{place}: zip.{number}: is empty")
    if spec.sample is not None and not spec.sample.ranges:
        raise NetsimError(f"{place}: sample.ranges: is empty")
    check_keys(values, place)
    check_presets(values, place)


def tables(spec: StudySpec) -> list[tuple[str, Mapping[str, Any]]]:
    """Every table of settings, with its name."""
    found: list[tuple[str, Mapping[str, Any]]] = [("base", spec.base), ("vary", spec.vary)]
    found += [(f"zip.{number}", table) for number, table in enumerate(spec.zip)]
    return [*found, ("sample.ranges", spec.sample.ranges)] if spec.sample else found


def _choices(place: str, where: str, value: Any) -> list[Any]:
    if where == "base":
        return [value]
    if where == "sample.ranges" and isinstance(value, Mapping):
        return []
    if not isinstance(value, list):
        raise NetsimError(f"{place} = {value!r}, must be a list of values")
    if not value:
        raise NetsimError(f"{place} = [], must not be empty: the grid has no points")
    told = [json.dumps(each, sort_keys=True, default=str) for each in value]
    if where == "vary" and len(set(told)) < len(told):
        raise NetsimError(f"{place}: {next(t for t in told if told.count(t) > 1)} is listed twice")
    return value


def make_study(
    study: str | None, vary: Mapping[str, Sequence[Any]], base: Mapping[str, Any], seed: int | None
) -> StudySpec:
    """A study by name or path (None: an empty one), with what else varies and stays: that goes before the file.

    Raises NetsimError.
    """
    place, spec = "the command line", StudySpec()
    if study is not None:
        path = find_study(study)
        place, spec = f"{path.name} with options", load_study(path)
    if not base and not vary and seed is None and study is not None:
        return spec
    changed = {
        "base": {key: value for key, value in spec.base.items() if key not in vary} | dict(base),
        "vary": dict(spec.vary) | {key: list(values) for key, values in vary.items()},
        "seed": spec.seed if seed is None else seed,
    }
    spec = spec.model_copy(update=changed)
    check(spec, place)
    return spec


def parse_vary(items: Sequence[str]) -> dict[str, list[Any]]:
    """`key=a,b,c` texts to lists; a value is JSON where it is JSON, else text.

    >>> parse_vary(["switch.radix=64,128", "topology=mpft,ft3", "oversubscription=[1.0],[2.0]"])
    {'switch.radix': [64, 128], 'topology': ['mpft', 'ft3'], 'oversubscription': [[1.0], [2.0]]}
    """
    parsed: dict[str, list[Any]] = {}
    for item in items:
        key, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not key:
            raise NetsimError(f"--vary {item}: must be written key=value,value, such as switch.radix=64,128")
        if key in parsed:
            raise NetsimError(f"--vary {key}: given twice")
        if not text:
            raise NetsimError(f"--vary {key}: has no values: the grid has no points")
        try:
            parsed[key] = json.loads(f"[{text}]")
        except json.JSONDecodeError:
            parsed[key] = [_value(f"--vary {key}", word.strip()) for word in text.split(",")]
    return parsed


def _value(place: str, text: str) -> Any:
    if not text:
        raise NetsimError(f"{place}: has an empty value")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def count_points(spec: StudySpec) -> int:
    """Points of a study, without making them."""
    grid = math.prod(len(values) for values in spec.vary.values())
    rows = math.prod(len(next(iter(table.values()))) for table in spec.zip)
    return grid * rows * (spec.sample.points if spec.sample else 1)


def check_size(count: int, yes: bool, what: str = "the study") -> None:
    """Refuse a study that somebody surely did not mean, unless told `yes`."""
    if count > MANY and not yes:
        raise NetsimError(
            f"{what} has {count:,} points, more than {MANY:,}: add --yes to run it all the same"
        )
