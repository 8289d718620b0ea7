"""`netsim measure`: its options, and which of the three measurements they ask for: kernels, collectives, or a soak."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netsim.cli.options import Json, Quiet, Seed, WorkloadName

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="PATTERN", help="A kernel, or a pattern over the names of --list. Repeatable."
    ),
]

#: what an option has an effect on: kernels, collectives, a soak; those not named here, on all
_SERVES = {
    "workload": "kernels soak", "side_sms": "kernels soak", "budget_s": "kernels collectives",
    "only": "kernels", "quick": "kernels", "listing": "kernels",
    "gpus": "collectives", "sizes": "collectives", "backend": "collectives",
    "side": "soak",
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

    kind = "collectives" if collectives else "kernels" if soak is None else "soak"
    if collectives and soak is not None:
        raise NetsimError("--collectives and --soak: choose one")
    _refuse_idle(context, kind)
    if kind == "collectives":
        from netsim.cli.measure_collectives import measure_collectives

        measure_collectives(output, gpus, sizes, backend, budget_s, seed, json, quiet)
    elif soak is not None:
        from netsim.cli.measure_soak import measure_soak

        measure_soak(output, workload, soak, side_sms, side, seed, json, quiet)
    else:
        from netsim.cli.measure_kernels import measure_kernels

        measure_kernels(output, workload, only or (), quick, listing, side_sms, budget_s, seed, json, quiet)


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
        rule = f"an effect only with --{serves}" if "kernels" not in serves else f"no effect with --{kind}"
        raise NetsimError(f"{parameter.opts[-1]}: has {rule}")
