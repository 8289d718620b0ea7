"""Schedules in one direction: 1F1B, interleaved 1F1B and ZB1P.

1F1B runs one backward for every forward once the pipeline is full, so that no more than `ranks` micro-batches are in
flight. Interleaved 1F1B gives every rank several stages (*virtual* stages, a round of the pipeline apart), which
divides the bubble by their number and multiplies the sends. ZB1P splits the backward, puts the weight gradients of
rank r off by r micro-batches, and fills the drain with them, at the memory of 1F1B.

*Paired*, a forward runs beside the backward of another micro-batch, so that the exchanges of one hide behind the
compute of the other (Megatron-LM, overlap_moe_expert_parallel_comm). A rank then has a forward and a backward under way
in every slot, so it must be two micro-batches ahead of the next rank: interleaved 1F1B is, 1F1B is not.

Sources: Narayanan et al., SC 2021, arXiv 2104.04473 (1F1B, interleaved); Qi et al., ICLR 2024, arXiv 2401.10241, ZB-H1,
which the DeepSeek-V3 report calls ZB1P.
"""

from __future__ import annotations

from collections.abc import Sequence

from netsim.errors import SpecError
from netsim.workloads.schedules.order import (
    Chunk,
    Order,
    Unit,
    forward,
    full_backward,
    input_backward,
    weight,
)

#: stages of a rank under the interleaved schedule, where the job does not say
VIRTUAL_STAGES = 2


def one_f_one_b(ranks: int, microbatches: int, paired: bool = False) -> Order:
    """1F1B; paired : a forward beside the backward of another micro-batch, for a pipeline of one rank.

    >>> [chunk.phase for chunk in one_f_one_b(2, 2).ranks[0]]
    ['1F', '1F', '1B', '1B']
    """
    if paired:
        return Order(
            (
                _paired(
                    [Unit(0, m) for m in range(microbatches)], [Unit(0, m) for m in range(microbatches)], 1
                ),
            )
        )
    return Order(tuple(_one_f_one_b(rank, ranks, microbatches) for rank in range(ranks)))


def _paired(forwards: Sequence[Unit], backwards: Sequence[Unit], warmup: int) -> tuple[Chunk, ...]:
    """Forwards ahead by `warmup`, the rest each beside a backward, and the backwards that are left."""
    chunks = [forward(unit) for unit in forwards[:warmup]]
    chunks += [Chunk(ahead, back, back) for ahead, back in zip(forwards[warmup:], backwards, strict=False)]
    return tuple(chunks + [full_backward(unit) for unit in backwards[len(forwards) - warmup :]])


def _one_f_one_b(rank: int, ranks: int, microbatches: int) -> tuple[Chunk, ...]:
    warmup = min(ranks - 1 - rank, microbatches)
    chunks = [forward(Unit(rank, m)) for m in range(warmup)]
    for m in range(warmup, microbatches):
        chunks += [forward(Unit(rank, m)), full_backward(Unit(rank, m - warmup))]
    return tuple(chunks + [full_backward(Unit(rank, m)) for m in range(microbatches - warmup, microbatches)])


def interleaved(ranks: int, microbatches: int, rounds: int = VIRTUAL_STAGES, paired: bool = False) -> Order:
    """Interleaved 1F1B with `rounds` stages a rank; stage s is on rank s modulo `ranks`.

    paired : every forward of the steady state beside a backward, for which one more runs ahead, as in Megatron-LM

    Raises SpecError unless the micro-batches are a multiple of the ranks.
    """
    if microbatches % ranks:
        rule = f"interleaved 1F1B needs a multiple of the {ranks} pipeline ranks"
        raise SpecError("schedule", "micro-batches a pipeline", microbatches, rule)
    return Order(tuple(_interleaved(rank, ranks, microbatches, rounds, paired) for rank in range(ranks)))


def _interleaved(rank: int, ranks: int, microbatches: int, rounds: int, paired: bool) -> tuple[Chunk, ...]:
    total = microbatches * rounds

    def unit(step: int, backward: bool) -> Unit:
        """Groups of `ranks` micro-batches pass one virtual stage after the other."""
        group, within = divmod(step, ranks * rounds)
        virtual = within // ranks
        virtual = rounds - 1 - virtual if backward else virtual
        return Unit(virtual * ranks + rank, group * ranks + within % ranks)

    warmup = min((ranks - rank - 1) * 2 + (rounds - 1) * ranks + paired, total)
    if paired:
        return _paired(
            [unit(step, False) for step in range(total)], [unit(step, True) for step in range(total)], warmup
        )
    chunks = [forward(unit(step, False)) for step in range(warmup)]
    for step in range(total - warmup):
        chunks += [forward(unit(step + warmup, False)), full_backward(unit(step, True))]
    return tuple(chunks + [full_backward(unit(step, True)) for step in range(total - warmup, total)])


def zero_bubble(ranks: int, microbatches: int) -> Order:
    """ZB1P: 1F1B with the weight gradients of rank r put off by r micro-batches."""
    return Order(tuple(_zero_bubble(rank, ranks, microbatches) for rank in range(ranks)))


def _zero_bubble(rank: int, ranks: int, microbatches: int) -> tuple[Chunk, ...]:
    chunks: list[Chunk] = []
    for chunk in _one_f_one_b(rank, ranks, microbatches):
        if not chunk.backward:
            chunks.append(chunk)
            continue
        chunks.append(input_backward(chunk.backward))
        if chunk.backward.microbatch >= rank:
            chunks.append(weight(Unit(rank, chunk.backward.microbatch - rank)))
    late = range(max(microbatches - rank, 0), microbatches)
    return tuple(chunks + [weight(Unit(rank, m)) for m in late])
