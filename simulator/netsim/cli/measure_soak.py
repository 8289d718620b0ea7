"""`netsim measure --soak`: a training layer over and over, from rest until the power limit holds."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path


def measure_soak(
    output: Path | None,
    workload: str,
    seconds: float,
    side_sms: int | None,
    side: str,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
    """Run the layer, write every block of it, and say how much longer it takes under load."""
    from netsim.cli.progress import progress_bar
    from netsim.errors import NetsimError, did_you_mean
    from netsim.measure import provenance, soak
    from netsim.specs import WorkloadSpec, load
    from netsim.specs.profile import ProfileSpec

    if side not in ("spin", "copy"):
        raise NetsimError(f"--side {side}: {did_you_mean(side, ('spin', 'copy'))}")
    if output is None:
        raise NetsimError("measure --soak needs -o FILE.csv to write to")
    if output.exists():
        raise NetsimError(f"{output}: exists; a soak is one run, choose another -o")
    spec = load(WorkloadSpec, "workload", workload)
    blocks = soak.layer_blocks(spec, seed)
    sms = spec.communication.sms if side_sms is None else side_sms
    share = load(ProfileSpec, "profile", spec.profile).transport_share

    from netsim.measure import soak_gpu
    from netsim.measure.session import GpuBench

    bench = GpuBench(seed, quick=False)
    with progress_bar("soaking", quiet) as report:
        samples = soak_gpu.soak(
            bench, blocks, seconds, sms, share, "copy" if side == "copy" else "spin", report
        )
    soak.write_samples(output, samples)
    found = soak.slowdown(samples)
    facts = {
        "workload": spec.name, "seconds": seconds, "side": side, "side_sms": sms, "side_share": share,
        "left_out": sorted({name for block in blocks for name in block.left_out}), "seed": seed,
        **found.facts(), **bench.gpu.provenance(),
    }  # fmt: skip
    provenance.write_soak(output, facts)
    if json:
        print(jsonlib.dumps({"output": str(output)} | facts, indent=1))
    if not quiet:
        print(
            f"{found.factor:.3f} times as long under load: {found.steady_ms:.2f} ms a layer at "
            f"{found.steady_GHz:.2f} GHz, {found.cold_ms:.2f} (+- {found.cold_deviation_ms:.2f}) from rest at "
            f"{found.cold_GHz:.2f} GHz: {output}",
            file=sys.stderr,
        )
