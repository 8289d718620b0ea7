"""The GPU as the measurement sees it: torch loaded on demand, a stream, an L2 flush, and what must be known of it.

torch and Triton are imported here and nowhere else at run time; everything that touches them is typed Any, so
that the rest of netsim needs neither.
"""

from __future__ import annotations

import datetime
import importlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import netsim
from netsim.errors import NetsimError

#: at least this much is read to push other data out of the L2
_FLUSH_BYTES = 256 * 2**20


def load_torch() -> Any:
    """torch, on a machine where it sees a CUDA GPU.

    Raises NetsimError with one clear line otherwise.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise NetsimError("measure needs torch with CUDA: pip install 'netsim-codesign[measure]'") from None
    if not torch.cuda.is_available():
        raise NetsimError(f"measure needs a CUDA GPU, and torch {torch.__version__} sees none")
    return torch


@dataclass(frozen=True)
class Built:
    """A kernel ready to run: `run` launches it; `error` compares its result with float32 on sampled rows.

    `samples_us` replaces the protocols where a host clock is what is wanted.
    """

    run: Callable[[], Any]
    error: Callable[[], float]
    tolerance: float
    samples_us: Callable[[int], list[float]] | None = None


class Gpu:
    """The current CUDA device; all work goes to one stream of its own."""

    def __init__(self, seed: int) -> None:
        self.torch = torch = load_torch()
        self.device = "cuda"
        self.stream = torch.cuda.Stream()
        self.properties = torch.cuda.get_device_properties(0)
        self.random = torch.Generator(device="cuda")
        self.random.manual_seed(seed)
        self._jitted: dict[Callable[..., Any], Any] = {}
        torch.backends.cuda.matmul.allow_tf32 = False

    @property
    def name(self) -> str:
        """As the driver names it."""
        return str(self.properties.name)

    @property
    def sms(self) -> int:
        """Streaming multiprocessors."""
        return int(self.properties.multi_processor_count)

    @cached_property
    def triton(self) -> tuple[Any, Any]:
        """(triton, triton.language).

        Raises RuntimeError where there is none: the kernels that need it are skipped.
        """
        try:
            return importlib.import_module("triton"), importlib.import_module("triton.language")
        except ImportError:
            raise RuntimeError("needs triton") from None

    def jit(self, define: Callable[[Any], Callable[..., None]]) -> Any:
        """The Triton kernel that `define(triton.language)` returns, compiled once."""
        if define not in self._jitted:
            triton, language = self.triton
            self._jitted[define] = triton.jit(define(language))
        return self._jitted[define]

    @cached_property
    def _flush_buffer(self) -> Any:
        count = max(_FLUSH_BYTES, 4 * int(self.properties.L2_cache_size)) // 4
        return self.torch.ones(count, dtype=self.torch.int32, device="cuda")

    def flush_l2(self) -> None:
        """Read a buffer much larger than the L2; a read leaves no dirty lines behind for the next kernel."""
        self.torch.sum(self._flush_buffer, dtype=self.torch.int32)

    def normal(self, *size: int, dtype: Any = None) -> Any:
        """Fresh random values: data changes how fast a power-limited GPU runs, zeros most of all."""
        return self.torch.randn(
            size, generator=self.random, device=self.device, dtype=dtype or self.torch.bfloat16
        )

    def integers(self, high: int, *size: int) -> Any:
        """Random 64-bit integers below `high`."""
        return self.torch.randint(high, size, generator=self.random, device=self.device)

    def sample(self, count: int, most: int = 64) -> Any:
        """Indices of at most `most` of `count` rows, the last one among them."""
        if count <= most:
            return self.torch.arange(count, device=self.device)
        drawn = self.integers(count, most)
        drawn[0] = count - 1
        return drawn

    def relative_error(self, result: Any, reference: Any) -> float:
        """Norm of the difference over the norm of the reference, in float32; NaN is as wrong as infinity."""
        difference = (result.float() - reference.float()).norm() / reference.float().norm().clamp_min(1e-30)
        value = float(difference)
        return value if value == value else float("inf")

    def provenance(self) -> dict[str, Any]:
        """What must be known of the machine to read its timings."""
        torch, p = self.torch, self.properties
        try:
            triton = str(self.triton[0].__version__)
        except RuntimeError:
            triton = "none"
        return {
            "gpu": self.name,
            "compute_capability": f"{p.major}.{p.minor}",
            "sms": self.sms,
            "l2_bytes": int(p.L2_cache_size),
            "memory_bytes": int(p.total_memory),
            **_driver_facts(),
            "torch": str(torch.__version__),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
            "triton": triton,
            "netsim": netsim.__version__,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        }


def _driver_facts() -> dict[str, str]:
    """Driver, power cap and clock limits as nvidia-smi tells them; empty where there is no nvidia-smi."""
    fields = ("driver_version", "power.limit", "clocks.max.sm", "clocks.max.memory", "enforced.power.limit")
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    cells = [cell.strip() for cell in done.stdout.strip().split(",")]
    names = ("driver", "power_cap", "max_sm_clock", "memory_clock", "enforced_power_cap")
    return dict(zip(names, cells, strict=False))
