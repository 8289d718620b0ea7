"""One published training step: the machine, the plan as its source prints it, and the time that was measured.

A row holds what a source says and nothing that netsim assumes; what is not published is None.
`netsim.validation.row_job` makes a question for the simulator of it, and says what it had to assume.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netsim.specs.base import Strict

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]


class TrainingRow(Strict):
    """A published row; names of the plan as the field writes them (tp, pp, cp, ep, etp, vp)."""

    id: str
    """What tells the row from others of its source."""
    source: str = ""
    """Where the row is published."""
    cluster: str = ""
    """The machine that ran it, as its owner calls it."""
    framework: str = ""
    """The software and its release."""
    gpu: str
    """The GPU as the source writes it."""
    gpus: Count
    """GPUs of the job."""
    gpus_per_host: Count | None = None
    """GPUs of a host or tray."""
    nics_per_host: Count | None = None
    """NICs of a host or tray that carry the job's traffic."""
    nic_gbps: Positive | None = None
    """Line rate of one of them."""
    model: str
    """The model as the source writes it."""
    precision: str = ""
    """Number formats of the matrix products, as the source writes them."""
    attention_precision: str | None = None
    """Number format of the attention core, as the source writes it."""
    sequence_length: Count | None = None
    """Tokens of a sequence."""
    global_batch: Count | None = None
    """Sequences of a step."""
    micro_batch: Count | None = None
    """Sequences of a micro-batch."""
    tp: Count | None = None
    """Tensor parallelism."""
    pp: Count | None = None
    """Pipeline parallelism."""
    cp: Count | None = None
    """Context parallelism."""
    ep: Count | None = None
    """Expert parallelism."""
    etp: Count | None = None
    """Tensor parallelism inside an expert."""
    vp: Count | None = None
    """Virtual stages of a pipeline rank."""
    fsdp: Count | None = None
    """Ranks that share parameters, gradients and optimizer; 1: none."""
    layout: str | None = None
    """Layers of the stages, as the framework writes them."""
    schedule: str | None = None
    """Pipeline schedule."""
    recompute: str | None = None
    """What the backward computes again."""
    sequence_parallel: bool | None = None
    """Whether tensor parallelism divides what lies between its products too."""
    tp_overlap: bool | None = None
    """Whether tensor-parallel exchanges run beside products."""
    gradient_overlap: bool | None = None
    """Whether gradients are reduced beside the backward."""
    parameter_overlap: bool | None = None
    """Whether parameters are gathered beside the forward."""
    pipeline_overlap: bool | None = None
    """Whether pipeline sends run beside compute."""
    expert_overlap: bool | None = None
    """Whether expert exchanges run beside compute of another micro-batch."""
    delayed_wgrad: bool | None = None
    """Whether weight gradients are put off to hide exchanges."""
    distributed_optimizer: bool | None = None
    """Whether the optimizer is divided among data-parallel ranks."""
    cuda_graph: str | None = None
    """What is launched as a CUDA graph."""
    dispatcher: str | None = None
    """What moves tokens to experts."""
    nvls: bool | None = None
    """Whether NVLink multicast reduces inside a domain."""
    note: str = ""
    """Anything else that the source says about the run."""
    set_aside: bool = False
    """Whether its source sets the row aside for fitting: the null model takes its constants from such rows."""
    sets_constant: bool = False
    """Whether a constant of netsim was set with the row, so that it is no prediction."""
    step_s: Positive | None = None
    """Measured seconds of a step: the median over runs of the medians over steps."""
    tflops: Positive | None = None
    """Model TFLOPS a GPU, where no time is published; causal attention counts half."""
    runs: Count = 1
    """Runs behind `step_s`."""
    within_pct: float | None = None
    """Spread of the steps of a run: 5th to 95th percentile, over the median."""
    between_pct: float | None = None
    """Spread of the runs: greatest less least, over the median."""
    unpublished: str = ""
    """What the source does not say and a simulation needs."""

    @property
    def replica(self) -> int:
        """GPUs that hold the model once."""
        return (self.tp or 1) * (self.pp or 1) * (self.cp or 1)
