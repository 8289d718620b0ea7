"""`netsim measure`: timings of the GPUs at hand as one CSV, of kernels or of collectives among them."""

from __future__ import annotations

import json as jsonlib
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Json, Quiet, Seed, WorkloadName

if TYPE_CHECKING:
    from netsim.measure.collectives_table import Machine
    from netsim.measure.plan import Measurement
    from netsim.measure.session import GpuBench, Outcome

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="PATTERN", help="A kernel, or a pattern over the names of --list. Repeatable."
    ),
]

_FOR_KERNELS = ("workload", "only", "quick", "listing", "side_sms")
_FOR_COLLECTIVES = ("gpus", "sizes", "backend")
_FOR_SOAK = ("side",)
_NOT_FOR_SOAK = ("only", "quick", "listing", "budget_s")


def measure(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV to write; rows that it holds already are kept.")
    ] = None,
    workload: WorkloadName = "deepseek-v3",
    only: Only = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One small shape of each kernel, few repetitions.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="Print what would be measured; needs no GPU.")
    ] = False,
    side_sms: Annotated[
        int | None,
        typer.Option(
            "--side-sms", min=0, help="SMs that the resident kernel takes. [default: the workload's]"
        ),
    ] = None,
    budget_s: Annotated[
        float | None, typer.Option("--budget-s", min=0, help="Begin nothing more after so many seconds.")
    ] = None,
    collectives: Annotated[
        bool, typer.Option("--collectives", help="Collectives among the GPUs of this host, not kernels.")
    ] = False,
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus", min=1, help="Collectives: among 2, 4, ... and so many. [default: all there are]"
        ),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes", help="Collectives: low:high doubling, or a list. [default: 64B:4GiB; gloo 64B:1MiB]"
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", help="Collectives: nccl, or gloo on CPUs. [default: nccl if there is a GPU]"
        ),
    ] = None,
    soak: Annotated[
        float | None,
        typer.Option(
            "--soak",
            min=1,
            metavar="SECONDS",
            help="A training layer over and over, from rest until the power limit holds, not single kernels.",
        ),
    ] = None,
    side: Annotated[
        str, typer.Option("--side", help="Soak: what the resident kernel does, spin or copy.")
    ] = "spin",
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time the kernels of a training step on this GPU, or collectives among GPUs (needs torch with CUDA)."""
    from netsim.errors import NetsimError

    _refuse(context, collectives, soak is not None)
    if collectives:
        return _collectives(output, gpus, sizes, backend, budget_s, seed, json, quiet)
    if soak is not None:
        return _soak(output, workload, soak, side_sms, side, seed, json, quiet)
    from netsim.measure import plan as plans
    from netsim.specs import WorkloadSpec, load

    spec = load(WorkloadSpec, "workload", workload)
    plan = plans.make_plan(spec, seed, spec.communication.sms if side_sms is None else side_sms, only or ())
    plan = plans.quick(plan) if quick else plan
    if listing:
        return _list(plan, json)
    if output is None:
        raise NetsimError("measure needs -o FILE.csv to write to, or --list")
    bench, outcome = _measure(plan, output, seed, quick, budget_s, quiet)
    _report(bench, outcome, output, json, quiet)
    if outcome.wrong:
        raise typer.Exit(1)


def _refuse(context: typer.Context, collectives: bool, soak: bool) -> None:
    """Options given without effect are a mistake."""
    from netsim.errors import NetsimError

    if collectives and soak:
        raise NetsimError("--collectives and --soak: choose one")
    spelled = {p.name: p.opts[-1] for p in context.command.params}
    without = dict.fromkeys(_FOR_KERNELS if collectives else _FOR_COLLECTIVES, "--collectives")
    rules = {
        name: f"has {'no effect' if collectives else 'an effect only'} with {what}"
        for name, what in without.items()
    }
    if not soak:
        rules |= dict.fromkeys(_FOR_SOAK, "has an effect only with --soak")
    else:
        rules |= dict.fromkeys(_NOT_FOR_SOAK, "has no effect with --soak")
    for name, rule in rules.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise NetsimError(f"{spelled[name]}: {rule}")


def _soak(
    output: Path | None,
    workload: str,
    seconds: float,
    side_sms: int | None,
    side: str,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
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


def _collectives(
    output: Path | None,
    gpus: int | None,
    sizes: str | None,
    backend: str | None,
    budget_s: float | None,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
    from netsim.bench.sizes import parse_sizes
    from netsim.cli.progress import progress_bar
    from netsim.errors import NetsimError
    from netsim.measure import collectives_session as session
    from netsim.measure.collectives import make_plan
    from netsim.measure.collectives_table import Table, add_session

    if output is None:
        raise NetsimError("measure --collectives needs -o FILE.csv to write to")
    given = parse_sizes(sizes) if sizes else None
    torch = session.load_torch()
    library = session.choose_backend(torch, backend)
    gpus = session.choose_gpus(torch, library, gpus)
    on_gpu = library == "nccl"
    plan = make_plan(gpus, given or parse_sizes("64B:4GiB" if on_gpu else "64B:1MiB"), beside=on_gpu)
    machine = session.machine_of(torch, library)
    _say_what(machine, gpus, backend, quiet)
    with Table(output, machine) as table, progress_bar("measuring", quiet) as report:
        facts = session.provenance(torch, machine, gpus, seed)
        add_session(output, len(table.done) + 1, facts, seed)
        outcome = session.measure_all(plan, table, seed, budget_s, report)
    if json:
        print(jsonlib.dumps({"output": str(output), "provenance": facts} | asdict(outcome), indent=1))
    _report_outcome(machine.device, outcome, output, quiet)
    if outcome.wrong:
        raise typer.Exit(1)


def _say_what(machine: Machine, gpus: int, backend: str | None, quiet: bool) -> None:
    if quiet:
        return
    if machine.backend == "gloo":
        why = "" if backend else "no CUDA GPU: "
        print(f"{why}gloo among processes of this CPU; says nothing of NVLink", file=sys.stderr)
    if gpus == 1:
        print("one rank: the time of launches and copies, no bandwidth figure", file=sys.stderr)


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
    _report_outcome(bench.gpu_name, outcome, output, quiet)


def _report_outcome(device: str, outcome: Outcome, output: Path, quiet: bool) -> None:
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
