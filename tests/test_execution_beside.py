"""Exchanges beside the block that needs them, and SMs that they hold: the algebra in seconds, then the executor."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.execution.executor import Execution, Lag, Program, Transfer, execute
from netsim.execution.exposure import exposure
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.training.beside import Parts


def run(moved: float, early: dict[int, Lag], late: dict[int, tuple[Lag, ...]], sms: int = 0) -> Execution:
    """A compute task of 4 s and a transfer of `moved` bytes at 1 byte/s, on queues of their own."""
    table = FlowTable(
        link_ptr=np.array([0, 1]), link_ids=np.array([0]), link_share=np.ones(1), batch_ptr=np.array([0, 1]),
        unit_share=np.ones(1), rate_cap=np.array([np.inf]), weight=np.ones(1),
    )  # fmt: skip
    program = Program(
        actor=np.zeros(2, int), queue=np.array([0, 1]), seconds=np.array([4.0, np.nan]), transfer=np.array([-1, 0]),
        wait_ptr=np.zeros(3, int), wait_ids=np.zeros(0, int), transfers=[Transfer(0, moved, np.inf, 0.0, sms=sms)],
        joint_size=[], early=early, late=late, slope=np.array([0.25, 0.0]) if sms else None,
    )  # fmt: skip
    return execute(program, FluidNetwork(np.array([1.0]), table))


@pytest.mark.parametrize("exchange", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("chunks", [2, 4, 8])
def test_a_gathered_input_hides_behind_its_product_but_for_a_chunk(exchange: float, chunks: int) -> None:
    block = Parts(total_s=4.0, first_s=4.0, last_s=0.0, before_s=0.0, core_s=0.0)
    found = run(exchange, {}, {0: (Lag(1, block.rest_s("gathered", chunks, 0, 1)),)})
    # the rank's own chunk is there, so the product starts at once; its last chunk follows the last of the exchange
    assert found.end_s[0] == pytest.approx(max(4.0, exchange + 4.0 / chunks))
    assert found.stall_s is not None
    assert found.stall_s[0] == pytest.approx(found.end_s[0] - 4.0)


@pytest.mark.parametrize("exchange", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("chunks", [2, 4, 8])
def test_a_scattered_output_hides_behind_its_product_but_for_a_chunk(exchange: float, chunks: int) -> None:
    block = Parts(total_s=4.0, first_s=0.0, last_s=4.0, before_s=0.0, core_s=0.0)
    early = {1: Lag(0, block.rest_s("first_out", 0, chunks, 1))}
    found = run(exchange, early, {1: (Lag(0, exchange / chunks),)})
    assert found.end_s.max() == pytest.approx(max(4.0 + exchange / chunks, exchange + 4.0 / chunks))


def test_ring_attention_passes_keys_on_beside_it() -> None:
    # 1 s of projections, 2 s of attention, 1 s behind it; two ranks: half of attention waits for the other's keys
    block = Parts(total_s=4.0, first_s=1.0, last_s=1.0, before_s=1.0, core_s=2.0)
    for exchange, end in ((0.5, 4.0), (1.0, 4.0), (3.0, 1.0 + 3.0 + 1.0 + 1.0)):
        found = run(
            exchange,
            {1: Lag(0, block.rest_s("keys", 1, 1, 2))},
            {0: (Lag(1, block.rest_s("all_keys", 1, 1, 2)),)},
        )
        assert found.start_s[1] == pytest.approx(1.0)
        assert found.end_s[0] == pytest.approx(end)


def test_an_exchange_slows_compute_only_while_it_is_resident() -> None:
    # 2 SMs at 0.25 a piece: in the 3 s of the exchange 2 s of work are done, and then the other 2
    assert run(3.0, {}, {}, sms=2).end_s[0] == pytest.approx(3.0 + 2.0)
    assert run(1e-9, {}, {}, sms=2).end_s[0] == pytest.approx(4.0)
    # resident all the time: 4 s of work at 1 / 1.5
    assert run(9.0, {}, {}, sms=2).end_s[0] == pytest.approx(6.0)


def test_what_a_block_stands_still_is_exposed() -> None:
    found = run(6.0, {}, {0: (Lag(1, 1.0),)})  # until 7; of the exchange's 6 s, 3 are beside compute
    stall = found.stall_s
    assert stall is not None
    columns = (np.zeros(2, int), np.array([0, 1]), np.array([0, 1]), np.array(["moe", "tensor_gather"]))
    seen = exposure(*columns, found.start_s + np.array([stall[0], 0.0]), found.end_s, np.ones(1, int))
    assert seen == pytest.approx((3.0, 0.5))
