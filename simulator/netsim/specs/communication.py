"""The spec of what travels between the ranks of a job, and of the library that moves it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from netsim.specs.base import Strict

#: of tokens on the wire: LogFMT holds logarithms of 128 values in 8 or 10 bits each, between their least and greatest
TokenPrecision = Literal["fp8", "mxfp8", "nvfp4", "bf16", "fp32", "logfmt8", "logfmt10"]
Precision = Literal["nvfp4", "mxfp8", "fp8", "bf16", "fp32"]


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class CommunicationSpec(Strict):
    """What travels, in which precision, and how many SMs move it."""

    sms: Annotated[int, Field(ge=0)]
    """SMs given to communication kernels; matrix products run on the others."""
    dispatch: TokenPrecision
    """Precision of tokens on the way to the experts."""
    combine: TokenPrecision
    """Precision of tokens on the way back."""
    pipeline: Precision
    """Precision of activations between stages."""
    gradient: Precision
    """Precision of the gradients that are reduced and kept."""
    parameter: Precision
    """Precision of the parameters that are gathered."""
    library: str = "nccl"
    """Collective library, preset or TOML: what collectives cost besides their bytes."""
    all_reduce: str = "auto"
    """Algorithm of every all-reduce, as `netsim collective` names them; auto: the quickest at each size."""
    reduce_scatter: str = "auto"
    """Algorithm of every reduce-scatter."""
    all_gather: str = "auto"
    """Algorithm of every all-gather."""
    send_recv: str = "auto"
    """Algorithm of every send between pipeline ranks."""
    dispatcher: Literal["deepep", "alltoall"] = "deepep"
    """What moves tokens to experts: deepep (a copy for each host, forwarded inside it), or alltoall (the library's
    all-to-all of a copy for each expert, as Megatron-LM's alltoall dispatcher does)."""
    slowdown: Annotated[float, Field(ge=1e-6, le=1e6), BeforeValidator(_as_float)] = 1.0
    """A what-if: every link and every transfer kernel moves bytes this many times slower; set-up times stay."""
