"""`netsim measure`: its options, and which measurement they ask for: kernels, collectives, a soak, or a step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netsim.cli.options import Json, Quiet, Seed, Sets, WorkloadName

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="PATTERN", help="A kernel, or a pattern over the names of --list. Repeatable."
    ),
]

#: what an option has an effect on: kernels, collectives, a soak; those not named here, on all
_SERVES = {
    "workload": "kernels soak step", "side_sms": "kernels soak", "budget_s": "kernels collectives",
    "only": "kernels", "quick": "kernels", "listing": "kernels", "framework": "kernels", "mix": "soak",
    "gpus": "collectives step", "sizes": "collectives", "backend": "collectives",
    "side": "soak", "soak": "soak step",
    "way": "step", "layers": "step", "eager": "step", "small": "step", "traces": "step", "sets": "step",
}  # fmt: skip


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
            "--gpus",
            min=1,
            help="Collectives: among 2, 4, ... [default: all there are]. Step: of the cut. [default: 1]",
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
    framework: Annotated[
        bool,
        typer.Option(
            "--framework", help="Kernels as torch and torch.compile launch them, not the workload's."
        ),
    ] = False,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            "--mix", help="Soak: kernels and pauses by shares, gemm:bf16:8192x8192x8192=0.7,idle=0.3."
        ),
    ] = None,
    step: Annotated[
        bool,
        typer.Option(
            "--step", help="A real training step of a small cut of the workload, beside what is predicted."
        ),
    ] = False,
    layers: Annotated[int, typer.Option("--layers", min=1, help="Step: layers of the cut.")] = 4,
    way: Annotated[
        str | None,
        typer.Option(
            "--way", help="Step: one, dp, fsdp, tp, tp_sp, ep or pp. [default: one; fsdp on more GPUs]"
        ),
    ] = None,
    eager: Annotated[bool, typer.Option("--eager", help="Step: without torch.compile.")] = False,
    small: Annotated[
        bool, typer.Option("--small", help="Step: tiny widths, to try it on a machine without a GPU.")
    ] = False,
    traces: Annotated[
        Path | None, typer.Option("--traces", help="Step: folder for a profiler trace of two steps.")
    ] = None,
    sets: Sets = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time the kernels of a training step on this GPU, or collectives among GPUs (needs torch with CUDA)."""
    from netsim.errors import NetsimError

    kind = "collectives" if collectives else "step" if step else "kernels" if soak is None else "soak"
    if collectives and (step or soak is not None):
        raise NetsimError(f"--collectives and --{'step' if step else 'soak'}: choose one")
    _refuse_idle(context, kind)
    if kind == "collectives":
        from netsim.cli.measure_collectives import measure_collectives

        measure_collectives(output, gpus, sizes, backend, budget_s, seed, json, quiet)
    elif kind == "step":
        from netsim.cli.measure_step import measure_step
        from netsim.specs.case import parse_overrides

        given = parse_overrides(sets or [])
        measure_step(
            output, workload, way, gpus, layers, 12.0 if soak is None else soak, given, eager, small, traces, seed,
            json, quiet,
        )  # fmt: skip
    elif soak is not None and mix:
        from netsim.cli.measure_mix import measure_mix

        measure_mix(output, mix, soak, seed, json, quiet)
    elif soak is not None:
        from netsim.cli.measure_soak import measure_soak

        measure_soak(output, workload, soak, side_sms, side, seed, json, quiet)
    else:
        from netsim.cli.measure_kernels import measure_kernels

        measure_kernels(
            output, workload, only or (), quick, framework, listing, side_sms, budget_s, seed, json, quiet
        )


def _refuse_idle(context: typer.Context, kind: str) -> None:
    """Options given without effect on what is measured are a mistake."""
    from netsim.errors import NetsimError

    for parameter in context.command.params:
        source, serves = (
            context.get_parameter_source(parameter.name or ""),
            _SERVES.get(parameter.name or "", kind),
        )
        if kind in serves or source is None or source.name != "COMMANDLINE":
            continue
        rule = (
            f"an effect only with --{' or --'.join(serves.split())}"
            if "kernels" not in serves
            else f"no effect with --{kind}"
        )
        raise NetsimError(f"{parameter.opts[-1]}: has {rule}")
