"""`netsim workload`: what models are and what their jobs ask for, side by side, without running anything."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Force, Json, Quiet, Sets, refuse_beside_list
from netsim.cli.output import needs_folder, say_written

if TYPE_CHECKING:
    from netsim.analysis.models import ModelRequest


def workload(
    typed: typer.Context,
    names: Annotated[
        list[str], typer.Argument(help="Jobs: presets or TOML files; models: a config.json; or `list`.")
    ],
    sequence_length: Annotated[
        int, typer.Option("--sequence-length", min=1, help="Tokens of a sequence: FLOPs, intensity.")
    ] = 4096,
    context: Annotated[
        int, typer.Option("--context", min=1, help="Tokens cached before a decode step.")
    ] = 4096,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences that decode together.")] = 128,
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus", "-n", min=1, help="GPUs, for memory and traffic; left out: what the batch implies."
        ),
    ] = None,
    sets: Sets = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write result.json and models.csv into this folder.")
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Parameters, FLOPs and KV cache a token, memory, arithmetic intensity and traffic of one or several models."""
    from netsim.analysis import models
    from netsim.reports.rundir import prepare
    from netsim.specs.case import parse_overrides

    if names == ["list"]:
        refuse_beside_list(typed, "names")
        _list(json)
        return
    needs_folder(output, force=force)
    ask = models.ModelRequest(sequence_length, context, batch, gpus)
    result = models.compare(names, ask, parse_overrides(sets or []))
    if output is not None:
        prepare(output, force)
        from netsim.reports.model_files import write

        say_written(output, write(output, result), quiet)
    if json:
        print(jsonlib.dumps(result, indent=1))
    elif not quiet:
        _print(result["models"], ask)


def _list(json: bool) -> None:
    from netsim.specs import WorkloadSpec, catalog, load

    presets = {name: load(WorkloadSpec, "workload", name).description for name in catalog.names("workload")}
    if json:
        print(jsonlib.dumps(presets, indent=1))
        return
    for name, words in presets.items():
        print(f"{name:<16} {words}")


def _print(records: list[dict[str, Any]], ask: ModelRequest) -> None:
    from netsim.reports.terminal.model_tables import notes, rows
    from netsim.reports.terminal.rows import print_rows

    print_rows(rows(records, ask), left=1)
    print(f"\n{notes(ask)}")
