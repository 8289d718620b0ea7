"""`netsim optimize`: the best design of a space, the runners-up, and the front."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from netsim.cli.options import Gpus, Json, Quiet, Sets
from netsim.cli.sweep import Vary, Yes


def optimize(
    objective: Annotated[
        str, typer.Option("--objective", help="cost, step_time, dollars_per_trillion_tokens or power.")
    ] = "cost",
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
        _print(result, list(varied or SPACE))
    if result["cannot_be_built"] == result["space"]:
        raise NetsimError(f"no design of the space can be built; the first: {result['first_reason']}")
    return 0 if result["best"] else 1


def _told(count: int) -> None:
    print(f"\r{count} simulations", end="", file=sys.stderr, flush=True)


def _print(result: dict[str, Any], keys: list[str]) -> None:
    from netsim.cli.rows import print_rows
    from netsim.studies.axes import label

    how = {
        "bounds": "from the least exact bound up: no other design can be better",
        "exhaustive": "every design simulated",
        "optuna": "a sampled search: a better design may exist",
    }[result["method"]]
    limits = f" subject to {', '.join(result['subject_to'])}" if result["subject_to"] else ""
    print(
        f"Least {result['objective']}{limits}: {result['space']} designs, {result['cannot_be_built']} cannot be built"
    )
    print(f"{result['evaluations']} simulations, {how}")
    if result["least_step_s"] is not None:
        print(
            f"No fabric makes the step shorter than {result['least_step_s']:.3f} s (links of infinite rate)"
        )
    if result["least_tree_usd"] is not None:
        print(
            f"No tree of the space costs less than {result['least_tree_usd'] / 1e6:.2f} M$ (port counts alone)"
        )
    if result["best"] is None:
        why = f"; the first that cannot be built: {result['first_reason']}" if result["first_reason"] else ""
        print(f"No design obeys{why}")
    rows = [("", *keys, "step s", "network M$", "power kW", "k$/T tokens")]
    groups = [("best", [result["best"]] if result["best"] else []), ("runner-up", result["runners_up"])]
    for name, designs in [*groups, ("front", result["front"])]:
        for found in designs:
            told = (
                found["step_time_s"],
                found["network_usd"] / 1e6,
                found["power_kw"],
                found["usd_per_trillion_tokens"] / 1e3,
            )
            rows.append((name, *(label(found[key]) for key in keys), *(f"{x:.4g}" for x in told)))
    print_rows(rows, left=len(keys) + 1)
