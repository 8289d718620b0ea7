"""`netsim optimize`: the best design of a space, the runners-up, and the front."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Gpus, Json, Quiet, Sets
from netsim.cli.sweep import Vary, Yes

if TYPE_CHECKING:
    from netsim.studies.goal import Goal
    from netsim.studies.optimize import Search
    from netsim.studies.points import Point

#: what is tried when nothing is said: NIC count and speed, radix, fabric and taper
SPACE = (
    "topology=mpft,mrft,ft2,ft3", "nics_per_host=2,4,8", "nic.line_rate=200 Gb/s,400 Gb/s", "switch.radix=64,128",
    "oversubscription=[1.0],[2.0],[1.0,1.0],[2.0,1.0]",
)  # fmt: skip


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

    Exit status 1 when no design obeys the constraints.
    """
    from netsim.errors import NetsimError
    from netsim.studies.goal import parse_goal
    from netsim.studies.optimize import choose_method
    from netsim.studies.points import points
    from netsim.studies.spec import check_size, count_points

    goal = parse_goal(objective, subject_to or [])
    spec = _space(gpus, vary, sets, seed)
    check_size(count_points(spec), yes, "the space")
    space = list(points(spec))
    _check_method(method)
    used = method or choose_method(len(space), goal, trials or 100)
    if trials is not None and (used == "bounds" or method == "exhaustive"):
        raise NetsimError(f"--trials: has no effect on the method {used}")
    search = _search(goal, spec, quiet)
    _run(search, space, used, trials or 100, seed)
    result = _record(search, space, goal, used)
    if json:
        import json as jsonlib

        sys.stdout.write(jsonlib.dumps(result, indent=1, allow_nan=False) + "\n")
    elif not quiet:
        _print(result, list(space[0].varied))
    return 0 if result["best"] else 1


def _check_method(method: str | None) -> None:
    from typing import get_args

    from netsim.errors import NetsimError, did_you_mean
    from netsim.studies.optimize import Method

    if method is not None and method not in get_args(Method):
        raise NetsimError(f"--method {method}: unknown: {did_you_mean(method, get_args(Method))}")


def _space(gpus: int, vary: list[str] | None, sets: list[str] | None, seed: int) -> Any:
    from netsim.cli.sweep import study_from
    from netsim.specs.case import parse_overrides
    from netsim.specs.idle import RUNNING, refuse_idle

    refuse_idle(parse_overrides(sets or []), "weak", [RUNNING])
    base: dict[str, Any] = {"gpus": gpus}
    varied = vary or list(SPACE)
    # the same seed for all, so that designs differ by what they are alone
    return study_from(None, varied, base, sets, seed).model_copy(update={"seeds": "shared"})


def _search(goal: Goal, spec: Any, quiet: bool) -> Search:
    from netsim.studies.evaluate import evaluate
    from netsim.studies.optimize import Search
    from netsim.studies.workers import Terms

    terms = Terms(spec.gpu_usd_per_hour, spec.years)

    def simulate(question: Any) -> dict[str, Any]:
        return evaluate(question.as_values(), question.id, terms.gpu_usd_per_hour, terms.years)

    return Search(goal, terms, simulate)


def _run(search: Search, space: list[Point], method: str, trials: int, seed: int) -> None:
    from netsim.studies.optimize import by_bounds, by_optuna, exhaustive

    def told(count: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{count} simulations", end="", file=sys.stderr, flush=True)

    if method == "optuna":
        by_optuna(search, space, trials, seed, told)
    elif method == "bounds":
        by_bounds(search, space, told)
    else:
        exhaustive(search, space, told)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)


def _record(search: Search, space: list[Point], goal: Goal, method: str) -> dict[str, Any]:
    """The answer: the best, the runners-up, the front, and what it took."""
    from netsim.studies.axes import pareto_front
    from netsim.studies.optimize import ranked

    def design(index: int) -> dict[str, Any]:
        return {**space[index].varied, **search.rows[index]}

    order = ranked(search)
    simulated = [design(index) for index in sorted(search.rows) if search.rows[index]["status"] == "ok"]
    reasons = [row["reason"] for row in search.built.values() if "reason" in row]
    trees = [row["tree_bound_usd"] for row in search.built.values() if row.get("tree_bound_usd") is not None]
    return {
        "schema": 1,
        "objective": goal.objective,
        "subject_to": [str(each) for each in goal.constraints],
        "method": method,
        "space": len(space),
        "cannot_be_built": len(reasons),
        "first_reason": reasons[0] if reasons else None,
        "evaluations": search.evaluations,
        "proven": method != "optuna",
        "least_step_s": min((job.step_s for job in search.jobs.values()), default=None),
        "least_tree_usd": min(trees, default=None),
        "best": design(order[0]) if order else None,
        "runners_up": [design(index) for index in order[1:6]],
        "front": [simulated[n] for n in pareto_front(simulated, ["network_usd", "step_time_s"], 1e-3)],
    }


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
