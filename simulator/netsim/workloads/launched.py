"""The operators of a block as the kernels that a framework launches for them."""

from __future__ import annotations

from netsim.specs.framework import Kernels
from netsim.specs.workload import ModelSpec
from netsim.workloads.kernels import Load, Operator
from netsim.workloads.titan_kernels import as_titan
from netsim.workloads.torch_kernels import as_torch, loss_backward


def launched(
    made: tuple[Operator, ...],
    model: ModelSpec,
    kind: str,
    phase: str,
    load: Load,
    kernels: Kernels,
    scattered_beside: bool,
) -> tuple[Operator, ...]:
    """DeepSeek's own kernels are the operators; torch and torchtitan launch more.

    scattered_beside : whether tensor parallelism scatters the output beside the product that makes it
    """
    if kernels == "deepseek":
        return made
    if kind == "head" and phase == "B":
        made = loss_backward(made, load.context_tokens, model.vocabulary // load.tensor)
    made = as_torch(made, phase, model.vocabulary)
    if kernels == "torch":
        return made
    eager = kernels == "torchtitan_eager"
    return as_titan(made, model, load.tensor, scattered_beside=scattered_beside, eager=eager)
