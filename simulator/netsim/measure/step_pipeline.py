"""1F1B of a cut that is divided by layers: who computes which micro-batch when, and what travels between stages.

Activations go down one process group and gradients up another, both without waiting for the other side, so that no two
transfers wait for each other. Left out: interleaved and other schedules.

Source: Narayanan et al., SC 2021, arXiv 2104.04473, figure 4.
"""

from __future__ import annotations

from typing import Any

from netsim.measure.step_cut import Cut


class Ends:
    """What a stage receives from its neighbours and sends to them."""

    def __init__(self, torch: Any, cut: Cut, stage: int, device: Any) -> None:
        self.torch, self.cut, self.stage, self.device = torch, cut, stage, device
        self.dist = torch.distributed
        self.down, self.up = self.dist.new_group(), self.dist.new_group()
        self.last = stage == cut.pipeline - 1
        self.pending: list[Any] = []

    def _receive(self, source: int, group: Any) -> Any:
        size = (self.cut.sequences, self.cut.sequence_length, self.cut.hidden)
        x = self.torch.empty(size, dtype=self.torch.bfloat16, device=self.device)
        self.dist.irecv(x, source, group=group).wait()
        return x

    def input(self) -> Any:
        """Activations of the stage before; None on the first."""
        return self._receive(self.stage - 1, self.down).requires_grad_() if self.stage else None

    def gradient(self) -> Any:
        """Gradient of what was sent down; None on the last."""
        return None if self.last else self._receive(self.stage + 1, self.up)

    def send_output(self, y: Any) -> None:
        """Activations to the next stage."""
        if not self.last:
            x = y.detach()
            self.pending.append((self.dist.isend(x, self.stage + 1, group=self.down), x))

    def send_gradient(self, x: Any) -> None:
        """Gradient of the input to the stage before."""
        if self.stage:
            self.pending.append((self.dist.isend(x.grad, self.stage - 1, group=self.up), x))

    def settle(self) -> None:
        """Wait for what was sent."""
        for work, _ in self.pending:
            work.wait()
        self.pending.clear()


def order(stage: int, stages: int, microbatches: int) -> list[tuple[str, int]]:
    """What a stage computes, in order.

    >>> order(0, 2, 3)
    [('fwd', 0), ('fwd', 1), ('bwd', 0), ('fwd', 2), ('bwd', 1), ('bwd', 2)]
    >>> order(1, 2, 2)
    [('fwd', 0), ('bwd', 0), ('fwd', 1), ('bwd', 1)]
    """
    ahead = min(stages - stage - 1, microbatches)
    made = [("fwd", i) for i in range(ahead)]
    for i in range(microbatches - ahead):
        made += [("fwd", ahead + i), ("bwd", i)]
    return made + [("bwd", i) for i in range(microbatches - ahead, microbatches)]


def one_forward_one_backward(run: Any, ends: Ends, marks: list[tuple[str, Any, Any]]) -> Any:
    """All micro-batches of a step; marks lie around the compute, not around waits. The last loss, or None."""
    kept: dict[int, tuple[Any, Any]] = {}
    loss = None
    for phase, number in order(ends.stage, run.cut.pipeline, run.cut.microbatches):
        if phase == "fwd":
            x = ends.input()
            a = run.mark()
            y = run.forward(number, x)
            marks.append(("fwd", a, run.mark()))
            ends.send_output(y)
            kept[number] = (x, y)
            loss = y if ends.last else None
            continue
        x, y = kept.pop(number)
        gradient = ends.gradient()
        a = run.mark()
        y.backward(gradient)
        marks.append(("bwd", a, run.mark()))
        if x is not None:
            ends.send_gradient(x)
    ends.settle()
    return loss
