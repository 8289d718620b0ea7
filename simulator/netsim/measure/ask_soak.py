"""`netsim measure --soak`: a training layer, or mixes of kernels and pauses, until the power limit holds."""

from __future__ import annotations

from dataclasses import asdict

import tomli_w

from netsim.errors import NetsimError, did_you_mean
from netsim.measure import provenance, soak
from netsim.measure.audience import Audience, Measured, table_of
from netsim.measure.mix import parse_mix
from netsim.measure.mix_table import write_parts
from netsim.specs import WorkloadSpec, load
from netsim.specs.profile import ProfileSpec
from netsim.specs.question import Question
from netsim.specs.requests import MeasureRequest


def measure_soak(question: Question, request: MeasureRequest, audience: Audience) -> Measured:
    """Run the layer, write every block of it, and say how much longer it takes under load."""
    side, seconds = request.side, request.soak or 0.0
    if side not in ("spin", "copy"):
        raise NetsimError(f"--side {side}: {did_you_mean(side, ('spin', 'copy'))}")
    output = table_of(request.output, "measure --soak")
    if output.exists():
        raise NetsimError(f"{output}: exists; a soak is one run, choose another -o")
    spec = load(WorkloadSpec, "workload", question.workload)
    blocks = soak.layer_blocks(spec, question.seed)
    sms = spec.communication.sms if request.side_sms is None else request.side_sms
    share = load(ProfileSpec, "profile", spec.profile).transport_share

    from netsim.measure import soak_gpu
    from netsim.measure.session import GpuBench

    bench = GpuBench(question.seed, quick=False)
    with audience.watch("soaking") as report:
        samples = soak_gpu.soak(
            bench, blocks, seconds, sms, share, "copy" if side == "copy" else "spin", report
        )
    soak.write_samples(output, samples)
    found = soak.slowdown(samples)
    facts = {
        "workload": spec.name, "seconds": seconds, "side": side, "side_sms": sms, "side_share": share,
        "left_out": sorted({name for block in blocks for name in block.left_out}), "seed": question.seed,
        **found.facts(), **bench.gpu.provenance(),
    }  # fmt: skip
    provenance.write_soak(output, facts)
    audience.say(
        f"{found.factor:.3f} times as long under load: {found.steady_ms:.2f} ms a layer at "
        f"{found.steady_GHz:.2f} GHz, {found.cold_ms:.2f} (+- {found.cold_deviation_ms:.2f}) from rest at "
        f"{found.cold_GHz:.2f} GHz: {output}"
    )
    return Measured({"output": str(output)} | facts)


def measure_mix(question: Question, request: MeasureRequest, audience: Audience) -> Measured:
    """Soak each mix, and append a row for each of its kernels."""
    output, seconds = table_of(request.output, "measure --mix"), request.soak or 0.0
    parsed = [(text, parse_mix(text)) for text in request.mix]

    from netsim.measure.mix_gpu import Mixer
    from netsim.measure.session import GpuBench

    bench = GpuBench(question.seed, quick=False)
    mixer, rows = Mixer(bench), []
    for text, parts in parsed:
        try:
            found = mixer.measure(text, parts, seconds)
        except NetsimError as error:
            audience.warn(f"{text}: {error}")
            continue
        write_parts(output, found)
        rows += found
        audience.say(f"{text}: {found[0].clock_mhz:g} MHz, {found[0].power_w:.0f} W")
    facts = {"table": output.name, "seconds": seconds, "seed": question.seed, **bench.gpu.provenance()}
    provenance.beside(output).write_text(tomli_w.dumps(facts), encoding="utf-8")
    return Measured({"output": str(output), "parts": [asdict(row) for row in rows]})
