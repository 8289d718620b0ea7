"""Logs of nccl-tests, text and JSON (`-J`): what a cluster's acceptance test leaves behind.

Text of any version, also behind mpirun's tags; several runs in one file. The collective's name stands in the first
lines of new versions and on the command line; without either it is told by busbw over algbw where that decides. Of
out-of-place and in-place times the first count. Rows with wrong results are left out.

Source: NVIDIA/nccl-tests, src/util.cu and doc/PERFORMANCE.md.
"""

from __future__ import annotations

import re
from typing import Any

from netsim.importers.bench import Bench, Point, host_of, kind_of
from netsim.importers.network_fit import network_profile
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source

_TAG = re.compile(r"^\[\d+,\d+\]\s*(?:<std(?:out|err)>)?:?\s*")
_STARTING = re.compile(r"Collective test starting:\s*(\w+)")
_COMMAND = re.compile(r"\b(\w+_perf)\b")
_RANK = re.compile(
    r"#\s+Rank\s+(\d+)\s+(?:Group\s+(\d+)\s+)?Pid\s+\d+\s+on\s+(\S+)\s+device\s+\d+\s+\[[^\]]*\]\s*(.*)"
)
_TYPES = r"(?:u?int(?:8|32|64)|half|float|double|bfloat16|fp8_?e[45]m[23]|f8e[45]m[23]|char)"
_ROW = re.compile(rf"^\s*(\d+)\s+(\d+)\s+{_TYPES}\s+(.*)$")


def is_text(source: Source) -> bool:
    return bool(
        re.search(r"#\s+nThread \d+ nGpus \d+|#\s+Rank\s+\d+.*device|Collective test starting", source.head)
    )


def is_json(source: Source) -> bool:
    return (
        source.text.lstrip().startswith("{")
        and '"out_of_place"' in source.head
        and '"devices"' in source.text
    )


def read_text(source: Source, wanted: Wanted) -> Imported:
    """A text log to a network profile. Raises NetsimError when it holds no row that can be used."""
    notes, name = Notes(), ""
    benches: list[Bench] = []
    devices: list[tuple[str, str]] = []
    ratios: dict[int, list[float]] = {}
    for raw in source.lines:
        line = _TAG.sub("", raw)
        if match := _STARTING.search(line) or (_COMMAND.search(line) if not line.startswith("#") else None):
            name = match[1]
        elif "nThread" in line and "minBytes" in line:
            devices = []
            benches.append(Bench(kind_of(name) or name, 1, 1))
        elif match := _RANK.match(line):
            devices.append((match[3], match[4]))
        elif match := _ROW.match(line):
            if not benches:
                benches.append(Bench(kind_of(name) or name, 1, 1))
            _shape(benches[-1], devices)
            _row(benches[-1], match, ratios.setdefault(len(benches) - 1, []))
    for n, bench in enumerate(benches):
        if not bench.kind:
            bench.kind = _by_ratio(bench.ranks, ratios.get(n, [])) or ""
    if benches and "Avg bus bandwidth" not in source.text:
        notes.not_understood.append("no line `Avg bus bandwidth`: the log ends early")
    return _answer("nccl-tests", source, benches, notes, wanted)


def _shape(bench: Bench, devices: list[tuple[str, str]]) -> None:
    hosts = len({host for host, _ in devices}) or 1
    bench.hosts, bench.width = hosts, max(1, len(devices) // hosts)
    bench.gpu = devices[0][1].strip() if devices else ""


def _row(bench: Bench, match: re.Match[str], ratios: list[float]) -> None:
    """Time, algbw, busbw and #wrong are the first numbers behind reduction and root, which old versions lack."""
    words = match[3].split()
    while words and not re.match(r"^-?[\d.]+$", words[0]):
        words.pop(0)
    if len(words) % 4 == 1 or (words and re.match(r"^-?\d+$", words[0])):
        words = words[1:]
    if len(words) < 3:
        return
    try:
        seconds, algbw, busbw = (float(word) for word in words[:3])
    except ValueError:
        return
    if len(words) > 3 and words[3] not in ("N/A", "0", "0e+00") and _number(words[3]):
        bench.wrong += 1
        return
    if seconds > 0 and int(match[1]):
        bench.points.append(Point(int(match[1]), seconds * 1e-6))
        ratios += [busbw / algbw] if algbw > 0 else []


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0


def _by_ratio(ranks: int, ratios: list[float]) -> str | None:
    """All-reduce is the only one with 2 (n - 1) / n."""
    if not ratios or ranks < 3:
        return None
    return "all_reduce" if abs(sorted(ratios)[len(ratios) // 2] - 2 * (ranks - 1) / ranks) < 0.03 else None


def read_json(source: Source, wanted: Wanted) -> Imported:
    """A JSON log to a network profile. Raises NetsimError for keys that are missing."""
    notes, data = Notes(), source.json()
    try:
        names = (
            [str(data.get("args", "")), str(data.get("env", {}).get("_", ""))]
            if isinstance(data, dict)
            else []
        )
        found = next((m[1] for text in names if (m := _COMMAND.search(text))), source.path.stem)
        bench = Bench(kind_of(found) or found, 1, 1)
        _shape(bench, [(str(d["hostname"]), str(d.get("device_info", ""))) for d in data["devices"]])
        for row in data["results"]:
            _json_row(bench, row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise source.fail(f"not what nccl-tests -J writes: {error!r}") from None
    return _answer("nccl-tests-json", source, [bench], notes, wanted)


def _json_row(bench: Bench, row: dict[str, Any]) -> None:
    side = row.get("out_of_place") or row["in_place"]
    if side.get("nwrong") not in (None, "N/A", 0, "0"):
        bench.wrong += 1
    elif float(side["time"]) > 0 and int(row["size"]):
        bench.points.append(Point(int(row["size"]), float(side["time"]) * 1e-6))


def _answer(kind: str, source: Source, benches: list[Bench], notes: Notes, wanted: Wanted) -> Imported:
    for bench in benches:
        if bench.wrong:
            notes.findings.append(f"{bench.kind}: {bench.wrong} sizes with wrong results, left out")
    unknown = sorted({bench.kind or "without a name" for bench in benches if not kind_of(bench.kind)})
    notes.many("benchmarks that netsim does not time", unknown)
    usable = [bench for bench in benches if kind_of(bench.kind) and bench.points]
    if not usable:
        raise source.fail(
            "no rows of a collective that netsim times" if benches else "no rows of a benchmark"
        )
    return network_profile(kind, source, usable, notes, wanted, host_of(usable[0].gpu))
