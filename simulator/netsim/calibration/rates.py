"""Times that no device could reach, or would waste: a table in another unit than it was read in.

    faster   a row needs more than the peak of its device: operations over the dense peak of its format, or bytes over
             `CACHE` times the memory rate (small tensors come from the L2)
    slower   no row of a table with large products reaches `LEAST` of the peak

A row above the peak by less than `SLACK` is one measured at a higher clock than the peak is given at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netsim.calibration.fit import Sample
from netsim.compute.device import Device
from netsim.errors import NetsimError

SLACK = 1.05
CACHE = 8.0
LEAST = 0.01
#: operations that no overhead hides on any of today's GPUs, and bytes: about 10 us
LARGE_FLOPS, LARGE_BYTES = 1e10, 3e7


def check_rates(source: str, samples: Mapping[str, Sequence[Sample]], device: Device, name: str) -> None:
    """Refuse a table with rows above the peaks of a device, or of which none comes near them.

    Raises NetsimError naming the row and its rate.
    """
    best: tuple[float, Sample] | None = None
    for rows in samples.values():
        for sample in rows:
            share = _share(sample, device)
            if share > SLACK:
                raise NetsimError(f"{source}: {_line(sample, share, name)}: {_HINT}")
            large = sample.op.flops > LARGE_FLOPS or sample.op.bytes > LARGE_BYTES
            if large and (best is None or share > best[0]):
                best = share, sample
    if best is not None and best[0] < LEAST:
        raise NetsimError(f"{source}: the fastest row is {_line(best[1], best[0], name)}: {_HINT}")


_HINT = "is the time in another unit? (--unit ns, us, ms or s)"


def _share(sample: Sample, device: Device) -> float:
    """Of the peak that bounds it, or of what the cache may give."""
    op = sample.op
    products = op.flops / device.peak(op.kind) if op.flops else 0.0
    return max(products, op.bytes / (CACHE * device.hbm_bytes_per_s)) / sample.seconds


def _line(sample: Sample, share: float, name: str) -> str:
    op = sample.op
    rate = f"{_plain(op.flops / sample.seconds / 1e12)} TFLOPS" if op.flops else ""
    rate = rate or f"{_plain(op.bytes / sample.seconds / 1e9)} GB/s"
    side = f"{_plain(share)} times" if share > 1.0 else f"{share:.2g} of"
    return f"{op.name} in {sample.seconds * 1e6:.4g} us, {rate}, {side} the peak of {name}"


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 100.0 else f"{number:.3g}"
