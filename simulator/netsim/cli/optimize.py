"""`netsim optimize`: the best design of a space, the runners-up, and the front."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from netsim.cli.options import Gpus, Json, Quiet, Sets
from netsim.cli.sweep import Vary, Yes


def optimize(
    objective: Annotated[
        str, typer.Option("--objective", help="cost, step_time, dollars_per_trillion_tokens or power.")
    ] = "dollars_per_trillion_tokens",
    subject_to: Annotated[
        list[str] | None,
        typer.Option(
            "--subject-to",
            metavar="METRIC<=N",
            help="What a design must obey, e.g. step_time<=20. Repeatable.",
        ),
    ] = None,
    gpus: Gpus = 2048,
    vary: Vary = None,
    sets: Sets = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="bounds, exhaustive or optuna. [default: by the size of the space]"),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            min=1,
            help="Simulations that optuna may use, and the largest space simulated whole. [default: 100]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulations and of optuna.")] = 0,
    yes: Yes = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the design that makes an objective least: exact bounds first, simulations where they cannot tell.

    Exit status 1 when no design obeys the constraints, 2 when none can be built.
    """
    from netsim.errors import NetsimError
    from netsim.reports.terminal.optimize_tables import print_designs
    from netsim.specs.case import parse_overrides
    from netsim.studies.design import SPACE
    from netsim.studies.design import optimize as ask
    from netsim.studies.spec import parse_vary

    told = _told if sys.stderr.isatty() and not quiet else None
    varied = parse_vary(vary or [])
    result = ask(
        objective, subject_to or [], gpus, varied, overrides=parse_overrides(sets or []), method=method,
        trials=trials, seed=seed, large=yes, told=told,
    )  # fmt: skip
    if told:
        print("\r", end="", file=sys.stderr)
    if json:
        import json as jsonlib

        sys.stdout.write(jsonlib.dumps(result, indent=1, allow_nan=False) + "\n")
    elif not quiet:
        print_designs(result, list(varied or SPACE))
    if result["cannot_be_built"] == result["space"]:
        raise NetsimError(f"no design of the space can be built; the first: {result['first_reason']}")
    return 0 if result["best"] else 1


def _told(count: int) -> None:
    print(f"\r{count} simulations", end="", file=sys.stderr, flush=True)
