"""The exchanges of a training step as collectives of the library: who takes part, how much each rank sends."""

from collections.abc import Sequence

import numpy as np
import pytest

from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.library import Library, Links
from netsim.collectives.overhead import Paths
from netsim.collectives.step import Ask, Batch, GroupShape, StepExchanges, members_a_host, step_batches
from netsim.errors import SpecError
from netsim.specs import load
from netsim.specs.protocol import ProtocolSpec
from netsim.workloads.tasks import Work

LINKS = Links(160e9, 44.8e9, Paths(3.33e-6, 2.8e-6))
GRADIENTS = Work("reduce_scatter", stage=0)
TENSOR, CONTEXT = Work("tensor_gather", "attn", "F"), Work("context_gather", "attn", "F")


def exchanges(
    placement: np.ndarray,
    asks: dict[Work, Sequence[Ask]],
    shape: GroupShape,
    holders: Sequence[Sequence[int]] = ((0,),),
    **forced: str,
) -> StepExchanges:
    library = Library(load(ProtocolSpec, "protocol", "nccl"), LINKS, forced)
    return StepExchanges(library, placement, 8, shape, holders, lambda work: asks[work])


def one_batch(
    placement: np.ndarray, work: Work, ask: Sequence[Ask], shape: GroupShape, **more: object
) -> Batch:
    made = exchanges(placement, {work: ask}, shape, **more)  # type: ignore[arg-type]
    (batch,) = step_batches(made, [(work, 0)], None)
    return batch


def sent(batch: Batch, mask: np.ndarray, gpus: int, size: float, moved: float) -> np.ndarray:
    """Bytes that each GPU sends per byte of size."""
    flows = batch.transfers
    return np.bincount(flows.source[mask], flows.share[mask], gpus) * moved / size


@pytest.mark.parametrize("expert", [1, 2, 4, 8])
def test_gradients_cross_the_nics_once_a_host_however_small_the_groups(expert: int) -> None:
    # two ranks of a host of 8 each, both holding the stage: rings of 16 over 2 hosts; each of 8 rings carries an eighth
    # over 15 steps of a sixteenth, so 15/16 x 1/8 on each NIC and 7 times that inside
    placement, size = np.arange(16).reshape(2, 8 // expert, expert), 1e9
    made = exchanges(
        placement, {GRADIENTS: [Ask("dense", "reduce_scatter", size)]}, GroupShape(expert), [(0, 1)]
    )
    (batch,) = step_batches(made, [(GRADIENTS, 0), (GRADIENTS, 1)], None)
    assert len(batch.members) == 2 * 8 // expert
    exchange = made.of(GRADIENTS, 1, 0)
    assert (exchange.key, exchange.size_bytes) == (batch.key, size)
    remote = batch.transfers.source // 8 != batch.transfers.target // 8
    moved = exchange.unit_bytes
    np.testing.assert_allclose(sent(batch, remote, 16, size, moved), 15 / 16 / 8)
    np.testing.assert_allclose(sent(batch, ~remote, 16, size, moved), 15 / 16 * 7 / 8)


def test_hosts_that_hold_unequal_parts_of_a_stage_are_refused() -> None:
    with pytest.raises(SpecError, match="share hosts of 8 GPUs evenly"):
        members_a_host(np.arange(12), 8)


def test_tensor_and_context_groups_are_those_of_the_rank_order() -> None:
    # one stage group of TP4 CP2 EP8 on a host: tensor {0-3}, {4-7}; context {0, 4}, {1, 5}, ...
    shape, placement = GroupShape(expert=8, tensor=4, context=2), np.arange(8).reshape(1, 1, 8)
    tensor = one_batch(placement, TENSOR, [Ask("tensor", "all_gather", 1e9)], shape).transfers
    context = one_batch(placement, CONTEXT, [Ask("context", "all_gather", 1e9)], shape).transfers
    assert set(zip(tensor.source // 4, tensor.target // 4, strict=True)) == {(0, 0), (1, 1)}
    assert (context.source % 4 == context.target % 4).all()
    assert set(context.source) == set(range(8))


def test_context_over_hosts_is_a_ring_of_same_index_ranks() -> None:
    # TP8 CP4 is four hosts: rings of four, each passing 3/4 of the buffer on in three steps
    shape, ask = GroupShape(expert=32, tensor=8, context=4), [Ask("context", "all_gather", 1e9)]
    placement = np.arange(32).reshape(1, 1, 32)
    batch = one_batch(placement, CONTEXT, ask, shape)
    (part,) = exchanges(placement, {CONTEXT: ask}, shape).of(CONTEXT, 0, 0).parts
    assert part.chosen.plan.remote_steps == 3
    assert set((batch.transfers.target - batch.transfers.source).tolist()) == {8, -24}
    np.testing.assert_allclose(batch.transfers.share * part.chosen.moved_bytes / 1e9, 3 / 4)


def test_parts_of_an_exchange_start_together_and_share_its_bytes() -> None:
    # two hosts of TP4, four replicas: a part that all hold alike, one for each of four tensor ranks
    placement = np.arange(16).reshape(1, 4, 4)
    ask = [Ask("dense", "all_gather", 1e9), Ask("divided", "all_gather", 3e9)]
    batch = one_batch(placement, GRADIENTS, ask, GroupShape(1, 4))
    exchange = exchanges(placement, {GRADIENTS: ask}, GroupShape(1, 4)).of(GRADIENTS, 0, 0)
    dense, divided = exchange.parts
    assert (dense.rows.shape, divided.rows.shape) == ((1, 16), (4, 4))
    assert divided.rows[1].tolist() == [1, 5, 9, 13]  # the second rank of each tensor group, two a host
    assert exchange.size_bytes == 4e9
    total = float(batch.transfers.share.sum()) * exchange.unit_bytes
    # all-gather: n - 1 parts of size/n, of each of n ranks
    assert total == pytest.approx(15 * 1e9 + 4 * 3 * 3e9)


def test_an_expert_of_one_copy_moves_nothing() -> None:
    made = exchanges(
        np.arange(8).reshape(1, 1, 8), {GRADIENTS: [Ask("expert", "all_gather", 1e9)]}, GroupShape(8)
    )
    assert made.of(GRADIENTS, 0, 0).key is None
    assert step_batches(made, [(GRADIENTS, 0)], None) == []


def test_a_send_is_one_way_and_knows_whether_it_leaves_the_host() -> None:
    # pipeline ranks of four GPUs: the first two share a host, the next do not
    send = Work("send_forward", step=1)
    placement = np.arange(16).reshape(4, 1, 4)
    made = exchanges(placement, {send: [Ask("send", "send_recv", 1e6)]}, GroupShape(4))
    inside, across = made.of(send, 0, 0), made.of(send, 1, 0)
    assert [part.chosen.plan.remote_steps for part in (*inside.parts, *across.parts)] == [0, 1]
    batches = step_batches(made, [(send, 0), (send, 1)], None)
    assert [batch.transfers.source.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [batch.transfers.target.tolist() for batch in batches] == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert batches[0].members == ((0, 1), (1, 2))  # sender, receiver


def test_reduce_and_gather_that_move_alike_are_one_batch_and_forced_ones_are_not() -> None:
    scatter, gather = Work("reduce_scatter", stage=0), Work("all_gather", stage=0)
    asks = {
        scatter: [Ask("dense", "reduce_scatter", 4e9)],
        gather: [Ask("dense", "all_gather", 2e9)],
    }
    placement, works = np.arange(16).reshape(1, 2, 8), [(scatter, 0), (gather, 0)]
    assert len(step_batches(exchanges(placement, asks, GroupShape(1)), works, None)) == 1
    forced = exchanges(placement, asks, GroupShape(1), all_gather="hierarchical")
    assert len(step_batches(forced, works, None)) == 2


@pytest.mark.parametrize("kind", ["all_reduce", "reduce_scatter", "all_gather"])
def test_every_algorithm_may_run_a_gradient_exchange(kind: str) -> None:
    for name in COLLECTIVES[kind].algorithms:
        if name in ("one_host", "nvls"):
            continue  # not over two hosts
        work = Work("reduce_scatter", stage=0)
        made = exchanges(
            np.arange(16).reshape(1, 2, 8), {work: [Ask("dense", kind, 1e9)]}, GroupShape(1), **{kind: name}
        )
        (batch,) = step_batches(made, [(work, 0)], None)
        assert set(batch.transfers.source) == set(range(16))
