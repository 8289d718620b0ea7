"""`netsim measure --collectives`: collectives among the GPUs of this host, as one CSV."""

from __future__ import annotations

import json as jsonlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from netsim.cli.measure_kernels import report_outcome

if TYPE_CHECKING:
    from netsim.measure.collectives_table import Machine


def measure_collectives(
    output: Path | None,
    gpus: int | None,
    sizes: str | None,
    backend: str | None,
    budget_s: float | None,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
    """Measure what the table lacks, and say what came of it."""
    from netsim.cli.progress import progress_bar
    from netsim.collectives.sizes import parse_sizes
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
    report_outcome(machine.device, outcome, output, quiet)
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
