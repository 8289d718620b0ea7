"""`netsim workload`: what models are and what their jobs ask for, side by side, without running anything."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Force, Json, Output, Quiet, Sets

if TYPE_CHECKING:
    from netsim.reports.models import Question

SCHEMA = 1


def workload(
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
            "--gpus", "-n", min=1, help="GPUs, for memory and traffic. [default: those of the job's batch]"
        ),
    ] = None,
    sets: Sets = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Parameters, FLOPs and KV cache a token, memory, arithmetic intensity and traffic of one or several models."""
    from netsim.errors import NetsimError
    from netsim.reports import models

    if force and output is None:
        raise NetsimError("--force: is about a run directory; add -o DIR")
    if names == ["list"]:
        _list(json)
        return
    overrides = _overrides(names, sets)
    if gpus is not None and all(name.endswith(".json") for name in names):
        raise NetsimError(f"--gpus {gpus}: has no effect on a config.json, which has no job")
    if output is not None:
        from netsim.reports.rundir import prepare

        prepare(output, force)
    ask = models.Question(sequence_length, context, batch, gpus)
    subjects = [models.subject(name, overrides) for name in dict.fromkeys(names)]
    result = {"schema": SCHEMA, "models": [models.describe(one, ask) for one in subjects]}
    if output is not None:
        written = models.write(output, result)
        if not quiet:
            print(f"wrote {', '.join(path.name for path in written)} to {output}", file=sys.stderr)
    if json:
        print(jsonlib.dumps(result, indent=1))
    elif not quiet:
        _print(result["models"], ask)  # type: ignore[arg-type]


def _overrides(names: list[str], sets: list[str] | None) -> dict[str, dict[str, Any]]:
    from netsim.errors import NetsimError
    from netsim.specs.case import parse_overrides, sort_overrides

    given = sort_overrides(parse_overrides(sets or []))
    for section in ("topology", "profile", "prices"):
        for key in given[section]:
            raise NetsimError(f"--set {section}.{key}: has no effect on a workload")
    if sets and all(name.endswith(".json") for name in names):
        raise NetsimError(f"--set {sets[0]}: has no effect on a config.json; edit it, or name a job")
    return given


def _list(json: bool) -> None:
    from netsim import catalog
    from netsim.specs import WorkloadSpec, load

    presets = {name: load(WorkloadSpec, "workload", name).description for name in catalog.names("workload")}
    if json:
        print(jsonlib.dumps(presets, indent=1))
        return
    for name, words in presets.items():
        print(f"{name:<16} {words}")


def _print(records: list[dict[str, Any]], ask: Question) -> None:
    from netsim.cli.model_tables import notes, rows
    from netsim.cli.rows import print_rows

    print_rows(rows(records, ask), left=1)
    print(f"\n{notes(ask)}")
