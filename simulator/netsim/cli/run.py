"""`netsim run`: one training step, end to end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from netsim.cli.options import (
    Csv,
    FaultRate,
    Faults,
    Force,
    GpuHour,
    Gpus,
    Hardware,
    Json,
    Output,
    Placement,
    Prices,
    Profile,
    Quiet,
    Reliability,
    Routing,
    Scaling,
    Schedule,
    Seed,
    Sets,
    TopologyName,
    WorkloadName,
    case_from,
    given,
)
from netsim.cli.output import answer, needs_folder, say_written

Spec = Annotated[
    Path | None,
    typer.Option(
        "--spec",
        help="The spec.toml of a run: the same question again, but for what --set and options change.",
    ),
]
#: options that name what a spec.toml holds whole
_NAMES = ("topology", "workload", "hardware", "profile", "prices")


def run(
    context: typer.Context,
    topology: TopologyName = "mpft",
    gpus: Gpus = 2048,
    workload: WorkloadName = "deepseek-v3",
    spec: Spec = None,
    hardware: Hardware = None,
    profile: Profile = None,
    prices: Prices = "published",
    routing: Routing = None,
    schedule: Schedule = None,
    scaling: Scaling = "weak",
    placement: Placement = None,
    gpu_hour_usd: GpuHour = None,
    seed: Seed = 0,
    sets: Sets = None,
    fault: Faults = None,
    fault_rate: FaultRate = None,
    reliability: Reliability = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail when the plan does not fit, or an operator is extrapolated."),
    ] = False,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Share the execution of ranks that cannot be told apart.")
    ] = True,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say where the bubble comes from (four more simulations).")
    ] = False,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate one training step and say how long it takes, what it waits for, and what the network costs."""
    from netsim.analysis.fault_cost import FaultRequest
    from netsim.cli.summary import print_summary
    from netsim.errors import NetsimError
    from netsim.reports import rundir
    from netsim.specs.case import parse_overrides
    from netsim.specs.idle import FAILOVER, refuse, refuse_idle

    needs_folder(output, csv=csv, force=force)
    if spec is not None:
        from netsim.specs.case import read_question

        typed = given(context)
        for name in _NAMES:
            if name in typed:
                raise NetsimError(f"--{name}: also given by --spec {spec}")
        was = read_question(spec)
        gpus = gpus if "gpus" in typed else was.gpus
        scaling = scaling if "scaling" in typed else was.scaling
        seed = seed if "seed" in typed else was.seed
        topology = workload = hardware = profile = prices = str(spec)
    refuse_idle(parse_overrides(sets or []), scaling, FAILOVER)  # FaultRequest knows more
    case = case_from(
        topology, workload, profile, routing, schedule, sets, placement, gpu_hour_usd, hardware, prices
    )
    refuse(case.idle)
    if explain and (fault or fault_rate is not None):
        raise NetsimError("--explain: splits the bubble of a step without faults; leave out --fault")
    if output is not None:
        rundir.prepare(output, force)
    began = time.perf_counter()
    asked = FaultRequest.of(
        parse_overrides(sets or []), fault or [], fault_rate, reliability, case.topology.routing
    )
    step, result = _simulate(case, gpus, scaling, seed, fold, asked, quiet)
    if explain:
        from netsim.analysis.bubble import bubble_by_cause

        result["step"]["bubble_by_cause_s"] = bubble_by_cause(case, step.plan, seed, fold)
        if step.ranks is not None:
            from netsim.analysis.spread import spread

            result["skew"]["added_by_pipeline_rank"] = spread(step)
    for warning in result["warnings"]:
        print(f"netsim: warning: {warning}", file=sys.stderr)
    if strict:
        _refuse_doubts(step, result)
    result["run"] = {"wall_s": time.perf_counter() - began}
    if output is not None:
        say_written(output, rundir.write_run(output, step, result, csv), quiet)
    answer(result, json, quiet, print_summary)


def _refuse_doubts(step: Any, result: dict[str, Any]) -> None:
    """Under --strict: no plan that does not fit, and no compute time beyond what was measured or modelled."""
    from netsim.errors import DomainError, NetsimError

    if beyond := step.timing.missing_classes():
        raise DomainError(f"--strict: {beyond}")
    if result["warnings"]:
        raise NetsimError(f"--strict: {result['warnings'][0]}")
    try:
        step.timing.require_known()
    except DomainError as error:
        beyond = result["provenance"]["compute_origin"]["extrapolated"]
        raise DomainError(f"--strict: {beyond:.1%} of the compute time is extrapolated: {error}") from None


def _simulate(
    case: Any, gpus: int, scaling: Any, seed: int, fold: bool, asked: Any, quiet: bool
) -> tuple[Any, dict[str, Any]]:
    from netsim.analysis.fault_cost import step_with_faults
    from netsim.cli.progress import progress_bar
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    with progress_bar("simulating", quiet) as report:
        if asked:
            return step_with_faults(
                case, gpus, asked, scaling=scaling, seed=seed, folded=fold, progress=report
            )
        step = simulate(case, gpus, scaling=scaling, seed=seed, folded=fold, progress=report)
    return step, contract(step)
