"""A cut on the GPUs at hand: processes started, told what to run, and ended; one row and its provenance come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from netsim.errors import NetsimError
from netsim.measure.collectives_rank import Reply
from netsim.measure.collectives_session import Group, load_torch, machine_of, provenance
from netsim.measure.provenance import beside
from netsim.measure.step_cut import Cut
from netsim.measure.step_rank import Measured, StepCase, step_main
from netsim.measure.step_table import Row, add_row, make_row

#: longest that a cut may take to be built and compiled, beside its soak
PREPARE_S = 420.0
PROTOCOL = (
    "phases by CUDA events on the compute stream, medians over the last third of the soak, steps running free (the "
    "host waits for the step before the last one); SM clock: median of NVML every 20 ms; power: energy counter over "
    "time; random tokens and weights; experts all with the same number of rows"
)


def choose_backend(torch: Any, gpus: int) -> str:
    """Nccl where there are GPUs, else gloo on the CPU.

    Raises NetsimError for more GPUs than there are.
    """
    if not torch.cuda.is_available():
        return "gloo"
    if gpus > torch.cuda.device_count():
        raise NetsimError(f"--gpus {gpus}: torch sees {torch.cuda.device_count()} here")
    return "nccl"


def run_cut(
    cut: Cut, soak_s: float, seed: int, output: Path, traces: Path | None
) -> tuple[Row, list[Measured]]:
    """Measure a cut, and add its row to the table `output`.

    Raises NetsimError when there is no torch, too few GPUs, or the cut does not run.
    """
    torch = load_torch()
    backend = choose_backend(torch, cut.gpus)
    if traces is not None:
        traces.mkdir(parents=True, exist_ok=True)
    case = StepCase(cut, soak_s, seed, str(traces) if traces is not None else "")
    with Group(cut.gpus, backend, seed, PREPARE_S + 2 * soak_s, target=step_main) as group:
        replies: list[Any] = list(group.measure(case))  # type: ignore[arg-type]
    refused = [reply.refused for reply in replies if isinstance(reply, Reply)]
    if refused:
        raise NetsimError(f"measure --step: {cut.name}: {refused[0]}")
    machine = machine_of(torch, backend)
    row = make_row(cut, replies, machine.device, machine.torch)
    add_row(output, row)
    facts = provenance(torch, machine, cut.gpus, seed)
    text = {"table": output.name, "protocol": PROTOCOL, "soak_s": soak_s, **facts}
    beside(output).write_text(tomli_w.dumps(text), encoding="utf-8")
    return row, replies
