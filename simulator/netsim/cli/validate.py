"""`netsim validate`: netsim against what other people measured."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from netsim.cli.options import Json, Quiet
from netsim.errors import NetsimError


def validate(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="A published set by name, e.g. fig5 or isca25_table3. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Write validation.md and its plots into this folder, e.g. reports."
        ),
    ] = None,
    rows: Annotated[
        list[Path] | None,
        typer.Option(
            "--rows",
            help="A CSV of training steps published elsewhere (columns: reports/published/README.md). Repeatable.",
        ),
    ] = None,
    sets: Annotated[
        str,
        typer.Option(
            "--sets", help="Published sets to run: all, training (steps that anybody ran), or papers."
        ),
    ] = "all",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes that run training steps.")] = 2,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage",
            help="Of the published steps that reports/errors.json holds, how many fall inside their intervals.",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compare with every published number; exit 1 when one that has a tolerance is missed."""
    if coverage:
        from netsim.reports.terminal.coverage_table import print_coverage

        if only or output is not None or rows:
            raise NetsimError("--coverage: reads errors that are written, without --only, --rows and -o")
        return print_coverage(json, quiet)
    if rows:
        from netsim.cli.validate_rows import validate_rows

        if only or output is not None:
            raise NetsimError("--rows: prints rows of its own, without --only and -o")
        return validate_rows(rows, jobs, json, quiet)
    from netsim.cli.validate_rows import print_steps
    from netsim.reports.validation_report import write_report
    from netsim.validation import validate as validation

    specs = validation.of_kind(validation.published(only or []), sets)
    if not quiet and sys.stderr.isatty():
        print(f"{len(specs)} published sets", file=sys.stderr)
    outcome = validation.validate_all(specs, jobs)
    found = list(zip(specs, outcome.checks, strict=True))
    checks = [check for _, mine in found for check in mine]
    if output is not None:
        for path in write_report(output, found, outcome.steps):
            if not quiet:
                print(f"wrote {path}", file=sys.stderr)
    if json:
        print(jsonlib.dumps([check.record() for check in checks], indent=1))
    elif not quiet:
        _print(found, checks)
        if outcome.steps:
            print_steps(outcome.steps)
    return int(any(check.ok is False for check in checks))


def _print(found: list[Any], checks: list[Any]) -> None:
    """The scorecard, and every miss."""
    from netsim.reports.terminal.rows import print_rows
    from netsim.validation.validate import percent, score

    head = "published rows calibrated checked missed median worst median_of_all worst_of_all"
    rows = [head.split()]
    for spec, mine in found:
        s = score(spec, mine)
        errors = map(percent, (s.median_pct, s.worst_pct, s.median_all_pct, s.worst_all_pct))
        rows.append([s.name, str(s.rows), str(s.calibrated), str(s.checked), str(s.missed), *errors])
    print_rows(rows, left=1)
    for check in checks:
        if check.ok is False:
            print(f"missed: {check}")
