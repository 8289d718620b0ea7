"""When everything of an iteration happens: layers of stages on a compute and a communication queue.

A rank runs two queues in order. A micro-batch passes the stages of each layer one after the other:

    attn_0 -> attn_1 -> dispatch -> experts -> combine -> merge       (moe; `shared` after attn_1, before merge)
    attn_0 -> attn_1 -> mlp                                           (dense)

dispatch and combine on the communication queue, the rest on the compute queue. How the micro-batches take turns:

    none         one micro-batch, everything in turn
    three_stage  attn_0 attn_1 dispatch | experts combine | shared merge      the second micro-batch one turn behind
    five_stage   attn_0 | attn_1 | dispatch shared | experts combine | merge  the second two parts behind

A turn hands the compute queue to the other micro-batch, so each transfer hides behind the other one's turn. In the
steady state of `five_stage`, with two equal micro-batches,

    a MoE layer = 2 (max(dispatch, shared + merge + attn_0) + experts + max(combine, attn_1))

which is 2 (dispatch + combine) without compute and the sum of the stages without transfers.

All ranks are equally fast and move in step, so one stands for all. Left out: preemption, and transfers of both
micro-batches at once (they queue).

Source: DeepSeek-V3/R1 Inference System Overview (2025-03): two micro-batches in prefill, a 5-stage pipeline with
attention in two parts in decode; the parts as in SGLang's two-batch overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from netsim.execution.executor import Program, execute
from netsim.specs.inference import Overlap

COMPUTE, COMMUNICATION = 0, 1
TRANSFERS = ("dispatch", "combine")

#: parts of a layer between two turns, and how many parts the second micro-batch is behind
SCHEMES: dict[Overlap, tuple[tuple[tuple[str, ...], ...], int]] = {
    "none": ((("attn_0", "attn_1", "dispatch", "shared", "mlp", "experts", "combine", "merge"),), 0),
    "three_stage": (
        (("attn_0", "attn_1", "dispatch"), ("mlp", "experts", "combine"), ("shared", "merge")),
        0,
    ),
    "five_stage": (
        (("attn_0",), ("attn_1",), ("dispatch", "shared"), ("mlp", "experts", "combine"), ("merge",)),
        2,
    ),
}


@dataclass(frozen=True)
class Layer:
    """Seconds of each stage of a layer for one micro-batch; stages that it lacks take none and are not shown."""

    name: str
    seconds: dict[str, float]


@dataclass(frozen=True)
class Span:
    """One stage that ran."""

    microbatch: int
    layer: str
    stage: str
    start_s: float
    end_s: float

    @property
    def queue(self) -> int:
        """COMPUTE or COMMUNICATION."""
        return COMMUNICATION if self.stage in TRANSFERS else COMPUTE


@dataclass(frozen=True)
class Timeline:
    """An iteration: its spans in program order."""

    spans: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """Until the last span has ended."""
        return max(span.end_s for span in self.spans)

    def busy_s(self, queue: int) -> float:
        """Time that a queue works."""
        return sum(span.end_s - span.start_s for span in self.spans if span.queue == queue)

    @property
    def hidden_fraction(self) -> float:
        """Share of the transfers' time during which the rank computes; 1 without transfers."""
        moved = self.busy_s(COMMUNICATION)
        # both queues are busy for: compute + communication - (time that either is)
        both = self.busy_s(COMPUTE) + moved - self._either()
        return both / moved if moved else 1.0

    def _either(self) -> float:
        total = reached = 0.0
        for span in sorted(self.spans, key=lambda s: s.start_s):
            total += max(0.0, span.end_s - max(span.start_s, reached))
            reached = max(reached, span.end_s)
        return total


def run(microbatches: Sequence[Sequence[Layer]], overlap: Overlap) -> Timeline:
    """Run the layers of each micro-batch on the executor: one where `overlap` is none, else two.

    >>> layer = Layer("0", {"attn_1": 3.0, "dispatch": 1.0, "experts": 2.0, "combine": 2.0})
    >>> run([[layer]], "none").seconds, run([[layer], [layer]], "three_stage").seconds
    (8.0, 12.0)
    """
    issued = list(_program(microbatches, overlap))
    ran = execute(_queued(issued, overlap))
    times = zip(ran.start_s.tolist(), ran.end_s.tolist(), strict=True)
    return Timeline(
        tuple(
            Span(microbatch, layer.name, stage, start, end)
            for (microbatch, layer, stage), (start, end) in zip(issued, times, strict=True)
        )
    )


def _queued(issued: Sequence[tuple[int, Layer, str]], overlap: Overlap) -> Program:
    """One rank's program: what each stage waits for. Without overlap all is one queue."""
    last: dict[tuple[int, str], int] = {}
    waits: list[list[int]] = []
    for task, (microbatch, _, stage) in enumerate(issued):
        after = ["attention"] if stage == "shared" else ["chain"]
        if stage in ("merge", "attn_0"):
            after.append("side")
        waits.append([last[microbatch, name] for name in after if (microbatch, name) in last])
        last[microbatch, "side" if stage == "shared" else "chain"] = task
        if stage == "attn_1":
            last[microbatch, "attention"] = task
    n = len(issued)
    queue = [COMMUNICATION if stage in TRANSFERS and overlap != "none" else COMPUTE for _, _, stage in issued]
    return Program(
        actor=np.zeros(n, dtype=np.int64),
        queue=np.array(queue, dtype=np.int64),
        seconds=np.array([layer.seconds[stage] for _, layer, stage in issued]),
        transfer=np.full(n, -1, dtype=np.int64),
        wait_ptr=np.concatenate([[0], np.cumsum([len(each) for each in waits])]).astype(np.int64),
        wait_ids=np.array([task for each in waits for task in each], dtype=np.int64),
        transfers=(),
        joint_size=(),
    )


def _program(microbatches: Sequence[Sequence[Layer]], overlap: Overlap) -> Iterator[tuple[int, Layer, str]]:
    """(micro-batch, layer, stage) in the order in which a rank issues them."""
    parts, behind = SCHEMES[overlap]
    turns: list[list[list[tuple[Layer, str]]]] = [
        [[]] * (behind * n)
        + [[(layer, stage) for stage in part if stage in layer.seconds] for layer in layers for part in parts]
        for n, layers in enumerate(microbatches)
    ]
    for together in zip_longest(*turns, fillvalue=[]):
        for microbatch, turn in enumerate(together):
            for layer, stage in turn:
                yield microbatch, layer, stage
