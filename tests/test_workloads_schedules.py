"""Schedules: published counts per rank, and orders that can be executed."""

from collections import Counter

import pytest

from netsim.errors import SpecError
from netsim.workloads.schedules import SCHEDULES, Chunk, Unit, dualpipe, one_f_one_b, schedule, stage_of


@pytest.mark.parametrize(("rank", "depth"), [(r, min(r, 15 - r)) for r in range(16)])
def test_dualpipe_counts_per_rank_are_the_published_ones(rank: int, depth: int) -> None:
    # PP16, 120 micro-batches, half-rank r: F 23 - r, pairs 97 + r, W 15 - r, B 23 - r;
    # at r = 7 one pair is not overlapped, which makes it one F and one full B more, and one pair less
    extra = depth == 7
    chunks = dualpipe(16, 120)[rank]
    counts = Counter(chunk.phase for chunk in chunks)
    assert counts["1F"] == 23 - depth + extra
    assert counts["1F1B"] == 97 + depth - extra
    assert counts["1W"] == 15 - depth
    assert counts["1B"] == 23 - depth + extra
    assert sum(chunk.phase == "1B" and chunk.weight is not None for chunk in chunks) == 8 + extra


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("ranks", "microbatches"), [(2, 4), (4, 8), (4, 20), (8, 16), (16, 120)])
def test_every_microbatch_passes_every_stage_once_in_each_phase(
    name: str, ranks: int, microbatches: int
) -> None:
    for chunks in schedule(name, ranks, microbatches):
        for part in ("forward", "backward", "weight"):
            units = [unit for chunk in chunks if (unit := getattr(chunk, part))]
            assert len(units) == len(set(units)) == microbatches


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("ranks", "microbatches"), [(2, 4), (4, 8), (6, 18), (16, 120)])
def test_orders_run_to_their_end(name: str, ranks: int, microbatches: int) -> None:
    """Replaying the orders, each chunk waiting for its neighbours, never gets stuck."""
    order = schedule(name, ranks, microbatches)
    done: set[tuple[str, Unit, int]] = set()
    heads = [0] * ranks
    moved = True
    while moved:
        moved = False
        for rank, chunks in enumerate(order):
            while heads[rank] < len(chunks) and _ready(chunks[heads[rank]], rank, ranks, done):
                _finish(chunks[heads[rank]], rank, ranks, done)
                heads[rank] += 1
                moved = True
    assert heads == [len(chunks) for chunks in order]


def _ready(chunk: Chunk, rank: int, ranks: int, done: set[tuple[str, Unit, int]]) -> bool:
    if chunk.forward:
        stage = stage_of(rank, chunk.forward.direction, ranks)
        if stage and ("F", chunk.forward, stage - 1) not in done:
            return False
    if chunk.backward:
        stage = stage_of(rank, chunk.backward.direction, ranks)
        if stage < ranks - 1 and ("B", chunk.backward, stage + 1) not in done:
            return False
        if ("F", chunk.backward, stage) not in done:
            return False
    return (
        not chunk.weight
        or bool(chunk.backward)
        or ("B", chunk.weight, stage_of(rank, chunk.weight[0], ranks)) in done
    )


def _finish(chunk: Chunk, rank: int, ranks: int, done: set[tuple[str, Unit, int]]) -> None:
    for name, unit in (("F", chunk.forward), ("B", chunk.backward)):
        if unit:
            done.add((name, unit, stage_of(rank, unit.direction, ranks)))


def test_one_f_one_b_keeps_at_most_the_remaining_ranks_in_flight() -> None:
    for rank, chunks in enumerate(one_f_one_b(4, 12)):
        in_flight = peak = 0
        for chunk in chunks:
            in_flight += bool(chunk.forward) - bool(chunk.backward)
            peak = max(peak, in_flight)
        assert peak == 4 - rank


@pytest.mark.parametrize(("ranks", "microbatches"), [(3, 12), (4, 6), (4, 9), (1, 2)])
def test_dualpipe_says_what_it_needs(ranks: int, microbatches: int) -> None:
    with pytest.raises(SpecError, match="DualPipe needs an even number"):
        dualpipe(ranks, microbatches)


def test_unknown_schedule_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean 'dualpipe'"):
        schedule("dualpip", 4, 8)
