"""One process of a step measurement: build its part of the cut, soak it, time its phases, and trace two steps.

Cold: the first steps after two seconds of rest. Hot: the last third of a soak. Phases are times between CUDA events on
the compute stream; steps run free: the host waits only for the step before the last one, so that a host that is too
slow shows as a longer step, not as a pause at the end.
"""

from __future__ import annotations

import importlib
import os
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from netsim.measure.collectives import ENVIRONMENT
from netsim.measure.collectives_rank import Job, Reply, _end_with_parent, _line
from netsim.measure.step_cut import Cut
from netsim.measure.step_links import make_links
from netsim.measure.step_meter import Meter, Traced, read_trace, uuid_of
from netsim.measure.step_model import angles, dealt, make_model
from netsim.measure.step_pipeline import Ends, one_forward_one_backward

WARM_STEPS, TRACED_STEPS, REST_S, COLD_S = 3, 2, 2.0, 0.4
PHASES = ("fwd", "bwd", "opt")


@dataclass(frozen=True)
class StepCase:
    """A cut and how long to run it; `traces` is a folder for Kineto traces, or empty."""

    cut: Cut
    soak_s: float
    seed: int
    traces: str = ""

    @property
    def name(self) -> str:
        """As findings name it."""
        return self.cut.name


@dataclass(frozen=True)
class Measured:
    """Of one rank: milliseconds of phases (`cold`, `hot`) and of a whole step, and the state of the GPU meanwhile."""

    cold_ms: dict[str, float]
    hot_ms: dict[str, float]
    step_ms: float
    step_p10_ms: float
    step_p90_ms: float
    steps: int
    host_ms: float
    clock_mhz: float
    power_w: float
    cold_clock_mhz: float
    memory_peak_bytes: int
    parameters: int
    loss: float
    prepare_s: float
    traced: Traced | None = None
    refused: str = field(default="", init=False)


def step_main(job: Job, pipe: Connection) -> None:
    """Entry point of a process: answer "ready", then one Measured a StepCase, until the pipe closes."""
    _end_with_parent()
    os.environ.update(ENVIRONMENT)
    try:
        runner = _Process(job)
        pipe.send("ready")
        while (case := pipe.recv()) is not None:
            try:
                pipe.send(runner.measure(case))
            except RuntimeError as error:  # out of memory is one of them
                pipe.send(Reply(refused=_line(error)))
        runner.dist.destroy_process_group()
    except EOFError:
        pass
    except Exception as error:
        pipe.send(Reply(refused=f"{type(error).__name__}: {_line(error)}"))
        raise SystemExit(1) from None


class _Process:
    """One member of the process group, on a GPU of its own or on the CPU."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.torch = torch = importlib.import_module("torch")
        self.dist = importlib.import_module("torch.distributed")
        self.cuda = job.backend == "nccl"
        self.device = torch.device("cuda", job.rank) if self.cuda else torch.device("cpu")
        if self.cuda:
            torch.cuda.set_device(self.device)
            torch.backends.cuda.enable_math_sdp(False)
            torch.backends.cuda.enable_mem_efficient_sdp(False)
            torch.backends.cuda.enable_flash_sdp(False)  # cuDNN's kernel is the fastest of torch's on Hopper
        else:
            torch.set_num_threads(1)
        self.dist.init_process_group(
            job.backend, store=self.dist.FileStore(job.store, job.world), rank=job.rank, world_size=job.world,
            timeout=timedelta(seconds=job.timeout_s),
        )  # fmt: skip

    def measure(self, case: StepCase) -> Measured:
        """Build the cut, run it, and leave nothing behind."""
        try:
            return _Run(self, case).measured()
        finally:
            self.torch._dynamo.reset()
            if self.cuda:
                self.torch.cuda.empty_cache()
                self.torch.cuda.reset_peak_memory_stats()


class _Run:
    """A cut on one rank: its model, its optimizer, one step, and the loop around it."""

    def __init__(self, process: _Process, case: StepCase) -> None:
        self.process, self.case, self.cut = process, case, case.cut
        torch, cut, rank = process.torch, case.cut, process.job.rank
        self.torch, self.device, self.cuda = torch, process.device, process.cuda
        self.began = time.monotonic()
        torch.manual_seed(case.seed + rank)
        stage = rank if cut.way == "pp" else 0
        each = cut.layers // cut.pipeline
        with torch.device(self.device):
            model = make_model(torch, cut, make_links(torch, cut), stage * each, (stage + 1) * each)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.model = self._shared(model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=self.cuda or None)
        self.cos, self.sin = angles(torch, cut, self.device)
        self.index = dealt(torch, cut, self.device)
        size = (cut.microbatches, cut.sequences, cut.sequence_length)
        self.tokens = torch.randint(0, cut.vocabulary, size, device=self.device)
        self.ends = Ends(torch, cut, stage, self.device) if cut.way == "pp" else None
        self.meter = Meter(uuid_of(torch, rank) if self.cuda else "")

    def _shared(self, model: Any) -> Any:
        """The model as data-parallel ranks share it."""
        cut, torch = self.cut, self.torch
        if cut.compiled and cut.way in ("one", "dp", "fsdp", "pp"):
            for layer in model.layers:
                layer.compile()
        if cut.way == "fsdp":
            fsdp = importlib.import_module("torch.distributed.fsdp")
            mesh = torch.distributed.device_mesh.init_device_mesh(self.device.type, (cut.gpus,))
            for layer in model.layers:
                fsdp.fully_shard(layer, mesh=mesh)
            return fsdp.fully_shard(model, mesh=mesh)
        if cut.way in ("dp", "ep"):
            parallel = importlib.import_module("torch.nn.parallel").DistributedDataParallel
            own = [name for name, _ in model.named_parameters() if "experts_" in name]
            if cut.way == "ep":
                parallel._set_params_and_buffers_to_ignore_for_model(model, own)
            ids = [self.device.index] if self.cuda else None
            return parallel(model, device_ids=ids, gradient_as_bucket_view=True)
        return model

    def mark(self) -> Any:
        """Now, on the compute stream."""
        if not self.cuda:
            return time.perf_counter()
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between_ms(self, begin: Any, end: Any) -> float:
        return float(begin.elapsed_time(end)) if self.cuda else (end - begin) * 1e3

    def forward(self, number: int, x: Any) -> Any:
        """Forward of a micro-batch; x is what the stage before sent, or None on the first."""
        x = self.tokens[number] if x is None else x
        return self.model(x, self.tokens[number], self.cos, self.sin, self.index)

    def step(self) -> tuple[list[tuple[str, Any, Any]], Any]:
        """One step: the marks around its phases, and the loss (None where it is computed elsewhere)."""
        marks: list[tuple[str, Any, Any]] = []
        if self.ends is not None:
            loss = one_forward_one_backward(self, self.ends, marks)
        else:
            loss = None
            for number in range(self.cut.microbatches):
                a = self.mark()
                with self._no_sync(number):
                    loss = self.forward(number, None)
                    b = self.mark()
                    loss.backward()
                marks += [("fwd", a, b), ("bwd", b, self.mark())]
        a = self.mark()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        marks.append(("opt", a, self.mark()))
        return marks, loss

    def _no_sync(self, number: int) -> Any:
        last = number == self.cut.microbatches - 1
        if self.cut.way in ("dp", "ep") and not last:
            return self.model.no_sync()
        if self.cut.way == "fsdp":
            self.model.set_requires_gradient_sync(last)
        return nullcontext()

    def _wait(self, mark: Any) -> None:
        if self.cuda:
            mark.synchronize()

    def _loop(self, seconds: float) -> tuple[list[list[tuple[str, Any, Any]]], list[float]]:
        """Steps for about so long, as many on every rank; marks of each, and how long the host took to launch it."""
        all_marks: list[list[tuple[str, Any, Any]]] = []
        host_ms: list[float] = []
        began = time.monotonic()
        while True:
            launched = time.perf_counter()
            all_marks.append(self.step()[0])
            host_ms.append((time.perf_counter() - launched) * 1e3)
            if len(all_marks) > 1:
                self._wait(all_marks[-2][-1][2])
            if self._any(time.monotonic() - began > seconds) and len(all_marks) > 3:
                break
        self._wait(all_marks[-1][-1][2])
        return all_marks, host_ms

    def _any(self, value: bool) -> bool:
        """Whether rank 0 says so: all ranks stop at the same step."""
        if self.process.job.world == 1:
            return value
        if not hasattr(self, "_voters"):
            self._voters = self.process.dist.new_group(backend="gloo")
        flag = self.torch.tensor([value], dtype=self.torch.int32)
        self.process.dist.broadcast(flag, 0, group=self._voters)
        return bool(flag.item())

    def measured(self) -> Measured:
        """Everything that a row says."""
        for _ in range(WARM_STEPS):
            _, loss = self.step()
        self._wait(self.mark())
        prepare_s = time.monotonic() - self.began
        time.sleep(REST_S if self.cuda else 0.0)
        self.meter.start()
        cold, _ = self._loop(COLD_S)
        cold_clock, _ = self.meter.stop()
        self._loop(self.case.soak_s * 2 / 3)
        self.meter.start()
        hot, host = self._loop(self.case.soak_s / 3)
        clock, power = self.meter.stop()
        gaps = [self._between_ms(a[0][1], b[0][1]) for a, b in pairwise(hot)]
        cuts = statistics.quantiles(gaps, n=10, method="inclusive") if len(gaps) > 1 else gaps * 9
        return Measured(
            cold_ms=self._phases(cold), hot_ms=self._phases(hot), step_ms=statistics.median(gaps),
            step_p10_ms=cuts[0], step_p90_ms=cuts[-1], steps=len(hot), host_ms=statistics.median(host),
            clock_mhz=clock, power_w=power, cold_clock_mhz=cold_clock,
            memory_peak_bytes=int(self.torch.cuda.max_memory_allocated()) if self.cuda else 0,
            parameters=self.parameters, loss=float(loss.detach()) if loss is not None else float("nan"),
            prepare_s=prepare_s, traced=self._trace(),
        )  # fmt: skip

    def _phases(self, steps: list[list[tuple[str, Any, Any]]]) -> dict[str, float]:
        """Median over steps of the time in each phase."""
        sums = [
            {p: sum(self._between_ms(a, b) for name, a, b in marks if name == p) for p in PHASES}
            for marks in steps
        ]
        return {p: statistics.median(s[p] for s in sums) for p in PHASES}

    def _trace(self) -> Traced | None:
        if not self.cuda:
            return None
        profiler = importlib.import_module("torch.profiler")
        activities = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
        with profiler.profile(activities=activities, record_shapes=True) as found:
            for _ in range(TRACED_STEPS):
                self.step()
            self.torch.cuda.synchronize()
        folder = Path(self.case.traces or "/tmp")
        path = folder / f"{self.cut.name}_rank{self.process.job.rank}.json"
        found.export_chrome_trace(str(path))
        traced = read_trace(path, TRACED_STEPS)
        if not self.case.traces or self.process.job.rank:
            path.unlink()
        return traced
