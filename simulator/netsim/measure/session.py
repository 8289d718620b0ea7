"""One measuring session: what of the plan is missing, measured in order, each row written as it is done.

`measure_all` knows neither torch nor CUDA: it is given a bench that measures one thing. A kernel that the library
refuses is skipped and said; a wrong result is a finding and gives no row; an error that leaves the GPU unusable
ends the session, and what is done stays readable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from netsim.errors import NetsimError
from netsim.measure.plan import Measurement
from netsim.measure.shapes import Shape
from netsim.measure.table import Table, make_row
from netsim.measure.timing import Timing

if TYPE_CHECKING:
    from netsim.measure.device import Built


class Refused(RuntimeError):
    """The library or the GPU cannot run this kernel at this shape."""


class WrongResult(RuntimeError):
    """The kernel ran, and its result is not what float32 says."""


class Bench(Interface):
    """What measures."""

    gpu_name: str
    torch_version: str

    def measure(self, m: Measurement) -> tuple[Timing, float]:
        """Timing and relative error.

        Raises Refused or WrongResult.
        """


@dataclass
class Outcome:
    """What a session did; `refused` and `wrong` give a reason by measurement."""

    planned: int
    found_done: int
    measured: int = 0
    left: int = 0
    seconds: float = 0.0
    refused: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def measure_all(
    plan: Iterable[Measurement],
    bench: Bench,
    table: Table,
    budget_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Measure what the table lacks, until the budget is spent; no measurement is begun after that."""
    began, plan = clock(), tuple(plan)
    todo = table.missing(plan)
    outcome = Outcome(planned=len(plan), found_done=len(plan) - len(todo))
    for index, m in enumerate(todo):
        if budget_s is not None and clock() - began >= budget_s:
            outcome.left = len(todo) - index
            break
        _one(m, bench, table, outcome)
        if progress is not None:
            progress(index + 1, len(todo))
    outcome.seconds = clock() - began
    return outcome


def _one(m: Measurement, bench: Bench, table: Table, outcome: Outcome) -> None:
    try:
        timing, error_rel = bench.measure(m)
    except Refused as reason:
        outcome.refused[m.name] = str(reason)
    except WrongResult as reason:
        outcome.wrong[m.name] = str(reason)
    else:
        table.add(make_row(m, timing, error_rel, bench.gpu_name, bench.torch_version))
        outcome.measured += 1


class GpuBench:
    """Builds, checks and times kernels on the current CUDA device.

    Raises NetsimError without torch or a GPU.
    """

    def __init__(self, seed: int, quick: bool) -> None:
        from netsim.measure.device import Gpu
        from netsim.measure.protocol import Protocol
        from netsim.measure.timing import QUICK, Effort

        self.gpu = Gpu(seed)
        self.gpu_name, self.torch_version = self.gpu.name, str(self.gpu.torch.__version__)
        self.protocol = Protocol(self.gpu, QUICK if quick else Effort())
        self._last: tuple[Shape, Built, float] | None = None

    def measure(self, m: Measurement) -> tuple[Timing, float]:
        """Build and check the kernel unless it is the last one again; then time it."""
        try:
            with self.gpu.torch.cuda.stream(self.gpu.stream):
                if self._last is None or self._last[0] != m.shape:
                    self._last = None  # frees the operands before the next ones are made
                    self._last = (m.shape, *self._build(m.shape))
                _, built, error_rel = self._last
                return self.protocol.time(m, built), error_rel
        except (WrongResult, NetsimError):
            raise
        except Exception as error:  # a library's refusals have no common type
            raise Refused(self._reason(error)) from error

    def _build(self, shape: Shape) -> tuple[Built, float]:
        from netsim.measure.kernels import BUILDERS

        built = BUILDERS[shape.kernel](self.gpu, shape)
        error = built.error()
        if not error <= built.tolerance:
            raise WrongResult(f"relative error {error:.2g} above {built.tolerance:.2g}")
        return built, error

    def checked(self, shape: Shape) -> Callable[[], Any]:
        """A kernel that may be run over and over.

        Raises NetsimError when it cannot be built, or its result is wrong.
        """
        try:
            return self._build(shape)[0].run
        except NetsimError:
            raise
        except Exception as error:  # a library's refusals have no common type
            raise NetsimError(f"measure --soak: {shape.name}: {self._reason(error)}") from error

    def _reason(self, error: Exception) -> str:
        """The first line of an error.

        Raises NetsimError when the GPU does not answer any more.
        """
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        try:
            self.gpu.torch.cuda.synchronize()
        except RuntimeError:
            raise NetsimError(f"the GPU stopped: {line}; rows done are kept, run again to go on") from error
        return line[:300]
