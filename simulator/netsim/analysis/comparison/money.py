"""What a recommendation's prices depend on: other books, low and high offers, growth, and thinner fabrics.

prices   a row a fabric and book: the network at the book's low, typical and high prices, all parts moved together
growth   the network of the same fabric at two and four times the GPUs, bought anew; sizes that it does not hold are
         left out, and so are those beyond `LARGE`
tapered  the recommended fabric with fewer uplinks a leaf: the step, simulated again, and the bill

Left out: what can be kept of a network when it grows, and price books of the same part at different dates.
"""

from __future__ import annotations

from netsim.analysis.choice import cheapest, nearly_fastest
from netsim.analysis.comparison.phrases import Row, listed, musd, percent, rows_of
from netsim.analysis.comparison.question import CompareRequest, Point
from netsim.analysis.fabrics import cost_curve
from netsim.cost.bill import network_cost
from netsim.errors import NetsimError
from netsim.specs import catalog, load
from netsim.specs.case import Case
from netsim.specs.prices import PriceBook
from netsim.topologies import Topology, build
from netsim.training.headline import headline
from netsim.training.simulate import simulate
from netsim.training.step_record import contract

#: growth beyond this is not looked at
LARGE = 65536
#: capacity down over up at a leaf that is tried where there is none
TAPERS = (2.0, 4.0)
#: a bill that falls by less than this is no reason to taper
_WORTH = 0.01
LEVELS = ("low", "typical", "high")


def price_rows(topology: Topology, own: PriceBook) -> list[Row]:
    """The network in the case's book and in every book that ships."""
    books = {own.name: own}
    for name in catalog.names("prices"):
        book = load(PriceBook, "prices", name)
        books.setdefault(book.name, book)
    rows = []
    for book in books.values():
        try:
            cost = network_cost(topology, book)
        except NetsimError:  # a book whose cables do not reach says nothing of this fabric
            continue
        ends = (cost["network_usd_low"], cost["network_usd"], cost["network_usd_high"])
        rows.append({"book": book.name, **{f"{k}_usd": v for k, v in zip(LEVELS, ends, strict=True)}})
    return rows


def growth_rows(case: Case, gpus: int) -> list[Row]:
    """The bill at two and four times the size."""
    sizes = [n * gpus for n in (2, 4) if n * gpus <= LARGE]
    found = cost_curve([case.topology], case.hardware, case.prices, sizes)
    return [{"grown_gpus": row["gpus"], "grown_usd_per_gpu": row["usd_per_gpu"]} for row in found]


def taper(request: CompareRequest, point: Point) -> list[Row]:
    """Rows of the point's fabric with fewer uplinks a leaf, where that makes the network cheaper."""
    asked = request.question
    if any(key.split(".")[-1] == "oversubscription" for key in asked.overrides):
        return []
    case = request.case(point)
    if case.topology.tiers < 2 or any(ratio != 1.0 for ratio in case.topology.oversubscription):
        return []
    before = network_cost(build(case.topology, case.hardware, point.gpus), case.prices)["network_usd"]
    key = {"topology": case.topology.name, "workload": case.workload.name, "gpus": point.gpus}
    rows: list[Row] = []
    for ratio in TAPERS:
        ratios = [ratio, *case.topology.oversubscription[1:]]
        changed = asked.changed(
            topology=point.topology, workload=point.workload, gpus=point.gpus,
            overrides={**asked.overrides, "oversubscription": ratios},
        )  # fmt: skip
        try:
            thin = changed.case()
            bill = network_cost(build(thin.topology, thin.hardware, point.gpus), thin.prices)
            if bill["network_usd"] > before * (1.0 - _WORTH):
                continue
            found = headline(contract(simulate(thin, point.gpus, scaling=asked.scaling, seed=asked.seed)))
        except NetsimError:
            continue
        columns = ("step_time_s", "network_usd", "power_kw", "fits_memory")
        rows.append(key | {"oversubscription": str(ratios), **{name: found[name] for name in columns}})
    return rows


def grown_usd(record: Row, row: Row, scenario: tuple[str, int]) -> float:
    """Dollars a GPU at the largest size that any fabric was grown to; infinite where this one does not grow so far."""
    sizes = [each["grown_gpus"] for each in rows_of(record, "growth", scenario)]
    mine = rows_of(record, "growth", scenario, row["topology"])
    found = [each["grown_usd_per_gpu"] for each in mine if each["grown_gpus"] == max(sizes)]
    return float(found[0]) if found else float("inf") if sizes else 0.0


def winners(record: Row, rows: list[Row], scenario: tuple[str, int], near: float, equal: float) -> Row:
    """{book: {level: names}}: the cheapest of the nearly fastest at the low, typical and high prices of each book."""
    quick = nearly_fastest(rows, near)
    priced = [r for row in quick for r in rows_of(record, "prices", scenario, row["topology"])]
    found: Row = {}
    for book in dict.fromkeys(row["book"] for row in priced):
        mine = [row for row in priced if row["book"] == book]
        found[book] = {
            level: [r["topology"] for r in cheapest(mine, equal, f"{level}_usd")] for level in LEVELS
        }
    return found


def book_words(won: Row, take: str, own: str) -> list[str]:
    """Whether a recommendation holds at low and high prices, and in which books it flips."""
    if own not in won:
        return []
    moved = [f"{listed(names)} at {level}" for level, names in won[own].items() if take not in names]
    text = f"By the prices of the book {own}"
    said = [f"{text} {listed(moved)} prices, all moved together." if moved
            else f"{text} it holds at low, typical and high prices, moved together."]  # fmt: skip
    others = {book: levels for book, levels in won.items() if book != own}
    for book, levels in others.items():
        flips = {level: names for level, names in levels.items() if take not in names}
        if not flips:
            said.append(f"The book {book} gives the same, at low, typical and high prices.")
        elif len({tuple(names) for names in flips.values()}) == 1 and len(flips) == len(LEVELS):
            said.append(f"It flips with the book {book}: {listed(next(iter(flips.values())))} instead.")
        else:
            words = [f"{listed(names)} at {level}" for level, names in flips.items()]
            said.append(f"It flips with the book {book}: {listed(words)} prices.")
    return said


def taper_words(take: Row, thin: Row) -> str:
    """What fewer uplinks save, and what the cluster's time would have to be worth."""
    saved = take["network_usd"] - thin["network_usd"]
    slower = thin["step_time_s"] / take["step_time_s"] - 1
    text = (
        f"{take['topology']} with oversubscription {thin['oversubscription']} saves {musd(saved)} "
        f"({percent(saved / take['network_usd'], 0)}) for a step {percent(slower, 1, True)}"
    )
    if slower <= 0.0:
        return f"{text}: take it."
    worth = musd(saved / (100 * slower))
    return f"{text}: the better choice only where 1 % of the cluster's time, over its life, is worth less than {worth}."
