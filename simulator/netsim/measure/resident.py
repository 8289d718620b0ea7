"""Small CUDA kernels around a measurement: a clock stamp, a rest on the GPU, and one that takes SMs away.

The resident kernel claims all shared memory of an SM with each block, so that nothing else fits there, in
clusters of two blocks as communication kernels of the DeepEP kind are launched (a scattered reservation would
also break the clusters of the GEMMs). It waits, or streams a copy, until the host says stop; a limit on its
time keeps a mistake from hanging the GPU. Compiled at run time through torch (`torch.cuda._compile_kernel`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from netsim.measure.device import Gpu
from netsim.measure.plan import Side

#: 16-byte words of the slice that each block of the copy reads, and of the one it writes: past the L2 together
_SLICE_WORDS = 2**20
_LIMIT_US = 20_000_000
#: what each block writes for the host
_STARTED, _ENDED, _MOVED, _NANOSECONDS = range(4)

_SOURCE = r"""
__device__ __forceinline__ long long now() {
  long long t;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
  return t;
}

extern "C" __global__ void stamp(long long* table, int slot, int sms) {
  unsigned sm;
  asm volatile("mov.u32 %0, %smid;" : "=r"(sm));
  long long* at = table + ((long long)slot * sms + sm) * 2;
  at[0] = clock64();
  at[1] = now();
}

extern "C" __global__ void rest(int ns) {
  long long end = now() + ns;
  while (now() < end) __nanosleep(500);
}

extern "C" __global__ void CLUSTER resident(volatile int* stop, volatile long long* state, uint4* words,
                                            int slice, int limit_us) {
  __shared__ int done;
  const long long begin = now();
  const uint4* from = words + 2LL * blockIdx.x * slice;
  uint4* to = words + (2LL * blockIdx.x + 1) * slice;
  long long moved = 0;
  int at = 0;
  if (threadIdx.x == 0) {
    state[blockIdx.x * 4] = 1;
    __threadfence_system();
  }
  for (;;) {
    if (threadIdx.x == 0) done = *stop != 0 || now() - begin > limit_us * 1000LL;
    __syncthreads();
    if (done) break;
    if (slice) {
      const int last = at + 65536;
      for (int i = at + threadIdx.x; i < last; i += 4 * blockDim.x) {
        uint4 a = from[i], b = from[i + blockDim.x], c = from[i + 2 * blockDim.x], d = from[i + 3 * blockDim.x];
        to[i] = a; to[i + blockDim.x] = b; to[i + 2 * blockDim.x] = c; to[i + 3 * blockDim.x] = d;
      }
      moved += 2LL * 65536 * sizeof(uint4);
      at = last % slice;
    } else if (threadIdx.x == 0) {
      __nanosleep(1000);
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    state[blockIdx.x * 4 + 2] = moved;
    state[blockIdx.x * 4 + 3] = now() - begin;
    state[blockIdx.x * 4 + 1] = 1;
    __threadfence_system();
  }
}
"""


class NotResident(RuntimeError):
    """The side kernel did not hold its SMs from beginning to end: the row would be of something else."""


class Resident:
    """The compiled kernels of one GPU."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        major = int(gpu.properties.major)
        self._source = _SOURCE.replace("CLUSTER", "__cluster_dims__(2, 1, 1)" if major >= 9 else "")
        self._stream, self._control = gpu.torch.cuda.Stream(), gpu.torch.cuda.Stream()
        self.side_GBps = float("nan")

    def _compile(self, name: str) -> Any:
        try:
            return self.gpu.torch.cuda._compile_kernel(self._source, name)
        except AttributeError:
            raise RuntimeError("needs torch 2.9 or newer, to compile CUDA kernels") from None

    @cached_property
    def _stamp(self) -> Any:
        return self._compile("stamp")

    @cached_property
    def _rest(self) -> Any:
        return self._compile("rest")

    @cached_property
    def _shared_bytes(self) -> int:
        return int(self.gpu.properties.shared_memory_per_block_optin) - 1024

    @cached_property
    def _hold(self) -> Any:
        kernel = self._compile("resident")
        kernel.set_shared_memory_config(self._shared_bytes)
        return kernel

    @cached_property
    def _words(self) -> Any:
        most = self.gpu.sms * 2 * _SLICE_WORDS * 16
        return self.gpu.torch.ones(most // 4, dtype=self.gpu.torch.int32, device="cuda")

    def stamps(self, slots: int) -> Any:
        """A table for `slots` stamps of every SM."""
        return self.gpu.torch.zeros((slots, self.gpu.sms, 2), dtype=self.gpu.torch.int64, device="cuda")

    def stamp(self, table: Any, slot: int) -> None:
        """Write clock64 and globaltimer of the SMs that are free into a slot of the table."""
        self._stamp(grid=(self.gpu.sms, 1, 1), block=(1, 1, 1), args=[table, slot, self.gpu.sms])

    def rest(self, seconds: float) -> None:
        """Keep the stream waiting on a single sleeping thread."""
        self._rest(grid=(1, 1, 1), block=(1, 1, 1), args=[round(seconds * 1e9)])

    @cached_property
    def _never(self) -> tuple[Any, Any]:
        """A stop flag that stays down, and room for what the blocks tell the host, which nobody reads."""
        torch = self.gpu.torch
        flag = torch.zeros(1, dtype=torch.int32, device=self.gpu.device)
        return flag, torch.zeros((self.gpu.sms, 4), dtype=torch.int64, device=self.gpu.device)

    def hold_for(self, seconds: float, sms: int, side: Side, after: Any) -> None:
        """Queue a resident kernel that takes SMs when the work queued on stream `after` is done, and ends by itself."""
        flag, state = self._never
        self._stream.wait_stream(after)
        slice_words = _SLICE_WORDS if side == "copy" else 0
        self._hold(
            grid=(sms, 1, 1), block=(1024, 1, 1), args=[flag, state, self._words, slice_words, round(seconds * 1e6)],
            shared_mem=self._shared_bytes, stream=self._stream,
        )  # fmt: skip

    @contextmanager
    def holding(self, side: Side, sms: int) -> Iterator[None]:
        """Hold `sms` SMs while the body runs; afterwards `side_GBps` says what the copy moved.

        Raises NotResident when fewer were held at the start, or one was given up before the end.
        """
        self.side_GBps = float("nan")
        if not side:
            yield
            return
        torch = self.gpu.torch
        # the flag is in device memory: polling the host over PCIe slows every other kernel, up to twofold
        stop = torch.zeros(1, dtype=torch.int32, device=self.gpu.device)
        one = torch.ones(1, dtype=torch.int32).pin_memory()
        state = torch.zeros((sms, 4), dtype=torch.int64).pin_memory()
        words = self._words
        torch.cuda.synchronize()
        slice_words = _SLICE_WORDS if side == "copy" else 0
        self._hold(
            grid=(sms, 1, 1), block=(1024, 1, 1), args=[stop, state, words, slice_words, _LIMIT_US],
            shared_mem=self._shared_bytes, stream=self._stream,
        )  # fmt: skip
        try:
            _await(state, sms)
            yield
            self.gpu.stream.synchronize()
            still = int((state[:, _ENDED] == 0).sum())
        finally:
            with torch.cuda.stream(self._control):
                stop.copy_(one, non_blocking=True)
            self._stream.synchronize()
        if still < sms:
            raise NotResident(f"the side kernel held {still} of {sms} SMs at the end")
        if side == "copy":
            self.side_GBps = float((state[:, _MOVED] / state[:, _NANOSECONDS]).sum())


def _await(state: Any, sms: int, patience_s: float = 2.0) -> None:
    began = time.monotonic()
    while int(state[:, _STARTED].sum()) < sms:
        if time.monotonic() - began > patience_s:
            raise NotResident(f"only {int(state[:, _STARTED].sum())} of {sms} SMs could be held")
        time.sleep(1e-4)
