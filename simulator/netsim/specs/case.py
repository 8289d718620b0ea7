"""One question to the simulator: fabric, job, host, compute profile and price book, resolved from names and `--set`.

A key of `--set` may name its spec (`workload.parallelism.pipeline`, `prices.switch.price`) or leave it out when it is
that of just one of topology, workload and hardware (`switch.radix`, `batch.microbatches`, `nics_per_host`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from netsim.errors import NetsimError, SpecError, did_you_mean
from netsim.specs import catalog
from netsim.specs.base import Strict, all_keys, has_key, load, read_toml, validate
from netsim.specs.hardware import HardwareSpec
from netsim.specs.idle import idle_in, idle_prices
from netsim.specs.prices import PriceBook
from netsim.specs.profile import ProfileSpec
from netsim.specs.topology import TopologySpec
from netsim.specs.workload import WorkloadSpec

SECTIONS: dict[str, type[BaseModel]] = {
    "topology": TopologySpec,
    "workload": WorkloadSpec,
    "hardware": HardwareSpec,
    "profile": ProfileSpec,
    "prices": PriceBook,
}


#: specs whose keys `--set` finds without their name
_BARE = ("topology", "workload", "hardware")
#: brackets of a kind that a value of `--set` may hold
_NESTED = 100
#: policies of `--placement` that need no file
POLICIES = ("contiguous", "spread", "random")
#: keys that an option stands for
_OPTIONS = {
    "topology.routing": "--routing",
    "workload.schedule.name": "--schedule",
    "workload.hardware": "--hardware",
    "workload.profile": "--profile",
    "workload.placement.policy": "--placement",
    "workload.placement.file": "--placement",
    "prices.gpu_hour.price": "--gpu-hour-usd",
}


@dataclass(frozen=True)
class Case:
    """The checked specs of one run; `idle` has a line for each override that says nothing about this job or fabric."""

    topology: TopologySpec
    workload: WorkloadSpec
    hardware: HardwareSpec
    profile: ProfileSpec
    prices: PriceBook
    idle: tuple[str, ...] = ()

    def as_tables(self) -> dict[str, Any]:
        """Every value in use, quantities with their units, as nested tables."""
        return {name: getattr(self, name).model_dump(mode="json", exclude_none=True) for name in SECTIONS}

    def sha256(self) -> str:
        """A fingerprint of every value in use."""
        text = json.dumps(self.as_tables(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def make_case(
    topology: str = "mpft",
    workload: str = "deepseek-v3",
    *,
    hardware: str | None = None,
    profile: str | None = None,
    prices: str = "published",
    routing: str | None = None,
    schedule: str | None = None,
    placement: str | None = None,
    gpu_hour_usd: float | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Case:
    """Find, override and check the specs. `hardware` and `profile` default to what the workload names.

    `routing`, `schedule`, `placement` (a policy, or a CSV of rank,host,gpu) and `gpu_hour_usd` are overrides that have
    an option of their own.

    Raises NetsimError (SpecError) for an unknown name, key or value, and for one that is given twice.
    """
    given = with_option(overrides or {}, "topology.routing", routing)
    given = with_option(given, "workload.schedule.name", schedule)
    with_option(given, "workload.hardware", hardware), with_option(given, "workload.profile", profile)
    by_section = sort_overrides(_with_price(_with_placement(given, placement), gpu_hour_usd))
    option = {"routing": f"--routing {routing}"} if routing is not None else {}
    job = load(WorkloadSpec, "workload", workload, by_section["workload"])
    fabric = load(TopologySpec, "topology", topology, by_section["topology"], option)
    host = load(HardwareSpec, "hardware", hardware or job.hardware, by_section["hardware"])
    _check_formats(job, host)
    book = load(PriceBook, "prices", prices, by_section["prices"])
    return Case(
        topology=fabric,
        workload=job,
        hardware=host,
        profile=load(ProfileSpec, "profile", profile or job.profile, by_section["profile"]),
        prices=book,
        idle=(*idle_in(by_section, fabric, job), *idle_prices(by_section, book)),
    )


def _check_formats(job: WorkloadSpec, host: HardwareSpec) -> None:
    """Refuse products in a format that the GPU has no tensor cores for."""
    gpu = host.gpu
    for key in ("products", "head", "attention"):
        word = getattr(job.compute, key)
        if gpu.fp8_peak is None and word != "bf16":
            rule = f"needs a GPU with FP8, {gpu.name} has none (gpu.fp8_peak)"
            raise SpecError(job.name, f"compute.{key}", word, rule)
        if gpu.fp4_peak is None and word in ("mxfp8", "nvfp4"):
            rule = f"needs a GPU with scales in its tensor cores, {gpu.name} has none (gpu.fp4_peak)"
            raise SpecError(job.name, f"compute.{key}", word, rule)


class RunTable(Strict):
    """What a run asks beside its specs, as the table [run] of its `spec.toml` keeps it."""

    gpus: int
    """GPUs in the cluster."""
    scaling: str
    """Whether micro-batches a pipeline stay (weak) or the batch of the workload (strong)."""
    seed: int
    """Seed of everything random."""


def read_run(path: Path, named: Collection[str] = ()) -> RunTable:
    """What the run asked whose `spec.toml` this is; `make_case` takes the path for each of its specs.

    Raises NetsimError for a file that is not whole, and for a spec in `named`, which the file holds already.
    """
    for name in SECTIONS:
        if name in named:
            raise NetsimError(f"--{name}: also given by --spec {path}")
    data, place = read_toml(path), catalog.display(path)
    known = ("run", *SECTIONS)
    wrong = [name for name in data if name not in known] if "run" in data else []
    if wrong:
        raise SpecError(place, "", None, f"[{wrong[0]}]: unknown table: {did_you_mean(wrong[0], known)}")
    for name in known:
        if not isinstance(data.get(name), dict):
            raise SpecError(place, "", None, f"[{name}] is missing: --spec takes the spec.toml of a run")
    return validate(RunTable, data["run"], f"{place}: [run]")


def with_option(overrides: Mapping[str, Any], key: str, value: str | None) -> dict[str, Any]:
    """Overrides and an option that stands for one of them; both at once are a mistake.

    >>> with_option({"switch.radix": 128}, "topology.routing", "ecmp")
    {'switch.radix': 128, 'topology.routing': 'ecmp'}
    """
    if value is None:
        return dict(overrides)
    clash = {key, key.partition(".")[2]} & overrides.keys()
    if clash:
        raise NetsimError(f"{_OPTIONS[key]} {value}: also given by --set {clash.pop()}")
    return {**overrides, key: value}


def _with_placement(overrides: dict[str, Any], placement: str | None) -> dict[str, Any]:
    if placement is None:
        return overrides
    if placement.endswith(".csv"):
        overrides = with_option(overrides, "workload.placement.file", placement)
        return with_option(overrides, "workload.placement.policy", "file")
    if placement not in POLICIES:
        hint = did_you_mean(placement, POLICIES)
        raise NetsimError(f"--placement {placement}: must be a policy or a CSV of rank,host,gpu: {hint}")
    return with_option(overrides, "workload.placement.policy", placement)


def _with_price(overrides: dict[str, Any], gpu_hour_usd: float | None) -> dict[str, Any]:
    if gpu_hour_usd is None:
        return overrides
    if not 0.0 <= gpu_hour_usd < float("inf"):
        raise NetsimError(f"--gpu-hour-usd {gpu_hour_usd}: must be at least 0, and finite")
    overrides = with_option(overrides, "prices.gpu_hour.price", f"{gpu_hour_usd!r} USD")
    return {"prices.gpu_hour.date": "", "prices.gpu_hour.source": "--gpu-hour-usd", **overrides}


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """`a.b=c` texts to keys and values: JSON where it is JSON, else text.

    >>> parse_overrides(["switch.radix=128", "nic.line_rate=800 Gb/s"])
    {'switch.radix': 128, 'nic.line_rate': '800 Gb/s'}
    """
    parsed: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise NetsimError(f"--set {item}: must be written key=value, such as switch.radix=128")
        if key.strip() in parsed:
            raise NetsimError(f"--set {key.strip()}: given twice")
        if any(text.count(bracket) > _NESTED for bracket in "[{"):
            raise NetsimError(f"--set {key.strip()}: nested too deeply: at most {_NESTED} brackets")
        try:
            parsed[key.strip()] = json.loads(text)
        except ValueError:  # no JSON, or a number of too many digits
            parsed[key.strip()] = text.strip()
    return parsed


def sort_overrides(overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Overrides by the spec that they belong to."""
    sorted_out: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for key, value in overrides.items():
        section, rest = _section_of(key)
        if rest in sorted_out[section]:
            raise NetsimError(f"--set {key}: given twice, once with the name of its spec")
        sorted_out[section][rest] = value
    return sorted_out


def _section_of(key: str) -> tuple[str, str]:
    head, _, rest = key.partition(".")
    if head in SECTIONS and rest:
        if not has_key(SECTIONS[head], rest):
            raise NetsimError(
                f"--set {key}: unknown key of {head}: {did_you_mean(rest, all_keys(SECTIONS[head]))}"
            )
        return head, rest
    knowing = [name for name in _BARE if has_key(SECTIONS[name], key)]
    if len(knowing) == 1:
        return knowing[0], key
    if knowing:
        choices = ", ".join(f"{name}.{key}" for name in knowing)
        raise NetsimError(f"--set {key}: known to several specs, write one of {choices}")
    keys = [dotted for name in _BARE for dotted in all_keys(SECTIONS[name])]
    keys += [f"{name}.{dotted}" for name, model in SECTIONS.items() for dotted in all_keys(model)]
    near = did_you_mean(key, keys)
    hint = near if near.startswith("did") else "netsim schema lists the keys"
    raise NetsimError(f"--set {key}: unknown key: {hint}")
