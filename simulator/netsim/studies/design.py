"""The best design of a space as a record: the best, the runners-up, the front, and what it took to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from netsim.analysis.choice import fits, rank
from netsim.errors import NetsimError, did_you_mean
from netsim.specs.case import sort_overrides
from netsim.specs.idle import RUNNING, STUDY, refuse_idle, refuse_unread
from netsim.studies.axes import pareto_front
from netsim.studies.evaluate import FILES, evaluate
from netsim.studies.goal import Goal, parse_goal
from netsim.studies.optimize import Method, Search, by_bounds, by_optuna, choose_method, exhaustive, ranked
from netsim.studies.points import Point, points
from netsim.studies.question import ALIASES, OPTIONS, StudyPoint
from netsim.studies.spec import StudySpec, check_size, count_points, make_study
from netsim.studies.support import decide
from netsim.studies.workers import Terms

#: what is tried when nothing is said: NIC count and speed, radix, fabric and taper
SPACE: dict[str, list[Any]] = {
    "topology": ["mpft", "mrft", "ft2", "ft3"],
    "nics_per_host": [2, 4, 8],
    "nic.line_rate": ["200 Gb/s", "400 Gb/s"],
    "switch.radix": [64, 128],
    "oversubscription": [[1.0], [2.0], [1.0, 1.0], [2.0, 1.0]],
}


def optimize(
    objective: str = "dollars_per_trillion_tokens",
    subject_to: Sequence[str] = (),
    gpus: int = 2048,
    vary: Mapping[str, Sequence[Any]] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    method: str | None = None,
    trials: int | None = None,
    seed: int = 0,
    large: bool = False,
    told: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """The design of a space that makes an objective least, under constraints such as "step_time<=20".

    vary : values of keys, `SPACE` by default; method : bounds, exhaustive or optuna, by the size of the space; trials :
    simulations that optuna may use, 100 by default; large : allow a space beyond `netsim.studies.spec.MANY`; told : how
    many simulations there were

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    goal = parse_goal(objective, subject_to)
    refuse_idle(overrides or {}, "weak", [RUNNING])
    keys = {key: value for key, value in (overrides or {}).items() if key not in (*OPTIONS, *ALIASES)}
    refuse_unread(sort_overrides(keys), STUDY, "a study: its gpu_usd_per_hour says it")
    # the same seed for all, so that designs differ by what they are alone
    spec = make_study(None, vary or SPACE, {"gpus": gpus, **(overrides or {})}, seed)
    spec = spec.model_copy(update={"seeds": "shared"})
    check_size(count_points(spec), large, "the space")
    space = list(points(spec))
    used = _method(method, len(space), goal, trials)
    search = _search(goal, spec)
    if used == "optuna":
        by_optuna(search, space, trials or 100, seed, told)
    elif used == "bounds":
        by_bounds(search, space, told)
    else:
        exhaustive(search, space, told)
    return _record(search, space, goal, used, seed)


def _method(method: str | None, count: int, goal: Goal, trials: int | None) -> str:
    if method is not None and method not in get_args(Method):
        raise NetsimError(f"--method {method}: unknown: {did_you_mean(method, get_args(Method))}")
    used = method or choose_method(count, goal, trials or 100)
    if trials is not None and (used == "bounds" or method == "exhaustive"):
        raise NetsimError(f"--trials: has no effect on the method {used}")
    return used


def _search(goal: Goal, spec: StudySpec) -> Search:
    terms = Terms(spec.gpu_usd_per_hour, spec.years)

    def simulate(question: StudyPoint) -> dict[str, Any]:
        row = evaluate(question.as_values(), question.id, terms.gpu_usd_per_hour, terms.years)
        return {key: value for key, value in row.items() if key != FILES}

    return Search(goal, terms, simulate)


def _record(search: Search, space: list[Point], goal: Goal, method: str, seed: int) -> dict[str, Any]:
    """The answer: the best, the runners-up, the front, and what it took."""

    def design(index: int) -> dict[str, Any]:
        return {**space[index].varied, **search.rows[index]}

    order = ranked(search)
    able = [design(index) for index in sorted(search.rows) if goal.feasible(search.rows[index])]
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
        "decision": decide(
            [design(order[0]), *(row for row in simulated if row != design(order[0]) and fits(row))],
            goal,
            seed,
        )
        if order
        else None,
        "runners_up": [design(index) for index in order[1:6]],
        "does_not_fit": _unfit(simulated, goal),
        "front": [able[n] for n in pareto_front(able, ["network_usd", "step_time_s"], 1e-3)],
    }


def _unfit(simulated: list[dict[str, Any]], goal: Goal) -> list[dict[str, Any]]:
    """Designs that would obey but need more memory than a GPU has, the best first; five at most."""
    over = [row for row in simulated if not fits(row) and goal.obeyed(row)]
    return sorted(over, key=lambda row: rank(row, goal.objective))[:5]
