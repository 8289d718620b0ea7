"""`netsim validate`: netsim against what other people measured."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path

from netsim.cli.asking import asking
from netsim.cli.options import Json, Quiet
from netsim.specs.requests import ValidateRequest


@asking(request=ValidateRequest)
def validate(request: ValidateRequest, json: Json = False, quiet: Quiet = False) -> int:
    """Compare with every published number; exit 1 when one that has a tolerance is missed."""
    from netsim.errors import NetsimError

    if request.coverage:
        from netsim.reports.terminal.coverage_table import print_coverage

        if request.only or request.output is not None or request.rows:
            raise NetsimError("--coverage: reads errors that are written, without --only, --rows and -o")
        return print_coverage(json, quiet)
    if request.rows:
        if request.only or request.output is not None:
            raise NetsimError("--rows: prints rows of its own, without --only and -o")
        return _rows(request.rows, request.jobs, json, quiet)
    return _published(request, json, quiet)


def _published(request: ValidateRequest, json: bool, quiet: bool) -> int:
    from netsim.reports.terminal.validate_tables import print_scores, print_steps
    from netsim.reports.validation_report import write_report
    from netsim.validation import validate as validation

    specs = validation.of_kind(validation.published(list(request.only)), request.sets)
    if not quiet and sys.stderr.isatty():
        print(f"{len(specs)} published sets", file=sys.stderr)
    outcome = validation.validate_all(specs, request.jobs)
    found = list(zip(specs, outcome.checks, strict=True))
    checks = [check for _, mine in found for check in mine]
    if request.output is not None:
        for path in write_report(request.output, found, outcome.steps):
            if not quiet:
                print(f"wrote {path}", file=sys.stderr)
    if json:
        print(jsonlib.dumps([check.record() for check in checks], indent=1))
    elif not quiet:
        print_scores(found, checks)
        if outcome.steps:
            print_steps(outcome.steps)
    return int(any(check.ok is False for check in checks))


def _rows(paths: tuple[Path, ...], jobs: int, json: bool, quiet: bool) -> int:
    """Print every row, the summary and the ranking; 1 when a target is missed."""
    from netsim.reports.terminal.validate_tables import print_answers
    from netsim.validation.row_csv import read_rows
    from netsim.validation.row_report import missed, record
    from netsim.validation.row_run import run_rows

    rows = [row for path in paths for row in read_rows(path)]
    answers = run_rows(rows, jobs, None if quiet or not sys.stderr.isatty() else _progress)
    if json:
        print(jsonlib.dumps([record(answer) for answer in answers], indent=1))
    elif not quiet:
        print_answers(answers)
    return int(missed(answers))


def _progress(done: int, every: int) -> None:
    print(f"\r{done} of {every} questions", end="\n" if done == every else "", file=sys.stderr, flush=True)
