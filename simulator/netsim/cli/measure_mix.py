"""`netsim measure --soak SECONDS --mix ...`: mixes of kernels and pauses at the power limit."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path


def measure_mix(
    output: Path | None, mixes: Sequence[str], seconds: float, seed: int, json: bool, quiet: bool
) -> None:
    """Soak each mix, and append a row for each of its kernels."""
    import tomli_w

    from netsim.errors import NetsimError
    from netsim.measure.mix import parse_mix
    from netsim.measure.mix_table import write_parts
    from netsim.measure.provenance import beside

    if output is None:
        raise NetsimError("measure --mix needs -o FILE.csv to write to")
    parsed = [(text, parse_mix(text)) for text in mixes]

    from netsim.measure.mix_gpu import Mixer
    from netsim.measure.session import GpuBench

    bench = GpuBench(seed, quick=False)
    mixer, rows = Mixer(bench), []
    for text, parts in parsed:
        try:
            found = mixer.measure(text, parts, seconds)
        except NetsimError as error:
            print(f"{text}: {error}", file=sys.stderr)
            continue
        write_parts(output, found)
        rows += found
        if not quiet:
            print(f"{text}: {found[0].clock_mhz:g} MHz, {found[0].power_w:.0f} W", file=sys.stderr)
    facts = {"table": output.name, "seconds": seconds, "seed": seed, **bench.gpu.provenance()}
    beside(output).write_text(tomli_w.dumps(facts), encoding="utf-8")
    if json:
        print(jsonlib.dumps({"output": str(output), "parts": [asdict(row) for row in rows]}, indent=1))
