"""Schedules: published bubbles, memory and counts per rank, and orders that can be executed."""

from collections import Counter
from itertools import pairwise

import pytest

from ideal_schedules import ACTIVATIONS, BUBBLES, ChunkTimes, idle_s
from netsim.errors import SpecError
from netsim.workloads.schedules import SCHEDULES, Order, dualpipe, dualpipe_v, schedule

#: forward, input gradient and weight gradient of one length, overlapping for free: what the formulas assume
EQUAL = ChunkTimes(forward=1.0, backward=2.0, weight=1.0, overlapped=3.0)


@pytest.mark.parametrize("rank", range(16))
def test_dualpipe_counts_per_rank_are_the_published_ones(rank: int) -> None:
    # PP16, 120 micro-batches, half-rank r: F 23 - r, pairs 97 + r, W 15 - r, B 23 - r;
    # at r = 7 one pair is not overlapped, which makes it one F and one full B more, and one pair less
    depth = min(rank, 15 - rank)
    extra = depth == 7
    chunks = dualpipe(16, 120).ranks[rank]
    counts = Counter(chunk.phase for chunk in chunks)
    assert counts["1F"] == 23 - depth + extra
    assert counts["1F1B"] == 97 + depth - extra
    assert counts["1W"] == 15 - depth
    assert counts["1B"] == 23 - depth + extra
    assert sum(chunk.phase == "1B" and chunk.weight is not None for chunk in chunks) == 8 + extra


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("ranks", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("rounds", [2, 3, 8])
def test_bubble_is_the_published_formula(name: str, ranks: int, rounds: int) -> None:
    idle = idle_s(schedule(name, ranks, ranks * rounds), EQUAL)
    assert idle == pytest.approx([BUBBLES[name](ranks, EQUAL)] * ranks, abs=1e-9)


@pytest.mark.parametrize("name", ["1f1b", "interleaved", "zb1p"])
def test_one_direction_meets_the_formula_with_any_lengths(name: str) -> None:
    uneven = ChunkTimes(forward=1.0, backward=2.3, weight=0.9, overlapped=99.0)
    assert idle_s(schedule(name, 8, 32), uneven) == pytest.approx([BUBBLES[name](8, uneven)] * 8)


def test_two_directions_never_idle_longer_than_the_formula() -> None:
    # a pair shorter than its parts: the formula is that of the rank that idles most
    overlapped = ChunkTimes(forward=1.0, backward=2.0, weight=1.0, overlapped=2.6)
    for order, ranks, name in ((dualpipe(16, 120), 16, "dualpipe"), (dualpipe_v(8, 60), 8, "dualpipe_v")):
        assert max(idle_s(order, overlapped)) == pytest.approx(BUBBLES[name](ranks, overlapped))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("ranks", [2, 4, 16])
def test_activations_stay_within_the_published_peak(name: str, ranks: int) -> None:
    order = schedule(name, ranks, 4 * ranks)
    stages_a_rank = len(order.stages_of(0))
    # under two directions a stage of either direction is a rank's layers; else a rank's layers are all its stages
    per_rank = stages_a_rank if name == "interleaved" else 1
    peaks = [_peak_in_flight(order, rank) / per_rank for rank in range(ranks)]
    assert max(peaks) <= ACTIVATIONS[name](ranks)
    assert max(peaks) >= ACTIVATIONS[name](ranks) - 2


def _peak_in_flight(order: Order, rank: int) -> int:
    """Units of one rank between their forward and their backward."""
    in_flight = peak = 0
    for chunk in order.ranks[rank]:
        in_flight += bool(chunk.forward)
        peak = max(peak, in_flight)
        in_flight -= bool(chunk.backward)
    return peak


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("ranks", "microbatches"), [(2, 4), (4, 8), (4, 20), (8, 16), (16, 128)])
def test_every_unit_passes_each_phase_once_and_in_order(name: str, ranks: int, microbatches: int) -> None:
    order = schedule(name, ranks, microbatches)
    seen: Counter[str] = Counter()
    for chunks in order.ranks:
        for part in ("forward", "backward", "weight"):
            units = [unit for chunk in chunks if (unit := getattr(chunk, part))]
            assert len(units) == len(set(units))
            seen[part] += len(units)
            for stage in {unit.stage for unit in units}:
                mine = [unit.microbatch for unit in units if unit.stage == stage]
                assert all(a < b for a, b in pairwise(mine))
    # every micro-batch meets every stage
    assert set(seen.values()) == {microbatches * order.stages}


@pytest.mark.parametrize("rounds", [2, 3, 8])
def test_more_virtual_stages_divide_the_bubble(rounds: int) -> None:
    # (ranks - 1) (F + B) of one stage, which is 1/rounds of a rank's layers (arXiv 2104.04473, section 2.2)
    order = schedule("interleaved", 4, 16, rounds)
    assert order.stages == 4 * rounds
    assert idle_s(order, EQUAL) == pytest.approx([3 * (EQUAL.forward + EQUAL.backward)] * 4)
    # rank 0 holds ranks (1 + (ranks - 1) / (ranks rounds)) micro-batches of its layers: warm-up and one
    assert _peak_in_flight(order, 0) == (4 - 1) * 2 + (rounds - 1) * 4 + 1


def test_holders() -> None:
    assert dualpipe(4, 8).holders == ((0, 3), (1, 2), (1, 2), (0, 3))
    assert dualpipe_v(2, 4).holders == ((0,), (1,), (1,), (0,))
    assert schedule("interleaved", 2, 4).holders == ((0,), (1,), (0,), (1,))


def test_virtual_stages_are_a_choice_of_one_schedule() -> None:
    assert schedule("interleaved", 4, 8, 2) == schedule("interleaved", 4, 8)
    with pytest.raises(
        SpecError, match=r"schedule\.virtual_stages = 4, has no effect under 1f1b, must be null"
    ):
        schedule("1f1b", 4, 8, 4)


@pytest.mark.parametrize(
    ("name", "ranks", "microbatches", "line"),
    [
        ("dualpipe", 3, 12, "DualPipe needs an even number of pipeline ranks"),
        ("dualpipe", 4, 6, "even number of at least 2 a pipeline rank = 8"),
        ("dualpipe", 4, 9, "even number of at least 2 a pipeline rank = 8"),
        ("dualpipe_v", 4, 7, "at least 2 a pipeline rank = 8"),
        ("interleaved", 4, 10, "a multiple of the 4 pipeline ranks"),
        ("dualpip", 4, 8, "did you mean 'dualpipe'"),
    ],
)
def test_what_cannot_be_scheduled_says_why(name: str, ranks: int, microbatches: int, line: str) -> None:
    with pytest.raises(SpecError, match=line):
        schedule(name, ranks, microbatches)
