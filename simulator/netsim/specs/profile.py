"""The spec of a compute profile: measured kernels of one GPU and job, a model per kernel class,
communication kernels.

Two contexts are told apart. *Overlapped* is the mean over all runs of a kernel inside an overlapped forward
and backward chunk, where a transfer is resident part of the time; *alone* is without a transfer. A profile
says what was measured; `netsim.compute` answers with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from netsim.specs.base import Preset, Strict
from netsim.specs.hardware import Count, Fraction
from netsim.specs.power import PowerSpec
from netsim.units import FlopRate, Hertz, Rate, Seconds

#: Classes of kernels that share a model.
Kind = Literal[
    "gemm_fp8", "grouped_gemm_fp8", "gemm_bf16", "wgrad_fp8", "grouped_wgrad_fp8",
    "attention_fwd", "attention_bwd", "quant", "cast_transpose", "norm", "rope", "copy", "strided", "act",
    "permute", "gather_transpose", "weight_transpose", "elementwise", "optimizer", "index", "small",
    # classes that a profile need not have: `netsim.compute.stand_in` says what answers for them
    "wgrad_bf16", "grouped_gemm_bf16", "grouped_wgrad_bf16",
    "gemm_fp8_tensor", "wgrad_fp8_tensor", "grouped_gemm_fp8_tensor", "grouped_wgrad_fp8_tensor",
    "gemm_mxfp8", "wgrad_mxfp8", "grouped_gemm_mxfp8", "grouped_wgrad_mxfp8",
    "gemm_nvfp4", "wgrad_nvfp4", "grouped_gemm_nvfp4", "grouped_wgrad_nvfp4",
    "attention_fwd_fp8", "attention_bwd_fp8", "attention_fwd_mxfp8", "attention_bwd_mxfp8",
    "attention_fwd_flash2", "attention_bwd_flash2",
    "act_bwd", "loss_fwd", "loss_bwd", "embedding_bwd", "optimizer_bf16", "sort", "dropout",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
#: classes that a profile may leave out
OPTIONAL_KINDS = KINDS[KINDS.index("wgrad_bf16") :]
REQUIRED_KINDS = KINDS[: KINDS.index("wgrad_bf16")]
Phase = Literal["F", "B", "W"]
Split = Literal["cal", "val_op"]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Counts = Annotated[tuple[Count, ...], BeforeValidator(_as_tuple)]
Times = Annotated[tuple[Seconds, ...], BeforeValidator(_as_tuple)]
Range = Annotated[
    tuple[float, float], BeforeValidator(lambda v: tuple(map(float, v)) if isinstance(v, list) else v)
]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Tile = Annotated[Counts, Field(min_length=2, max_length=2)]
Tiles = Annotated[
    tuple[Tile, ...], BeforeValidator(lambda v: tuple(map(_as_tuple, v)) if isinstance(v, list) else v)
]
#: how a library picks among the tiles of a class; `netsim.compute.tiles` explains them
Pick = Literal["fewest_waves", "near_best"]


class OperatorRow(Strict):
    """A measured kernel: times are of one call. `split` says whether the class models were fitted to it.

    `rows` and `row_times` are the measured points of a kernel whose first dimension is the number of expert
    rows; `overlapped` is their mean. `alone` and `beside` are means over the runs without and with a transfer
    resident, where the source has them; `transport_share` is the share of its runs beside one. A row without
    a block was measured outside a job, and answers for any operator of its class and shape.
    """

    name: str
    """Name of the operator."""
    role: str = ""
    """Name of the kernel in the source; documentation."""
    block: str = ""
    """Block of a layer: attn or mlp; none for a kernel measured outside a job."""
    phase: Phase | None = None
    """Pass: F, B or W."""
    kind: Kind
    """Kernel class whose model carries it to other shapes."""
    shape: Annotated[Counts, Field(min_length=1)]
    """Dimensions, as its class counts them."""
    calls: Count = 1
    """Launches of the kernel in the block."""
    split: Split
    """Whether class models were fitted to it (cal) or not (val_op)."""
    overlapped: Annotated[Seconds, Field(gt=0)]
    """Time of a call inside overlapped chunks."""
    alone: Seconds | None = None
    """Time of a call without a transfer resident."""
    beside: Seconds | None = None
    """Time of a call with a transfer resident."""
    transport_share: Share | None = None
    """Share of its runs beside a transfer."""
    rows: Counts = ()
    """Expert rows of each measured point."""
    row_times: Times = ()
    """Time of each measured point."""

    @model_validator(mode="after")
    def _points(self) -> OperatorRow:
        if len(self.rows) != len(self.row_times):
            raise ValueError(f"operator {self.name}: rows and row_times must be equally long")
        if self.rows and len(set(self.rows)) < 2:
            raise ValueError(f"operator {self.name}: rows must hold two different values at least")
        return self


class ClassModel(Strict):
    """The model of a kernel class without a transfer beside it. `netsim.compute.roofline` has the formulas.

    Rates: `efficiency` of the peak of the SMs in use, at the SM clock `clock` where that is known;
    `hbm_efficiency` of the HBM rate. Matrix products and attention: candidate `tiles` of the output, how the
    library picks one, the `splits` of the depth it may use, and for each tile `tile_overhead`, `step` (for
    128 of the depth) and `uneven` (share added where a tile straddles blocks of 128 scales); `tail` is the
    part of the longest block of attention that nothing hides, `passes` how often its bytes move in kernels of
    their own, before and after the products. Kernels of one block a row or patch: `resident`
    blocks on an SM, each of `patch` values (0: a row). `value`: time of one SM for a value, whatever HBM could
    do; `row`: time for a row of the shape. `persistent`: one wave of blocks that loop, sized for all SMs.
    `call`: the fixed time of a launch.

    Beside a transfer: `slowdown` adds to the body, `call_beside` replaces `call`; `transport_share` is how
    often one was resident (where it is not the profile's). `domain` gives, by dimension (m, n, k, groups,
    length, rows, bytes, ...), the range that was seen.
    """

    efficiency: Fraction | None = None
    """Share of the peak of the SMs in use."""
    hbm_efficiency: Fraction = 1.0
    """Share of the memory rate."""
    clock: Hertz | None = None
    """SM clock of the measurement."""
    tiles: Tiles = ()
    """Candidate tiles of the output."""
    pick: Pick = "fewest_waves"
    """How the library picks a tile."""
    splits: Counts = (1,)
    """Splits of the depth it may use."""
    tile_overhead: Seconds = 0.0
    """Fixed time of a tile."""
    step: Seconds = 0.0
    """Time of 128 of the depth."""
    uneven: Annotated[float, Field(ge=0.0)] = 0.0
    """Share added where a tile straddles blocks of scales."""
    tail: Annotated[float, Field(ge=0.0)] = 0.0
    """Part of the longest block of attention that nothing hides."""
    passes: Annotated[float, Field(ge=0.0)] = 0.0
    """How often its bytes move in kernels of their own."""
    resident: Annotated[int, Field(ge=0)] = 0
    """Blocks on an SM."""
    patch: Annotated[int, Field(ge=0)] = 0
    """Values of a block; 0: a row."""
    persistent: bool = False
    """Whether blocks loop in one wave sized for all SMs."""
    value: Seconds = 0.0
    """Time of one SM for a value."""
    row: Seconds = 0.0
    """Time of a row of the shape."""
    call: Seconds = 0.0
    """Fixed time of a launch."""
    call_beside: Seconds | None = None
    """The same beside a transfer."""
    slowdown: Annotated[float, Field(ge=0.0)] = 0.0
    """Share added to the body beside a transfer."""
    transport_share: Share | None = None
    """How often a transfer was resident; left out: the profile's."""
    domain: Mapping[str, Range] = Field(default_factory=dict)
    """Range that was measured, by dimension."""
    source: str
    """How it was fitted."""

    @model_validator(mode="after")
    def _beside_is_no_faster(self) -> ClassModel:
        if self.call_beside is not None and self.call_beside < self.call:
            raise ValueError("call_beside: must not be less than call")
        return self


class Prework(Strict):
    """A kernel that the communication stream runs before a transfer."""

    name: str
    """Name of the kernel."""
    role: str = ""
    """Name of the kernel in the source; documentation."""
    overlapped: Seconds
    """Its time beside compute."""
    alone: Seconds | None = None
    """Its time without compute beside it."""


class TransferKernel(Strict):
    """The kernel of a dispatch or combine: wire bytes a second and GPU at most, and what runs before it."""

    alone: Rate
    """Most bytes on the wire of a GPU."""
    beside_compute: Rate
    """The same while the GPU computes."""
    prework: Annotated[tuple[Prework, ...], BeforeValidator(_as_tuple)] = ()
    """What the communication stream runs before it."""


class Sustained(Strict):
    """How much longer compute takes in a training step, which runs at the power limit, than where it was measured."""

    factor: Annotated[float, Field(ge=1.0, le=4.0)]
    """Time under load over measured time."""
    source: str
    """Where the factor comes from."""


class ProfileSpec(Preset):
    """A compute profile preset.

    `sms` and the peaks are those of the measured GPU, and say what the efficiencies are fractions of; the
    peaks hold at `peak_clock`. `clock` says in words under which clock protocol it was measured.
    `gemm_sms` : SMs that GEMM kernels launch on; `transfer_sms` : SMs that `transfers` were measured with;
    `transport_share` : share of overlapped compute time with a transfer resident; `gap` : idle time between
    two kernels of a stream.
    """

    device: str
    """The measured GPU."""
    sms: Count
    """Its SMs."""
    gemm_sms: Count
    """SMs that matrix products launch on."""
    bf16_peak: FlopRate
    """Its dense BF16 peak."""
    fp8_peak: FlopRate
    """Its dense FP8 peak."""
    fp4_peak: FlopRate | None = None
    """Its dense FP4 peak, where it has one."""
    hbm_rate: Rate
    """Its memory rate."""
    peak_clock: Hertz | None = None
    """SM clock at which its peaks hold."""
    clock: str
    """Clock protocol of the measurement, in words."""
    sustained: Sustained | None = None
    """How much longer compute takes in a training step, which runs at the power limit."""
    power: PowerSpec | None = None
    """What kernels draw, by kind; stands in the place of `sustained`."""
    transport_share: Share
    """Share of overlapped compute time with a transfer resident."""
    gap: Seconds
    """Idle time between two kernels of a stream."""
    transfer_sms: Count = 20
    """SMs that the transfers were measured with."""
    transfers: Mapping[str, TransferKernel] = Field(default_factory=dict)
    """Kernels of dispatch and combine, by name."""
    classes: Mapping[str, ClassModel]
    """Models of kernel classes, by class."""
    operators: Annotated[tuple[OperatorRow, ...], BeforeValidator(_as_tuple)]
    """Measured kernels."""

    @model_validator(mode="after")
    def _consistent(self) -> ProfileSpec:
        if self.gemm_sms > self.sms:
            raise ValueError(f"gemm_sms = {self.gemm_sms}, must not exceed sms = {self.sms}")
        if unknown := set(self.classes) - set(KINDS):
            raise ValueError(f"classes.{min(unknown)}: no such kernel class")
        if missing := set(REQUIRED_KINDS) - set(self.classes):
            raise ValueError(
                f"classes.{min(missing)} is missing: an operator of this class could not be timed"
            )
        names = [row.name for row in self.operators]
        if len(names) != len(set(names)):
            twice = min(name for name in names if names.count(name) > 1)
            raise ValueError(f"operator {twice}: appears twice")
        if self.peak_clock is None and any(model.clock for model in self.classes.values()):
            raise ValueError("peak_clock is missing: the clock of a class means nothing without it")
        return self
