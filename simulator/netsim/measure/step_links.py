"""What ranks of a cut exchange inside a layer, as differentiable functions over a process group.

    tp      enter: nothing, gradient all-reduced       leave: all-reduce
    tp_sp   enter: all-gather of tokens                leave: reduce-scatter (gradients the other way round)
    ep      to_experts, from_experts: all-to-all of equal parts

`Links()` with no group does nothing: one GPU, data parallelism, pipelines.
"""

from __future__ import annotations

from typing import Any

from netsim.measure.step_cut import Cut


class Links:
    """No exchange at all; `pieces` says whether a layer is compiled in pieces, between its exchanges."""

    pieces = False

    def enter(self, x: Any) -> Any:
        """Before products whose columns are divided."""
        return x

    def leave(self, x: Any) -> Any:
        """After products whose rows are divided."""
        return x

    def scatter_tokens(self, x: Any) -> Any:
        """After the embedding."""
        return x

    def gather_tokens(self, x: Any) -> Any:
        """Before the head."""
        return x

    def to_experts(self, rows: Any, cut: Cut) -> Any:
        """Rows sorted by expert to the ranks that hold the experts, sorted by expert there."""
        return rows

    def from_experts(self, rows: Any, cut: Cut) -> Any:
        """The way back."""
        return rows


def make_links(torch: Any, cut: Cut) -> Links:
    """The exchanges of a cut on the default process group."""
    if cut.way in ("tp", "tp_sp"):
        return _TensorLinks(torch, cut.way == "tp_sp")
    return _ExpertLinks(torch) if cut.way == "ep" else Links()


class _TensorLinks(Links):
    pieces = True

    def __init__(self, torch: Any, sequence: bool) -> None:
        self.ops, self.sequence = _exchanges(torch), sequence

    def enter(self, x: Any) -> Any:
        return self.ops["gather"](x) if self.sequence else self.ops["reduce_gradient"](x)

    def leave(self, x: Any) -> Any:
        return self.ops["scatter_sum"](x) if self.sequence else self.ops["reduce"](x)

    def scatter_tokens(self, x: Any) -> Any:
        return self.ops["split"](x) if self.sequence else x

    def gather_tokens(self, x: Any) -> Any:
        return self.ops["gather_once"](x) if self.sequence else x


class _ExpertLinks(Links):
    pieces = True

    def __init__(self, torch: Any) -> None:
        self.torch, self.all_to_all = torch, _exchanges(torch)["all_to_all"]

    def to_experts(self, rows: Any, cut: Cut) -> Any:
        ranks, local = cut.expert, cut.experts // cut.expert
        arrived = self.all_to_all(rows).view(ranks, local, -1, cut.hidden)
        return arrived.transpose(0, 1).reshape(-1, cut.hidden)

    def from_experts(self, rows: Any, cut: Cut) -> Any:
        ranks, local = cut.expert, cut.experts // cut.expert
        sorted_rows = rows.view(local, ranks, -1, cut.hidden).transpose(0, 1).reshape(-1, cut.hidden)
        return self.all_to_all(sorted_rows)


def _gathered(dist: Any, x: Any) -> Any:
    """Parts along tokens (dimension 1) of all ranks, in order; batches of one need no shuffle."""
    world = dist.get_world_size()
    b, s, h = x.shape
    out = x.new_empty((world * b, s, h))
    dist.all_gather_into_tensor(out, x.contiguous())
    return out.view(world, b, s, h).transpose(0, 1).reshape(b, world * s, h)


def _scattered(dist: Any, x: Any) -> Any:
    """The rank's part along tokens of the sum over ranks."""
    world = dist.get_world_size()
    b, s, h = x.shape
    parts = x.reshape(b, world, s // world, h).transpose(0, 1).reshape(world * b, s // world, h)
    out = x.new_empty((b, s // world, h))
    dist.reduce_scatter_tensor(out, parts)
    return out


def _part(dist: Any, x: Any) -> Any:
    return x.chunk(dist.get_world_size(), dim=1)[dist.get_rank()].contiguous()


def _sum(dist: Any, x: Any) -> Any:
    y = x.contiguous().clone()
    dist.all_reduce(y)
    return y


def _exchanged(dist: Any, x: Any) -> Any:
    out = x.new_empty(x.shape)
    dist.all_to_all_single(out, x.contiguous())
    return out


def _exchanges(torch: Any) -> dict[str, Any]:
    """Pairs of a function and its transpose, as differentiable functions of one tensor."""
    import torch.distributed as dist

    def same(dist: Any, x: Any) -> Any:
        return x.view_as(x)

    pairs = {
        "gather": (_gathered, _scattered),
        "scatter_sum": (_scattered, _gathered),
        "gather_once": (_gathered, _part),
        "split": (_part, _gathered),
        "reduce": (_sum, same),
        "reduce_gradient": (same, _sum),
        "all_to_all": (_exchanged, _exchanged),
    }
    return {name: _differentiable(torch, dist, *pair) for name, pair in pairs.items()}


def _differentiable(torch: Any, dist: Any, there: Any, back: Any) -> Any:
    class Exchange(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return there(dist, x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return back(dist, g)

    return Exchange.apply
