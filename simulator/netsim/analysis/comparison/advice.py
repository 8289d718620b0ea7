"""What to take, why, and under which conditions, each sentence made of the comparison's numbers.

The recommended fabric is the cheapest of those whose step is within half a percent of the quickest and that fit into
GPU memory; where several cost the same, the one that draws less, then costs less at four times the size, then has the
lower worst latency. A cheaper and slower fabric, or the same with fewer uplinks, is named with what the cluster's time
would have to be worth; and it is said in which price books something else would be taken.
"""

from __future__ import annotations

from netsim.analysis.choice import cheapest, fitting, nearly_fastest
from netsim.analysis.comparison.decide import EQUAL, QUICK, SUPPORT
from netsim.analysis.comparison.money import book_words, grown_usd, taper_words, winners
from netsim.analysis.comparison.phrases import Row, listed, musd, percent, rows_of, scenarios
from netsim.analysis.uncertainty.draws import in_words


def recommendations(record: Row) -> list[Row]:
    """One for each scenario that has any fabric."""
    found = []
    for scenario in scenarios(record):
        every = rows_of(record, "comparison", scenario)
        rows = fitting(every)
        if every and not rows:
            found.append(_none_fits(scenario, every))
        elif rows:
            found.append(_recommend(record, scenario, rows))
    return found


def _recommend(record: Row, scenario: tuple[str, int], rows: list[Row]) -> Row:
    decision: Row = next((d for d in record["decisions"] if (d["workload"], d["gpus"]) == scenario), {})
    quick = nearly_fastest(rows, QUICK)
    cheap = cheapest(quick, EQUAL)
    grown = {row["topology"]: grown_usd(record, row, scenario) for row in cheap}
    take = min(
        cheap, key=lambda r: (round(r["power_kw"], 1), round(grown[r["topology"]], 2), r["worst_latency_us"])
    )
    book = record["question"]["price_book"]
    won = winners(record, rows, scenario, QUICK, EQUAL)
    unsure = bool(decision) and decision["support"][take["topology"]] < SUPPORT
    return {
        "workload": scenario[0],
        "gpus": scenario[1],
        "topology": None if unsure else take["topology"],
        "sentence": _undecided(decision) if unsure else _reason(take, rows, quick, cheap, grown),
        "draws": [] if unsure or not decision else [pair["sentence"] for pair in decision["pairs"]],
        "prices": [] if unsure or len(rows) < 2 else book_words(won, take["topology"], book),
        "condition": _condition(record, take),
        "otherwise": [
            *(
                taper_words(take, thin)
                for thin in fitting(rows_of(record, "tapered", scenario, take["topology"]))
            ),
            *(
                _break_even(take, row)
                for row in rows
                if row["network_usd"] < take["network_usd"] * (1 - EQUAL)
            ),
        ],
    }


def _none_fits(scenario: tuple[str, int], rows: list[Row]) -> Row:
    """Nothing can be taken: the job needs more memory than a GPU has."""
    least = min(row["memory_gb"] for row in rows)
    return {
        "workload": scenario[0], "gpus": scenario[1], "topology": None, "draws": [], "prices": [], "otherwise": [],
        "sentence": f"Nothing is recommended: the job does not fit into GPU memory, it needs {least:.1f} GB.",
        "condition": "A fabric changes nothing about it: another split of the model does.",
    }  # fmt: skip


def _undecided(decision: Row) -> str:
    """Why nothing is recommended: what the draws would take."""
    shares = sorted(decision["support"].items(), key=lambda item: -item[1])
    words = [f"{name} in {in_words(share)}" for name, share in shares if share > 0.0]
    return f"No fabric is recommended: what netsim is sure of would take {listed(words)}."


def _reason(take: Row, rows: list[Row], quick: list[Row], cheap: list[Row], grown: dict[str, float]) -> str:
    name, price = take["topology"], f"{musd(take['network_usd'])} and {take['power_kw']:,.0f} kW"
    if len(rows) == 1:
        return f"{name} is the only fabric that could be simulated here: {take['step_time_s']:.3f} s a step, {price}."
    text = f"Take {name}: {take['step_time_s']:.3f} s a step for {price}."
    dearer = [row for row in quick if row["network_usd"] > take["network_usd"] * (1 + EQUAL)]
    if dearer:
        worst = max(dearer, key=lambda row: row["network_usd"])
        saved = worst["network_usd"] - take["network_usd"]
        text += (
            f" {worst['topology']} gives the same step and costs {musd(saved)} more "
            f"({percent(saved / take['network_usd'], 0, True)}, {worst['power_kw'] - take['power_kw']:+,.0f} kW)."
        )
    slower = [row for row in rows if row not in quick]
    if slower:
        words = [
            f"{row['topology']} {percent(row['step_time_s'] / take['step_time_s'] - 1, 1, True)}"
            for row in slower
        ]
        text += f" Slower: {listed(words)}."
    ties = [row for row in cheap if row is not take]
    if ties:
        text += f" {listed([row['topology'] for row in ties])} {_tie(take, ties, grown)}."
    return text


def _tie(take: Row, ties: list[Row], grown: dict[str, float]) -> str:
    same = f"cost{'s' if len(ties) == 1 else ''} the same and {'is' if len(ties) == 1 else 'are'} as quick"
    if any(row["power_kw"] > take["power_kw"] + 0.1 for row in ties):
        return f"{same}, but draw{'s' if len(ties) == 1 else ''} more power"
    later = min(grown[row["topology"]] for row in ties)
    if later == float("inf") > grown[take["topology"]]:
        grow = "does" if len(ties) == 1 else "do"
        return f"{same}, but {grow} not grow to four times the size"
    if later > grown[take["topology"]] * (1 + EQUAL):
        dearer = percent(later / grown[take["topology"]] - 1, 0)
        return f"{same}, but a GPU's part of the network is {dearer} dearer at four times the size"
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
    free = question["leaves_out"]
    return (
        f"Under these conditions: the job has the cluster for itself, ranks are {ranks}, nothing fails; {where}. "
        f"{book} ({question['status']}). Not in the price: {free}."
    )


def _break_even(take: Row, row: Row) -> str:
    """What a cheaper and slower fabric would have to be worth."""
    saved = take["network_usd"] - row["network_usd"]
    slower = row["step_time_s"] / take["step_time_s"] - 1
    return (
        f"{row['topology']} saves {musd(saved)} for a step {percent(slower, 1)} longer: the better choice only where "
        f"1 % of the cluster's time, over its life, is worth less than {musd(saved / (100 * slower))}."
    )
