"""`netsim measure`: timings of the kernels of a training step, as one CSV."""

from __future__ import annotations

import json as jsonlib
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from netsim.measure.plan import Measurement
    from netsim.measure.session import GpuBench, Outcome


def measure_kernels(
    output: Path | None,
    workload: str,
    only: Iterable[str],
    quick: bool,
    framework: bool,
    listing: bool,
    side_sms: int | None,
    budget_s: float | None,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
    """Measure what the table lacks, or list what would be measured."""
    from netsim.errors import NetsimError
    from netsim.measure import plan as plans
    from netsim.specs import WorkloadSpec, load

    spec = load(WorkloadSpec, "workload", workload)
    if framework:
        from netsim.measure.framework import plan_for

        plan = plan_for(only)
    else:
        plan = plans.make_plan(spec, seed, spec.communication.sms if side_sms is None else side_sms, only)
    plan = plans.quick(plan) if quick else plan
    if listing:
        return _list(plan, json)
    if output is None:
        raise NetsimError("measure needs -o FILE.csv to write to, or --list")
    bench, outcome = _measure(plan, output, seed, quick, budget_s, quiet)
    _report(bench, outcome, output, json, quiet)
    if outcome.wrong:
        raise typer.Exit(1)


def _list(plan: tuple[Measurement, ...], json: bool) -> None:
    if json:
        print(jsonlib.dumps({"measurements": [m.name for m in plan]}, indent=1))
        return
    for m in plan:
        print(m.name)


def _measure(
    plan: tuple[Measurement, ...], output: Path, seed: int, quick: bool, budget_s: float | None, quiet: bool
) -> tuple[GpuBench, Outcome]:
    from netsim.cli.progress import progress_bar
    from netsim.measure import provenance
    from netsim.measure.session import GpuBench, measure_all
    from netsim.measure.table import Table

    bench = GpuBench(seed, quick)
    with (
        Table(output, bench.gpu_name, bench.torch_version) as table,
        progress_bar("measuring", quiet) as report,
    ):
        provenance.add_session(output, len(table.done) + 1, bench.gpu.provenance(), seed, quick)
        outcome = measure_all(plan, bench, table, budget_s, report)
    return bench, outcome


def _report(bench: GpuBench, outcome: Outcome, output: Path, json: bool, quiet: bool) -> None:
    if json:
        facts = {"output": str(output), "provenance": bench.gpu.provenance()} | asdict(outcome)
        print(jsonlib.dumps(facts, indent=1))
    report_outcome(bench.gpu_name, outcome, output, quiet)


def report_outcome(device: str, outcome: Outcome, output: Path, quiet: bool) -> None:
    """What a session did, on standard error."""
    if quiet:
        return
    for name, reason in outcome.wrong.items():
        print(f"wrong result, no row: {name}: {reason}", file=sys.stderr)
    for (kernel, reason), count in Counter(
        (name.partition(":")[0], reason) for name, reason in outcome.refused.items()
    ).items():
        print(f"refused: {kernel} ({count} measurements): {reason}", file=sys.stderr)
    print(
        f"{outcome.measured} measured in {outcome.seconds:.0f} s on {device}, {outcome.found_done} were done, "
        f"{outcome.left} left: {output}",
        file=sys.stderr,
    )
