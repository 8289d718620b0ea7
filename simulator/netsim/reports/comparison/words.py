"""The comparison in sentences, each made of its numbers: what changed, why, what binds, what to take and when not.

A difference below a thousandth of the step counts as none; a network is called hidden where one without cost would save
less than a tenth of the step. The recommended fabric is the cheapest of those whose step is within half a percent of
the quickest; where several cost the same, the one that draws less, then grows further, then has the lower
worst latency.
"""

from __future__ import annotations

from typing import Any

from netsim.reports.binding import RESOURCES
from netsim.reports.comparison.point import near_zero

Row = dict[str, Any]
#: fabrics whose steps are so close to the quickest count as equally quick, and prices as equal
QUICK, EQUAL = 0.005, 0.001
#: a network that is answerable for less of the step than this is called hidden
HIDDEN = 0.1
_PARTS = {
    "compute_s": "compute",
    "exposed_comm_s": "exposed communication",
    "bubble_s": "bubble",
    "tail_s": "tail",
}


def scenarios(record: Row) -> list[tuple[str, int]]:
    """(workload, GPUs) of the comparison, in order."""
    return list(dict.fromkeys((row["workload"], row["gpus"]) for row in record["tables"]["comparison"]))


def rows_of(record: Row, table: str, scenario: tuple[str, int], topology: str | None = None) -> list[Row]:
    """Rows of a table that are about a scenario (and a fabric) and hold numbers."""
    return [
        row
        for row in record["tables"][table]
        if (row["workload"], row["gpus"]) == scenario
        and not row.get("error")
        and topology in (None, row["topology"])
    ]


def recommendations(record: Row) -> list[Row]:
    """One for each scenario that has any fabric."""
    found = []
    for scenario in scenarios(record):
        rows = rows_of(record, "comparison", scenario)
        if rows:
            found.append(_recommend(record, scenario, rows))
    return found


def _recommend(record: Row, scenario: tuple[str, int], rows: list[Row]) -> Row:
    quickest = min(row["step_time_s"] for row in rows)
    quick = [row for row in rows if row["step_time_s"] <= quickest * (1 + QUICK)]
    least = min(row["network_usd"] for row in quick)
    cheap = [row for row in quick if row["network_usd"] <= least * (1 + EQUAL)]
    take = min(cheap, key=lambda r: (round(r["power_kw"], 1), -r["max_gpus"], r["worst_latency_us"]))
    return {
        "workload": scenario[0],
        "gpus": scenario[1],
        "topology": take["topology"],
        "sentence": _reason(take, rows, quick, cheap),
        "condition": _condition(record, take),
        "otherwise": [
            _break_even(take, row) for row in rows if row["network_usd"] < take["network_usd"] * (1 - EQUAL)
        ],
    }


def _reason(take: Row, rows: list[Row], quick: list[Row], cheap: list[Row]) -> str:
    name, price = take["topology"], f"{_musd(take['network_usd'])} and {take['power_kw']:,.0f} kW"
    if len(rows) == 1:
        return f"{name} is the only fabric that could be simulated here: {take['step_time_s']:.3f} s a step, {price}."
    text = f"Take {name}: {take['step_time_s']:.3f} s a step for {price}."
    dearer = [row for row in quick if row["network_usd"] > take["network_usd"] * (1 + EQUAL)]
    if dearer:
        worst = max(dearer, key=lambda row: row["network_usd"])
        saved = worst["network_usd"] - take["network_usd"]
        text += (
            f" {worst['topology']} gives the same step and costs {_musd(saved)} more "
            f"({_pct(saved / take['network_usd'], 0, True)}, {worst['power_kw'] - take['power_kw']:+,.0f} kW)."
        )
    slower = [row for row in rows if row not in quick]
    if slower:
        words = [
            f"{row['topology']} {_pct(row['step_time_s'] / take['step_time_s'] - 1, 1, True)}"
            for row in slower
        ]
        text += f" Slower: {_list(words)}."
    ties = [row for row in cheap if row is not take]
    if ties:
        text += f" {_list([row['topology'] for row in ties])} {_tie(take, ties)}."
    return text


def _tie(take: Row, ties: list[Row]) -> str:
    same = f"cost{'s' if len(ties) == 1 else ''} the same and {'is' if len(ties) == 1 else 'are'} as quick"
    if any(row["power_kw"] > take["power_kw"] + 0.1 for row in ties):
        return f"{same}, but draw{'s' if len(ties) == 1 else ''} more power"
    most = max(row["max_gpus"] for row in ties)
    if most < take["max_gpus"]:
        grow = "grows" if len(ties) == 1 else "grow"
        return f"{same}, but {grow} to {most:,} GPUs and {take['topology']} to {take['max_gpus']:,}"
    return f"{same}: choose between them by operation, not by this page"


def _condition(record: Row, take: Row) -> str:
    question = record["question"]
    book = f"Prices are those of the book {question['price_book']}, {question['price_date']}"
    crossing = take["cables_crossed"]
    ranks = "as unequal as the job says" if take["ranks_differ"] else "equally quick and equally loaded"
    where = (
        f"a byte that leaves a NIC crosses {crossing:.2f} cables between switches in this placement, so nearly all "
        "traffic turns at its first switch; jobs whose groups span leaves load the fabric and must be compared anew"
        if crossing < 0.5
        else f"a byte that leaves a NIC crosses {crossing:.2f} cables between switches in this placement"
    )
    return (
        f"Under these conditions: the job has the cluster for itself, ranks are {ranks}, nothing fails; {where}. "
        f"{book} ({question['status']})."
    )


def _break_even(take: Row, row: Row) -> str:
    """What a cheaper and slower fabric would have to be worth."""
    saved = take["network_usd"] - row["network_usd"]
    slower = row["step_time_s"] / take["step_time_s"] - 1
    return (
        f"{row['topology']} saves {_musd(saved)} for a step {_pct(slower, 1)} longer: the better choice only where "
        f"1 % of the cluster's time, over its life, is worth less than {_musd(saved / (100 * slower))}."
    )


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
        f"{(max(seconds) - min(seconds)) * 1e3:.2f} ms. Communication is exposed alike on each, {_span(exposed, 2)} s "
        f"within chunks and at most {_span(tail, 2)} s of gradients behind them"
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
    parts = rows_of(record, "breakdown", scenario)
    seen = [(p["exposed_comm_s"] + p["tail_s"]) / r["step_time_s"] for p, r in zip(parts, rows, strict=True)]
    return float(max(free or seen))


def _step(record: Row, scenario: tuple[str, int], base: Row, row: Row) -> str:
    """Where a difference in step time comes from: parts of the step, then the collective that changed most."""
    longer = row["step_time_s"] - base["step_time_s"]
    text = (
        f"{row['topology']}: a step of {row['step_time_s']:.3f} s, {longer:+.3f} s "
        f"({_pct(longer / base['step_time_s'], 2, True)}) against {base['topology']}"
    )
    if near_zero(longer, base["step_time_s"]):
        return text + ", which is none: the network is as hidden on the one as on the other."
    here, there = (rows_of(record, "breakdown", scenario, each["topology"])[0] for each in (row, base))
    moved = sorted(((here[k] - there[k], name) for k, name in _PARTS.items()), key=lambda item: -abs(item[0]))
    text += (
        " ("
        + _list([f"{name} {change:+.2f} s" for change, name in moved if abs(change) > 0.05 * abs(longer)])
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
    text = f"{row['topology']}: a network of {_musd(row['network_usd'])}"
    if abs(more) < EQUAL * base["network_usd"]:
        return f"{text} and {row['power_kw']:,.0f} kW, as {base['topology']}."
    parts = [("switches", "switch_usd"), ("cables and optics", "cable_usd"), ("NICs", "nic_usd")]
    moved = [
        f"{name} {_musd(row[key] - base[key], sign=True)}"
        for name, key in parts
        if abs(row[key] - base[key]) > 1e-3 * base["network_usd"]
    ]
    text += (
        f", {_musd(more, sign=True)} ({_pct(more / base['network_usd'], 0, True)}) against {base['topology']}"
    )
    return (
        f"{text}: {_list(moved)}. It has {row['switches']:,} switches for {base['switches']:,}, "
        f"{row['switch_links']:,} cables between them for {base['switch_links']:,}, and draws "
        f"{row['power_kw'] - base['power_kw']:+,.0f} kW."
    )


def _latency(rows: list[Row]) -> str:
    worst = sorted(rows, key=lambda row: row["worst_latency_us"])
    if worst[0]["worst_latency_us"] == worst[-1]["worst_latency_us"]:
        return f"The worst idle latency of 64 B is {worst[0]['worst_latency_us']:.2f} us on each."
    words = [f"{row['worst_latency_us']:.2f} us on {row['topology']}" for row in worst]
    text = f"The worst idle latency of 64 B is {_list(words)}"
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
    return [(names[0], f"On {_list(names)} {text}") for text, names in texts.items()]


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
        text += f", {_list(rest)}" if rest else ""
        none = [RESOURCES[row["resource"]] for row in some if row["gain_pct"] < 0.05]
        text += f"; {_list(none)} nothing" if none else ""
    if free is not None:
        text += f". A network that costs no time would gain {free['gain_pct']:.1f} %: no fabric can gain more"
    return text + "."


def _musd(usd: float, sign: bool = False) -> str:
    text = f"{usd / 1e6:+,.2f}" if sign else f"{usd / 1e6:,.2f}"
    return f"{text} M$"


def _pct(part: float, digits: int, sign: bool = False) -> str:
    """A part in percent.

    >>> _pct(0.7119, 0, True), _pct(0.025, 1)
    ('+71 %', '2.5 %')
    """
    return f"{part * 100:{'+' if sign else ''}.{digits}f} %"


def _span(values: list[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _list(words: list[str]) -> str:
    """Words as a sentence lists them.

    >>> _list(["a"]), _list(["a", "b"]), _list(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _kind(kind: str) -> str:
    return kind.replace("_", " ")


def _bound(resource: str) -> str:
    words = {"kernel": "its own kernels", "nic": "the NICs", "nvlink": "NVLink", "fabric": "the fabric"}
    return words.get(resource, resource)
