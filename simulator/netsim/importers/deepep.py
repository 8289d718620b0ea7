"""Logs of DeepEP's tests, legacy (normal, low latency) and V2: exchanges beside netsim's, and hosts from them.

The rate that dispatch reached sets one constant: of the NIC (`nic.goodput_fraction`) where RDMA bound it, of NVLink
(`scale_up.achieved_rate`) inside a host. Combine is predicted with it and scored. Low-latency kernels are compared and
set nothing. GB/s are logical, as DeepEP counts: a token's copy for the own host included. Legacy logs do not say how
many ranks ran: give --gpus. Left out: copies, cached and expanded variants of V2, and what a tuning tried and rejected.

Source: deepseek-ai/DeepEP, tests/test_internode.py, test_intranode.py, test_low_latency.py, elastic/test_ep.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from netsim.collectives.request import collective_rows, make_setup
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.importers.words import toml
from netsim.specs import HardwareSpec, catalog, load
from netsim.specs.base import read_toml

DEFAULT_HOST, DEFAULT_FABRIC = "h800", "mrft"
_CONFIG = re.compile(r"\[config\]\s*(.*)")
_SETTING = re.compile(r"(num_\w+|hidden)=(\d+)")
_BEST = re.compile(r"\[tuning\] Best (dispatch|combine)(?: \((FP8|BF16)\))?:.*?([\d.]+) GB/s \((RDMA|NVL)\)")
_LOW = re.compile(
    r"\[rank (\d+)\] Dispatch bandwidth: ([\d.]+) GB/s, avg_t=([\d.]+) us \| "
    r"Combine bandwidth: ([\d.]+) GB/s, avg_t=([\d.]+) us"
)
_RANKS = re.compile(r"Ranks:\s*(\d+)\s*x\s*(\d+)")
_TOKENS = re.compile(r"Tokens:\s*(\d+)")
_HIDDEN = re.compile(r"[Hh]idden:\s*(\d+)")
_V2 = re.compile(
    r"([*@])\s*EP:\s*\d+/(\d+)\s*\|\s*(?:dispatch|combine):\s*([\d.]+) GB/s \(SO\),"
    r"\s*([\d.]+) GB/s \(SU\),\s*([\d.]+) us"
)


@dataclass(frozen=True)
class Seen:
    """A kernel as it ran: logical GB/s over the NIC or NVLink, and microseconds where the log has them."""

    kind: str
    mode: str
    over: str
    GBps: float
    time_us: float | None = None
    precision: str = ""


def is_kind(source: Source) -> bool:
    head = source.text
    return bool(_BEST.search(head) or _LOW.search(head) or _V2.search(head))


def read(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError when the log has no result, and when the number of ranks is not known."""
    notes, text = Notes(), source.text
    settings = {key: int(value) for line in _CONFIG.findall(text) for key, value in _SETTING.findall(line)}
    ranks = _RANKS.search(text)
    gpus = wanted.gpus or (int(ranks[1]) * int(ranks[2]) if ranks else None) or _low_ranks(text)
    if match := _TOKENS.search(text):
        settings.setdefault("num_tokens", int(match[1]))
    if match := _HIDDEN.search(text):
        settings.setdefault("hidden", int(match[1]))
    seen = _seen(text)
    if not seen:
        raise source.fail("no result of a dispatch or combine")
    if gpus is None:
        raise source.fail("does not say how many ranks ran: give --gpus")
    notes.read.append(
        f"{len(seen)} kernels on {gpus} ranks: " + ", ".join(f"{s.mode} {s.kind}" for s in seen)
    )
    other = sorted(
        key
        for key in settings
        if key not in ("num_tokens", "hidden", "num_topk_groups", "num_topk", "num_experts")
    )
    notes.many("settings", other)
    return _answer(source, seen, gpus, settings, notes, wanted)


def _low_ranks(text: str) -> int | None:
    """Every rank of a low-latency test prints a line."""
    found = {int(match[1]) for match in _LOW.finditer(text)}
    return max(found) + 1 if found else None


def _seen(text: str) -> list[Seen]:
    found = []
    for match in re.finditer(r".*\[tuning\] Best .*", text):
        line = match[0]
        if best := _BEST.search(line):
            found.append(Seen(best[1], "normal", best[4], float(best[3]), precision=(best[2] or "").lower()))
    low = [tuple(map(float, match.groups()[1:])) for match in _LOW.finditer(text)]
    if low:
        d_rate, d_us, c_rate, c_us = (median(column) for column in zip(*low, strict=True))
        found.append(Seen("dispatch", "low_latency", "RDMA", d_rate, d_us))
        found.append(Seen("combine", "low_latency", "RDMA", c_rate, c_us))
    for match in _V2.finditer(text):
        kind = "dispatch" if match[1] == "*" else "combine"
        found.append(Seen(kind, "normal", "RDMA", float(match[3]), float(match[5])))
    return found


def _answer(
    source: Source, seen: list[Seen], gpus: int, settings: Mapping[str, int], notes: Notes, wanted: Wanted
) -> Imported:
    name, fabric = wanted.hardware or DEFAULT_HOST, wanted.topology or DEFAULT_FABRIC
    host = load(HardwareSpec, "hardware", name)
    if wanted.hardware is None:
        notes.assumed.append(f"hosts are those of {name} (--hardware names others)")
    if gpus <= host.gpus_per_host:
        seen = [replace(one, over="NVL") for one in seen]
    if settings.get("hidden", 7168) != 7168 or settings.get("num_topk", 8) != 8:
        notes.not_understood.append("netsim's rows are for hidden 7168, top 8 of 256 experts, 4 groups")
    ask = _Ask(fabric, name, gpus, settings.get("num_tokens"))
    start = {
        "nic.goodput_fraction": host.nic.goodput_fraction,
        "scale_up.achieved_rate": host.scale_up.achieved_rate,
    }
    fitted: dict[str, float] = {}
    setting: list[Seen] = []
    for one in seen:
        key = "scale_up.achieved_rate" if one.over == "NVL" else "nic.goodput_fraction"
        if one.mode == "normal" and one.kind == "dispatch" and one.precision != "bf16" and key not in fitted:
            setting.append(one)
            most = 1.0 if key.startswith("nic") else host.scale_up.rate
            fitted[key] = _scaled(ask, one, key, start[key], most)
    rows = []
    for one in seen:
        preset, now = ask(one, {}), ask(one, fitted)
        rows.append(
            {"kernel": one.kind, "mode": one.mode, "over": one.over, "measured_GBps": one.GBps, "preset_GBps": preset,
             "fitted_GBps": now, "error_pct": 100 * (now / one.GBps - 1) if one.GBps else None,
             "used": "fitted" if one in setting else "held out"}
        )  # fmt: skip
    table = read_toml(catalog.find("hardware", name))
    for key, value in fitted.items():
        part, _, last = key.partition(".")
        table[part][last] = round(value, 6) if key.startswith("nic") else f"{value / 1e9:.6g} GB/s"
        notes.read.append(f"{key}: {start[key]:.6g} -> {value:.6g}")
    table |= {"name": "{name}-hosts", "description": f"{name} with the rates that DeepEP reached"}
    table["sources"] |= {"network": "{file}: dispatch of DeepEP's test"}
    record = {"gpus": gpus, "hardware": name, "topology": fabric, "fitted": fitted, "scores": rows}
    options = f"--topology {fabric} --gpus {gpus} --ep {gpus} --hardware {{stem}}-hosts.toml"
    return Imported("deepep", source.place, record, notes, {"-hosts.toml": toml(table)},
                    then=(f"netsim collective deepep {options}",))  # fmt: skip


def _scaled(ask: _Ask, one: Seen, key: str, start: float, most: float) -> float:
    """The constant with which netsim's dispatch reaches the measured rate; at most what the line allows."""
    value = start
    for _ in range(6):
        value = min(most, value * one.GBps / ask(one, {key: value}))
    return value


@dataclass(frozen=True)
class _Ask:
    """Logical GB/s of a kernel as netsim has it, with some keys changed."""

    fabric: str
    hardware: str
    gpus: int
    tokens: int | None

    def __call__(self, one: Seen, values: Mapping[str, float]) -> float:
        given: dict[str, Any] = {
            key: value if key.startswith("nic") else f"{value / 1e9:.9g} GB/s"
            for key, value in values.items()
        }
        setup = make_setup(
            self.fabric, self.gpus, "deepep", kind=one.kind, hardware=self.hardware, overrides=given,
            algorithm="low_latency" if one.mode == "low_latency" else "auto",
        )  # fmt: skip
        (row,) = collective_rows(
            setup, one.kind, ep=str(self.gpus), tokens=self.tokens,
            algorithm="low_latency" if one.mode == "low_latency" else "auto",
        )  # fmt: skip
        return float(row["logical_GBps"])
