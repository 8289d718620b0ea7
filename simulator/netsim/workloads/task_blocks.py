"""The blocks of a layer with what they exchange: experts, tensor and context parallelism, ZeRO.

The backward of a combine moves tokens like a dispatch (`cached_dispatch`, no counts to exchange), the backward of a
dispatch like a combine.

Tensor parallelism (Korthikanti et al. 2022, section 4.2.2) puts an all-gather before and a reduce-scatter after
attention and dense FFN, forward and backward; the backward gathers the block's input once more for the weight gradient,
beside the input gradient. Vocabulary-parallel embedding and head have the half of it that they need; MoE blocks none,
since experts are whole. Context parallelism as Llama 3 does it (arXiv 2407.21783, section 3.3.2): keys and values are
gathered before attention, gathered again before its backward, and their gradients scattered after it. All of this is in
line with the block that needs it, so exposed unless the chunk is overlapped, or `overlap.tensor` and `overlap.context`
say otherwise: then they run chunk by chunk beside the products or the attention that need them, as Megatron-LM's user
buffers and ring attention do (`workloads.graph.Mark`). Attention is one block here: what of it is
computed before its keys and values are gathered makes no difference to the sum.

ZeRO stage 2 and 3 reduce a layer's gradients after each of its weight gradients, in every micro-batch: there is no full
accumulator to wait in. Stage 3 gathers a layer's parameters before its forward and again before its backward,
`prefetch` layers ahead of the compute (Zhao et al. 2023, PyTorch FSDP, arXiv 2304.11277).

With `overlap.gradient`, stages 0 and 1 reduce a layer's gradients behind its last weight gradient of the step; with
`overlap.parameter`, stages 1 and 2 gather a layer's updated parameters from the start of the next step on, as
Megatron-LM's distributed optimizer does with its buckets. A layer is a bucket here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from netsim.workloads.graph import GRADIENT, PARAMETER, Division, Work
from netsim.workloads.layers import has_experts
from netsim.workloads.schedules import Unit
from netsim.workloads.task_writer import Layer, Side, TaskWriter

#: block -> whether tensor parallelism gathers its input and scatters its output, forward (and so backward the other
#: way round), and gathers the input again for its weight gradient; blocks of a MoE layer's experts are not divided
_TENSOR_BLOCKS = {
    "attn": (True, True),
    "mlp": (True, True),
    "embedding": (False, True),
    "embedding_copy": (False, True),
    "head": (True, False),
}


class Blocks:
    """Writes blocks of one rank; `weights_done` holds the last weight gradient of each stage so far."""

    def __init__(self, writer: TaskWriter, division: Division) -> None:
        self.writer, self.division = writer, division
        self.weights_done: dict[int, int] = {}
        self._turns: Counter[tuple[str, str, int]] = Counter()  # how often a layer's parameters have moved
        self._used: list[int] = []  # last compute of each layer that gathered parameters
        self._gathered: dict[int, int] = {}  # what gathers the updated parameters of a layer
        self.last_weight: dict[int, Unit] = {}  # the unit with a stage's last weight gradient

    def exchange(self, side: Side, layer: Layer, name: str) -> None:
        """Dispatch or combine of a MoE layer."""
        if has_experts(layer.kind):
            phase = "B" if name in ("cached_dispatch", "combine_backward") else "F"
            side.ready = (self.writer.transfer(side, name, "", phase, layer),)

    def forward(self, side: Side, layer: Layer, block: str) -> None:
        """A block forward, between the exchanges of its divided inputs and outputs, or beside them."""
        gathers, scatters = self._tensor(layer, block)
        if self._runs_beside(layer, block):
            self._forward_beside(side, layer, block, gathers, scatters)
            return
        if gathers:
            self._divided(side, "tensor_gather", block, "F", layer)
        if self.division.context and block == "attn":
            self._divided(side, "context_gather", block, "F", layer)
        side.ready = (self.writer.compute(side, layer, block, "F"),)
        if scatters:
            self._divided(side, "tensor_scatter", block, "F", layer)
        self._adapter_exchange(side, layer, block, "F")

    def backward(self, side: Side, layer: Layer, block: str, with_weight: bool) -> None:
        """An input gradient: what was scattered forward is gathered, and the other way round."""
        if layer.kind.startswith("embedding"):  # its input is token numbers: only a weight gradient
            return
        gathers, scatters = self._tensor(layer, block)
        with_weight = with_weight and block not in self.division.frozen
        self._adapter_exchange(side, layer, block, "B")
        if self._runs_beside(layer, block):
            self._backward_beside(side, layer, block, gathers and with_weight)
            return
        if scatters:
            self._divided(side, "tensor_gather", block, "B", layer)
        if self.division.context and block == "attn":
            self._divided(side, "context_gather", block, "B", layer)
        if gathers and with_weight:
            side.again = (self.writer.transfer(side, "tensor_gather", block, "W", layer),)
        side.ready = (self.writer.compute(side, layer, block, "B"),)
        if self.division.context and block == "attn":
            self._divided(side, "context_scatter", block, "B", layer)
        if gathers:
            self._divided(side, "tensor_scatter", block, "B", layer)

    def _runs_beside(self, layer: Layer, block: str) -> bool:
        """Whether some exchange of a block runs beside it."""
        how, (gathers, scatters) = self.division.overlap, self._tensor(layer, block)
        tensor = how.tensor and gathers and scatters
        return tensor or (how.context and self.division.context and block == "attn")

    def _forward_beside(self, side: Side, layer: Layer, block: str, gathers: bool, scatters: bool) -> None:
        """A block forward with its exchanges beside it."""
        tensor = self._gather_beside(side, layer, block, "F") if gathers else -1
        if self.division.context and block == "attn" and not self.division.overlap.context:
            self._divided(side, "context_gather", block, "F", layer)
        compute = self.writer.compute(side, layer, block, "F")
        if tensor >= 0:
            self.writer.beside(compute, tensor, "gathered")
        if self.division.context and block == "attn" and self.division.overlap.context:
            self._keys_beside(side, layer, "F", compute)
        before, side.ready = side.ready, (compute,)
        if scatters:
            self._scatter_beside(side, layer, block, "F", compute, before)
        self._adapter_exchange(side, layer, block, "F")

    def _backward_beside(self, side: Side, layer: Layer, block: str, again: bool) -> None:
        """An input gradient with its exchanges beside it."""
        gathers, scatters = self._tensor(layer, block)
        apart = self.division.context and block == "attn" and not self.division.overlap.context
        tensor = self._gather_beside(side, layer, block, "B") if scatters else -1
        if apart:
            self._divided(side, "context_gather", block, "B", layer)
        if again:
            side.again = (self.writer.transfer(side, "tensor_gather", block, "W", layer),)
        compute = self.writer.compute(side, layer, block, "B")
        if tensor >= 0:
            self.writer.beside(compute, tensor, "gathered")
        if self.division.context and block == "attn" and not apart:
            self._keys_beside(side, layer, "B", compute)
            moved = self.writer.transfer_beside(
                side, "context_scatter", "B", layer, block, compute, "first_gradients"
            )
            self.writer.beside(compute, moved, "all_gradients")
        before, side.ready = side.ready, (compute,)
        if apart:
            self._divided(side, "context_scatter", block, "B", layer)
        if gathers:
            self._scatter_beside(side, layer, block, "B", compute, before)

    def _gather_beside(self, side: Side, layer: Layer, block: str, phase: str) -> int:
        """Gather a block's input beside it; the block starts with the rank's own part, so it waits for nothing more.

        -1 where it is gathered in line instead.
        """
        if not self.division.overlap.tensor or self._apart(block, "gather", phase):
            self._divided(side, "tensor_gather", block, phase, layer)
            return -1
        arrival = side.arrival
        task = self.writer.transfer(side, "tensor_gather", block, phase, layer)
        side.arrival = arrival  # the block waits for it too
        return task

    def _keys_beside(self, side: Side, layer: Layer, phase: str, compute: int) -> None:
        """Pass keys and values on while attention works on those that are there."""
        moved = self.writer.transfer_beside(side, "context_gather", phase, layer, "attn", compute, "keys")
        self.writer.beside(compute, moved, "all_keys")

    def _scatter_beside(
        self, side: Side, layer: Layer, block: str, phase: str, compute: int, before: tuple[int, ...]
    ) -> None:
        """Scatter a block's output chunk by chunk as its last products make it; before : what the block waited for."""
        if not self.division.overlap.tensor or self._apart(block, "scatter", phase):
            self._divided(side, "tensor_scatter", block, phase, layer)
            return
        if side.ready == (compute,):
            side.ready = before
        moved = self.writer.transfer_beside(side, "tensor_scatter", phase, layer, block, compute, "first_out")
        self.writer.beside(moved, compute, "last_out")
        side.ready = (moved,)

    def _apart(self, block: str, way: str, phase: str) -> bool:
        """Whether an exchange stays in line though tensor exchanges run beside products."""
        how = self.division.overlap.tensor_apart
        inputs = block == "attn" and (way == "gather") == (phase == "F")
        return ("qkv" in how and inputs) or ("dgrad" in how and way == "scatter" and phase == "B")

    def _adapter_exchange(self, side: Side, layer: Layer, block: str, phase: str) -> None:
        """What an adapter adds to the output of attention, from columns to tokens, or its gradient back."""
        if self.division.tensor and self.division.adapted and block == "attn":
            self._divided(side, "tensor_gather", "adapter", phase, layer)

    def weight(self, side: Side, layer: Layer, block: str) -> None:
        """A weight gradient, and under ZeRO 2 and 3 what reduces it."""
        waits, side.again = side.again, ()
        if block in self.division.frozen and side.last >= 0:
            done = side.last
        else:
            if layer.kind.startswith("embedding") and self.division.tensor:
                # the gradient of its output, which was scattered
                waits = (self.writer.transfer(side, "tensor_gather", block, "W", layer),)
            done = self.writer.compute(side, layer, block, "W", waits)
        self.weights_done[side.unit.stage] = done
        if not self.delays(layer, block):
            side.ready += (done,)
        last = self.division.overlap.gradient and self.last_weight.get(side.unit.stage) == side.unit
        if block == layer.first_block and (self.division.zero >= 2 or last) and self._trained(layer):
            name = "reduce_scatter" if self.division.zero else "all_reduce"
            self._layer_moves(GRADIENT, name, side, layer, "W", (done,))

    def _trained(self, layer: Layer) -> bool:
        """Whether any block of a layer has a weight gradient."""
        return not {layer.first_block, layer.last_block} <= set(self.division.frozen)

    def delays(self, layer: Layer, block: str) -> bool:
        """Whether the gradient of a block's input travels on before its weight gradient is done."""
        how = self.division.overlap.weight_delayed
        return how == "always" or (how == "tensor" and not (has_experts(layer.kind) and block == "mlp"))

    def lone_weight(self, side: Side, layer: Layer, block: str) -> None:
        """A weight gradient away from its input gradient: the block's input is gathered again for it."""
        if self._tensor(layer, block)[0] and block not in self.division.frozen:
            side.again = (self.writer.transfer(side, "tensor_gather", block, "W", layer),)
        self.weight(side, layer, block)

    def gather_parameters(self, side: Side, layer: Layer, phase: str) -> None:
        """Under stage 3, gather `prefetch` layers ahead: with one, two layers' worth are there at a time."""
        side.parameters = ()
        if self.division.zero == 3 and not (layer.kind.startswith("embedding") and phase == "B"):
            reached = len(self._used) - 1 - self.division.overlap.prefetch
            before = (self._used[reached],) if reached >= 0 else ()
            side.parameters = (self._layer_moves(PARAMETER, "parameter_gather", side, layer, phase, before),)
        elif phase == "F" and layer.number in self._gathered:  # at the layer's first forward
            side.parameters = (self._gathered.pop(layer.number),)

    def gather_updated(self, stages: Sequence[int], layers: Mapping[int, Sequence[Layer]]) -> None:
        """Gather what the last step's update left on other ranks, a layer at a time, as the step begins.

        Stage by stage, so that all ranks that hold a stage do it in one order.
        """
        for stage in stages:
            for layer in filter(self._trained, layers[stage]):
                work = Work("parameter_gather", layer.kind, "F", stage=stage, layer=layer.number)
                self._gathered[layer.number] = self.writer.add(
                    PARAMETER, work, Unit(stage, -1), (), layer.number
                )

    def used(self, side: Side | None, layer: Layer | None) -> None:
        """A layer is done: its parameters may go."""
        if side and layer and side.last >= 0:
            self._used.append(side.last)

    def _divided(self, side: Side, name: str, block: str, phase: str, layer: Layer) -> None:
        side.ready = (self.writer.transfer(side, name, block, phase, layer),)

    def _tensor(self, layer: Layer, block: str) -> tuple[bool, bool]:
        """Whether a block gathers its input and scatters its output, forward."""
        if not self.division.tensor or (block == "mlp" and has_experts(layer.kind)):
            return False, False
        return _TENSOR_BLOCKS.get(block, (False, False))

    def _layer_moves(
        self, queue: int, name: str, side: Side, layer: Layer, phase: str, waits: tuple[int, ...]
    ) -> int:
        """Gradients or parameters of one layer (ZeRO stages 2 and 3)."""
        turn = self._turns[name, phase, layer.number]
        self._turns[name, phase, layer.number] += 1
        work = Work(name, layer.kind, phase, stage=side.unit.stage, layer=layer.number, turn=turn)
        return self.writer.add(queue, work, side.unit, waits, layer.number)
