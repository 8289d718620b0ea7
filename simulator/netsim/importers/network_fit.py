"""From measured collectives to a network: hosts and library whose collectives take netsim as long as they took.

Fitted, by least squares of log(simulated / measured) over the larger half of each benchmark's sizes; the other half is
predicted and scored:

    between hosts   `nic.goodput_fraction`; what a message to a peer costs (`message.per_peer`) where messages were
                    measured, and a step of a ring (`ring.remote_step.simple`) where rings were
    inside a host   `scale_up.achieved_rate`, and how fast it is reached by size (`ring.fill.time`)

All else stays as the presets have it. What does not move any of the fitted times is left as it was, and said. Left
out: a fabric that limits the benchmark (give it with --topology), congestion, and slow hosts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.collectives.request import make_setup
from netsim.collectives.sweep import Setup, sweep
from netsim.errors import NetsimError
from netsim.importers.bench import Bench, Point
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.importers.words import toml
from netsim.specs import HardwareSpec, catalog, load
from netsim.specs.base import read_toml
from netsim.specs.protocol import ProtocolSpec

Floats = NDArray[np.float64]
DEFAULT_FABRIC, DEFAULT_HOST, LIBRARY = "mrft", "h100", "nccl"
#: key -> least and most that a fit may multiply it with
_SPAN = {"nic.goodput_fraction": (0.02, 50.0), "scale_up.achieved_rate": (0.02, 50.0)}
_WIDE = (1e-3, 1e3)
#: sizes of a benchmark that take part
MOST_POINTS = 40


def network_profile(
    kind: str, source: Source, benches: Sequence[Bench], notes: Notes, wanted: Wanted, host: str | None
) -> Imported:
    """The profile: hosts and library as TOMLs, with the error at every size.

    Raises NetsimError when the benchmarks do not fit the hosts, or have too few sizes.
    """
    name = wanted.hardware or host or DEFAULT_HOST
    if not (wanted.hardware or host):
        notes.assumed.append(f"hosts are those of {name}: the log does not say (--hardware names others)")
    fabric = wanted.topology or DEFAULT_FABRIC
    if wanted.topology is None:
        notes.assumed.append(
            f"the fabric under the benchmark limits nothing: {fabric} (--topology names another)"
        )
    benches = [_thinned(bench) for bench in benches if bench.ranks > 1]
    if not any(len(bench.points) > 1 for bench in benches):
        raise source.fail("fewer than two sizes of a collective of several ranks: nothing can be fitted")
    fit = _Fit(fabric, name, benches)
    keys = fit.keys()
    factors, before = fit.solve(keys)
    rows = fit.rows(keys, factors, before)
    notes.read.insert(0, f"{len(benches)} benchmarks, {sum(len(b.points) for b in benches)} sizes")
    values = fit.values(keys, factors)
    notes.read += [
        f"{key}: {_text(key, fit.start[key])} -> {_text(key, value)}" for key, value in values.items()
    ]
    bound = [
        key for key, factor in zip(keys, factors, strict=True) if key in _SPAN and _at_limit(fit, key, factor)
    ]
    notes.many("at the most that it can be, so the fabric or the host presets are wrong", bound)
    record = {
        "hardware": name, "topology": fabric, "fitted": values, "errors": _errors(rows), "scores": rows,
    }  # fmt: skip
    files = {"-hosts.toml": _hosts(name, values), "-library.toml": _library(values)}
    first = max(benches, key=lambda bench: bench.ranks)
    made = "--hardware {stem}-hosts.toml --protocol {stem}-library.toml"
    then = (f"netsim collective {first.kind} --topology {fabric} --gpus {fit.gpus(first)} {made}",)
    question = {"topology": fabric, "hardware": "-hosts.toml"}
    return Imported(kind, source.place, record, notes, files, question, then=then)


def _thinned(bench: Bench) -> Bench:
    """At most so many sizes, each once, the smallest and the largest among them."""
    by_size = {point.size_bytes: point for point in bench.points}
    points = [by_size[size] for size in sorted(by_size)]
    step = max(1, math.ceil(len(points) / MOST_POINTS))
    kept = sorted({*points[::-step]}, key=lambda point: point.size_bytes)
    return Bench(bench.kind, bench.hosts, bench.width, bench.gpu, kept)


class _Fit:
    """The benchmarks, and how netsim times them with some keys changed."""

    def __init__(self, fabric: str, hardware: str, benches: Sequence[Bench]) -> None:
        self.fabric, self.hardware, self.benches = fabric, hardware, benches
        self.host = load(HardwareSpec, "hardware", hardware)
        library = load(ProtocolSpec, "protocol", LIBRARY)
        for bench in benches:
            if bench.width > self.host.gpus_per_host:
                rule = f"{bench.width} ranks a host, {hardware} has gpus_per_host = {self.host.gpus_per_host}"
                raise NetsimError(f"{bench.kind}: {rule}")
        self.start = {
            "nic.goodput_fraction": self.host.nic.goodput_fraction,
            "scale_up.achieved_rate": self.host.scale_up.achieved_rate,
            "protocol.message.per_peer": library.message.per_peer,
            "protocol.ring.remote_step.simple": library.ring.remote_step.simple,
            "protocol.ring.fill.time": library.ring.fill.time,
        }

    def keys(self) -> list[str]:
        """What these benchmarks can say something about."""
        far = {bench.kind for bench in self.benches if bench.hosts > 1}
        near = {bench.kind for bench in self.benches if bench.hosts == 1}
        messages = {"all_to_all", "send_recv"}
        found = ["nic.goodput_fraction"] if far else []
        found += ["protocol.message.per_peer"] if far & messages else []
        found += ["protocol.ring.remote_step.simple"] if far - messages else []
        return found + (["scale_up.achieved_rate", "protocol.ring.fill.time"] if near else [])

    def gpus(self, bench: Bench) -> int:
        return bench.hosts * self.host.gpus_per_host

    def values(self, keys: Sequence[str], factors: Floats) -> dict[str, float]:
        return {key: self.start[key] * float(factor) for key, factor in zip(keys, factors, strict=True)}

    def limits(self, key: str) -> tuple[float, float]:
        """Least and most factor: a NIC moves no more than its line, NVLink no more than its rate."""
        low, high = _SPAN.get(key, _WIDE)
        most = {"nic.goodput_fraction": 1.0, "scale_up.achieved_rate": self.host.scale_up.rate}.get(key)
        return low, high if most is None else most / self.start[key]

    def times(self, keys: Sequence[str], factors: Floats) -> list[Floats]:
        """Seconds of every size of every benchmark."""
        given = {key: _text(key, value) for key, value in self.values(keys, factors).items()}
        given = {key: value if " " in value else float(value) for key, value in given.items()}  # type: ignore[misc]
        setups: dict[int, Setup] = {}
        return [self._bench(bench, given, setups) for bench in self.benches]

    def _bench(self, bench: Bench, given: Mapping[str, Any], setups: dict[int, Setup]) -> Floats:
        gpus = self.gpus(bench)
        if gpus not in setups:
            setups[gpus] = make_setup(
                self.fabric, gpus, LIBRARY, kind="", hardware=self.hardware, overrides=given
            )
        group = np.arange(gpus).reshape(bench.hosts, -1)[:, : bench.width].ravel()
        rows = sweep(setups[gpus], bench.kind, [group], [point.size_bytes for point in bench.points])
        return np.array([row.time_us * 1e-6 for row in rows])

    def solve(self, keys: Sequence[str]) -> tuple[Floats, list[Floats]]:
        """Factors on the presets' values, and the times with the presets."""
        from scipy.optimize import least_squares

        before = self.times([], np.zeros(0))
        held = [larger(bench.points) for bench in self.benches]
        measured = [np.array([point.seconds for point in bench.points]) for bench in self.benches]

        def misses(
            above: Floats,
        ) -> Floats:  # logs of the factors and 1: a step of the fit is relative to them
            found = self.times(keys, np.exp(above - 1.0))
            return np.concatenate(
                [np.log(t[mask] / m[mask]) for t, m, mask in zip(found, measured, held, strict=True)]
            )

        low, high = np.log(np.array([self.limits(key) for key in keys])).T
        start = np.clip(np.zeros(len(keys)), low + 1e-6, high - 1e-6)
        answer = least_squares(
            misses, 1.0 + start, bounds=(1.0 + low, 1.0 + high), diff_step=5e-3, max_nfev=25
        )
        return np.exp(answer.x - 1.0), before

    def rows(self, keys: Sequence[str], factors: Floats, before: Sequence[Floats]) -> list[dict[str, Any]]:
        """Every size: measured, by the presets, by the fit, and whether it was fitted."""
        rows = []
        for bench, then, now in zip(self.benches, before, self.times(keys, factors), strict=True):
            used = larger(bench.points)
            for point, old, new, fitted in zip(bench.points, then, now, used, strict=True):
                us = point.seconds * 1e6
                rows.append(
                    {"collective": bench.kind, "ranks": bench.ranks, "hosts": bench.hosts,
                     "size_bytes": point.size_bytes, "measured_us": us, "preset_us": float(old * 1e6),
                     "fitted_us": float(new * 1e6), "error_pct": 100 * (float(new) * 1e6 / us - 1),
                     "used": "fitted" if fitted else "held out"}
                )  # fmt: skip
        return rows


def larger(points: Sequence[Point]) -> NDArray[np.bool_]:
    """Which sizes are of the larger half: those are fitted to."""
    return np.arange(len(points)) >= len(points) // 2


def _errors(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    found = {}
    for used in ("fitted", "held out"):
        mine = [row for row in rows if row["used"] == used]
        if mine:
            name = used.replace(" ", "_")
            found[f"{name}_median_pct"] = median(abs(row["error_pct"]) for row in mine)
            found[f"{name}_worst_pct"] = max(abs(row["error_pct"]) for row in mine)
            found[f"{name}_presets_median_pct"] = median(
                abs(100 * (row["preset_us"] / row["measured_us"] - 1)) for row in mine
            )
    return found


def _at_limit(fit: _Fit, key: str, factor: float) -> bool:
    return factor > 0.999 * fit.limits(key)[1]


def _text(key: str, value: float) -> str:
    if key.endswith("fraction"):
        return f"{value:.6g}"
    return f"{value / 1e9:.6g} GB/s" if key.endswith("rate") else f"{value * 1e6:.6g} us"


def _put(table: dict[str, Any], key: str, value: float) -> None:
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
    table[last] = round(value, 6) if key.endswith("fraction") else _text(key, value)


def _hosts(name: str, values: Mapping[str, float]) -> str:
    table = read_toml(catalog.find("hardware", name))
    mine = {key: value for key, value in values.items() if not key.startswith("protocol.")}
    for key, value in mine.items():
        _put(table, key, value)
    table |= {"name": "{name}-hosts", "description": f"{name} with the network that was measured"}
    table["sources"] |= {"network": "{file}: fitted " + (", ".join(mine) or "nothing")}
    return toml(table)


def _library(values: Mapping[str, float]) -> str:
    table = read_toml(catalog.find("protocol", LIBRARY))
    mine = {
        key.removeprefix("protocol."): value for key, value in values.items() if key.startswith("protocol.")
    }
    for key, value in mine.items():
        _put(table, key, value)
    table |= {"name": "{name}-library", "description": "NCCL with the latencies that were measured"}
    table["sources"] |= {"network": "{file}: fitted " + (", ".join(mine) or "nothing")}
    return toml(table)
