"""What changed and why, in sentences, each made of the comparison's numbers.

A difference below a thousandth of the step counts as none; a network is called hidden where one without cost would save
less than a tenth of the step.
"""

from __future__ import annotations

from netsim.analysis.binding import RESOURCES
from netsim.analysis.comparison.decide import EQUAL
from netsim.analysis.comparison.phrases import Row, listed, musd, percent, rows_of, scenarios, span
from netsim.analysis.comparison.point import near_zero

#: a network that is answerable for less of the step than this is called hidden
HIDDEN = 0.1
_PARTS = {
    "compute_s": "compute",
    "chunk_idle_s": "idle in chunks",
    "bubble_s": "bubble",
    "tail_s": "tail",
}


def why(record: Row) -> list[Row]:
    """What changed and why: {workload, gpus, topology or None, subject, text}."""
    found = []
    for scenario in scenarios(record):
        rows = rows_of(record, "comparison", scenario)
        said: list[tuple[str | None, str, str]] = []
        if len(rows) > 1:
            said += _steps(record, scenario, rows)
            said += [(row["topology"], "cost", _cost(rows[0], row)) for row in rows[1:]]
            said += [(None, "latency", _latency(rows))]
        said += [(name, "binding", text) for name, text in _binding(record, scenario, rows)]
        failed = [
            row for row in record["tables"]["comparison"]
            if (row["workload"], row["gpus"]) == scenario and row["error"]
        ]  # fmt: skip
        said += [
            (row["topology"], "error", f"{row['topology']} is left out: {row['error']}.") for row in failed
        ]
        found += [
            {"workload": scenario[0], "gpus": scenario[1], "topology": name, "subject": subject, "text": text}
            for name, subject, text in said
        ]
    return found


def _steps(record: Row, scenario: tuple[str, int], rows: list[Row]) -> list[tuple[str | None, str, str]]:
    seconds = [row["step_time_s"] for row in rows]
    if near_zero(max(seconds) - min(seconds), min(seconds)):
        return [(None, "hidden", _hidden(record, scenario, rows))]
    return [(row["topology"], "step", _step(record, scenario, rows[0], row)) for row in rows[1:]]


def _hidden(record: Row, scenario: tuple[str, int], rows: list[Row]) -> str:
    seconds, exposed = [r["step_time_s"] for r in rows], [r["exposed_comm_s"] for r in rows]
    tail = [row["tail_s"] for row in rows_of(record, "breakdown", scenario)]
    if _shows(record, scenario, rows) <= HIDDEN:
        head = "The network is hidden here; topology cannot matter."
    else:
        head = (
            "Topology cannot matter here, although the network shows: what every fabric shares sets how much."
        )
    text = (
        f"{head} The step is {min(seconds):.3f} s on {'both' if len(rows) == 2 else f'all {len(rows)}'} fabrics, to "
        f"{(max(seconds) - min(seconds)) * 1e3:.2f} ms. Communication is exposed alike on each, {span(exposed, 2)} s, "
        f"and at most {span(tail, 2)} s follow the last chunk"
    )
    bound = rows_of(record, "collectives", scenario, rows[0]["topology"])
    if bound:
        busiest = max(bound, key=lambda row: row["count"] * row["mean_ms"])
        text += (
            f"; {_kind(busiest['kind'])}, which takes most time, is bound by {_bound(busiest['bottleneck'])}"
        )
    gains = [row["gain_pct"] for row in rows_of(record, "binding", scenario) if row["resource"] == "fabric"]
    if gains:
        text += f"; 10 % more capacity between switches gains {max(gains):.2f} %"
    return text + "."


def _shows(record: Row, scenario: tuple[str, int], rows: list[Row]) -> float:
    """The part of the step that is the network's: what one without cost gains; what is exposed if that is not known."""
    free = [r["gain_pct"] / 100 for r in rows_of(record, "binding", scenario) if r["resource"] == "network"]
    seen = [row["exposed_comm_s"] / row["step_time_s"] for row in rows]
    return float(max(free or seen))


def _step(record: Row, scenario: tuple[str, int], base: Row, row: Row) -> str:
    """Where a difference in step time comes from: parts of the step, then the collective that changed most."""
    longer = row["step_time_s"] - base["step_time_s"]
    text = (
        f"{row['topology']}: a step of {row['step_time_s']:.3f} s, {longer:+.3f} s "
        f"({percent(longer / base['step_time_s'], 2, True)}) against {base['topology']}"
    )
    if near_zero(longer, base["step_time_s"]):
        return text + ", which is none: the network is as hidden on the one as on the other."
    here, there = (rows_of(record, "breakdown", scenario, each["topology"])[0] for each in (row, base))
    moved = sorted(((here[k] - there[k], name) for k, name in _PARTS.items()), key=lambda item: -abs(item[0]))
    text += (
        " ("
        + listed([f"{name} {change:+.2f} s" for change, name in moved if abs(change) > 0.05 * abs(longer)])
        + ")"
    )
    slow = _most_changed(
        *(rows_of(record, "collectives", scenario, each["topology"]) for each in (base, row))
    )
    if slow:
        was, now = slow
        text += (
            f". Most of the change is in {_kind(now['kind'])}: {now['mean_ms']:.2f} ms each, bound by "
            f"{_bound(now['bottleneck'])}, against {was['mean_ms']:.2f} ms, bound by {_bound(was['bottleneck'])}"
        )
    return text + "."


def _most_changed(base: list[Row], rows: list[Row]) -> tuple[Row, Row] | None:
    before = {row["kind"]: row for row in base}
    pairs = [(before[row["kind"]], row) for row in rows if row["kind"] in before]
    pairs = [
        pair for pair in pairs if abs(pair[1]["mean_ms"] - pair[0]["mean_ms"]) > 1e-3 * pair[0]["mean_ms"]
    ]
    return max(pairs, key=lambda p: p[1]["count"] * abs(p[1]["mean_ms"] - p[0]["mean_ms"])) if pairs else None


def _cost(base: Row, row: Row) -> str:
    more = row["network_usd"] - base["network_usd"]
    text = f"{row['topology']}: a network of {musd(row['network_usd'])}"
    if abs(more) < EQUAL * base["network_usd"]:
        return f"{text} and {row['power_kw']:,.0f} kW, as {base['topology']}."
    parts = [("switches", "switch_usd"), ("cables and optics", "cable_usd"), ("NICs", "nic_usd")]
    moved = [
        f"{name} {musd(row[key] - base[key], sign=True)}"
        for name, key in parts
        if abs(row[key] - base[key]) > 1e-3 * base["network_usd"]
    ]
    text += f", {musd(more, sign=True)} ({percent(more / base['network_usd'], 0, True)}) against {base['topology']}"
    return (
        f"{text}: {listed(moved)}. It has {row['switches']:,} switches for {base['switches']:,}, "
        f"{row['switch_links']:,} cables between them for {base['switch_links']:,}, and draws "
        f"{row['power_kw'] - base['power_kw']:+,.0f} kW."
    )


def _latency(rows: list[Row]) -> str:
    worst = sorted(rows, key=lambda row: row["worst_latency_us"])
    if worst[0]["worst_latency_us"] == worst[-1]["worst_latency_us"]:
        return f"The worst idle latency of 64 B is {worst[0]['worst_latency_us']:.2f} us on each."
    words = [f"{row['worst_latency_us']:.2f} us on {row['topology']}" for row in worst]
    text = f"The worst idle latency of 64 B is {listed(words)}"
    forwards = [row["topology"] for row in rows if row["planes"] > 1]
    if worst[-1]["topology"] in forwards:
        text += "; between planes a message is also forwarded inside a host"
    return text + "."


def _binding(record: Row, scenario: tuple[str, int], rows: list[Row]) -> list[tuple[str | None, str]]:
    """A sentence a fabric, or one for all where their gains are alike."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        gains = rows_of(record, "binding", scenario, row["topology"])
        if gains:
            texts.setdefault(_gains(gains), []).append(row["topology"])
    if len(texts) == 1 and len(rows) > 1:
        return [(None, f"On every fabric {next(iter(texts))}")]
    return [(names[0], f"On {listed(names)} {text}") for text, names in texts.items()]


def _gains(rows: list[Row]) -> str:
    some = sorted((row for row in rows if row["resource"] != "network"), key=lambda row: -row["gain_pct"])
    told = [row for row in some if row["gain_pct"] >= 0.05]
    free = next((row for row in rows if row["resource"] == "network"), None)
    if not told:
        text = "10 % more of any one resource gains less than 0.05 % of the step"
    else:
        text = (
            f"{RESOURCES[told[0]['resource']]} bind: 10 % more gain {told[0]['gain_pct']:.1f} % of the step"
        )
        rest = [f"{RESOURCES[row['resource']]} {row['gain_pct']:.1f} %" for row in told[1:]]
        text += f", {listed(rest)}" if rest else ""
        none = [RESOURCES[row["resource"]] for row in some if row["gain_pct"] < 0.05]
        text += f"; {listed(none)} nothing" if none else ""
    if free is not None:
        text += f". A network that costs no time would gain {free['gain_pct']:.1f} %: no fabric can gain more"
    return text + "."


def _kind(kind: str) -> str:
    return kind.replace("_", " ")


def _bound(resource: str) -> str:
    words = {"kernel": "its own kernels", "nic": "the NICs", "nvlink": "NVLink", "fabric": "the fabric"}
    return words.get(resource, resource)
