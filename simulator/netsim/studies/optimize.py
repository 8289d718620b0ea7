"""The best design of a space, with as few simulations as it takes.

Building a design tells its cost and power exactly; `netsim.studies.bounds` tells how short its step can be at best; so
each candidate has an exact lower bound of the objective before it is simulated. Three ways:

* bounds: candidates are simulated from the least bound up, until no bound is below the best that was found. Exact.
* exhaustive: every candidate is simulated. Exact, and what is left when bounds cannot tell candidates apart.
* optuna: half of the `trials` simulations go to the candidates of least bound, where these can all be had; then a
  tree-structured Parzen estimator proposes (Bergstra et al., NIPS 2011). A candidate whose bound is no better than the
  best that was found is not simulated. For large spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from netsim.analysis.choice import SAME, rank
from netsim.errors import NetsimError
from netsim.studies.bounds import JobBound, job_bound, tree_of
from netsim.studies.evaluate import tokens_cost
from netsim.studies.goal import BUILT, Constraint, Goal
from netsim.studies.points import Point
from netsim.studies.question import StudyPoint
from netsim.studies.workers import Terms

Method = Literal["bounds", "exhaustive", "optuna"]
Simulate = Callable[[StudyPoint], dict[str, Any]]
#: settings that change neither the job nor what a NIC must send: one bound serves all their values
_FABRIC = ("topology", "prices")
_FABRIC_KEYS = ("topology.", "prices.", "switch.", "nic.", "hardware.nic.", "latency.")
_FABRIC_WORDS = ("planes", "tiers", "oversubscription", "routing", "queue_pairs", "family", "nics_per_host",
                 "hardware.nics_per_host")  # fmt: skip


#: designs that are all built to learn their bounds
MOST_BUILT = 5000


@dataclass
class Search:
    """What is known so far: bounds of jobs, built designs, simulated rows by point."""

    goal: Goal
    terms: Terms
    simulate: Simulate
    jobs: dict[str, JobBound] = field(default_factory=dict)
    built: dict[int, dict[str, Any]] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def evaluations(self) -> int:
        """Simulations made, those for bounds included."""
        return len(self.rows) + len(self.jobs)

    def best(self) -> float:
        """The least objective of a feasible row, infinite before there is one."""
        found = [row[self.goal.objective] for row in self.rows.values() if self.goal.feasible(row)]
        return min(found, default=float("inf"))

    def can_better(self, point: Point, bound: float) -> bool:
        """Whether a design with a bound may still be the best; of a tie, the shorter step is better."""
        best = self.best()
        if bound > best * (1.0 + SAME):
            return False
        if bound < best * (1.0 - SAME) or self.goal.objective == "step_time_s":
            return bool(bound < best)
        tied = [row for row in self.rows.values() if self.goal.feasible(row)]
        tied = [row for row in tied if row[self.goal.objective] <= best * (1.0 + SAME)]
        return bool(self.built[point.index]["step_time_s"] < min(row["step_time_s"] for row in tied))

    def bound(self, point: Point) -> float | None:
        """A lower bound of a design's objective; None when it cannot be built, or cannot obey the constraints."""
        if point.index not in self.built:
            self.built[point.index] = self._build(point.question)
        built = self.built[point.index]
        if "reason" in built or not self._may_obey(built):
            return None
        return float(built[self.goal.objective]) if self.goal.objective in built else float("-inf")

    def _may_obey(self, built: Mapping[str, Any]) -> bool:
        """A column that is exact must obey; one that is a lower bound must not exceed an upper limit."""
        for each in self.goal.constraints:
            known = each.metric in BUILT or (each.test == "<=" and each.metric in built)
            if known and not each.holds(built):
                return False
        return True

    def _build(self, question: StudyPoint) -> dict[str, Any]:
        from netsim.cost.bill import network_cost
        from netsim.topologies import build, summary
        from netsim.workloads.plan import make_plan

        try:
            case = question.case()
            topology = build(case.topology, case.hardware, question.gpus)
            cost = network_cost(topology, case.prices)
            plan = make_plan(case.workload, question.gpus, question.scaling)
            job = _job_key(question)
            if job not in self.jobs:
                self.jobs[job] = job_bound(question)
        except NetsimError as error:
            return {"status": "invalid", "reason": str(error)}
        least = self.jobs[job].least_step_s(case.hardware, question.gpus)
        tree = tree_of(case.topology, case.hardware, question.gpus, case.prices)
        fabric = summary(topology)
        days = 1e12 / (plan.tokens_per_step / least) / 86400.0
        record = {"topology": fabric, "step": {"days_per_trillion_tokens": days}, "cost": cost}
        dollars = tokens_cost(record, case, self.terms.gpu_usd_per_hour, self.terms.years)
        return {
            "network_usd": cost["network_usd"], "power_kw": cost["power_kw"], "switches": fabric["switches"],
            "switch_links": fabric["switch_links"], "step_time_s": least,
            "usd_per_trillion_tokens": dollars["usd_per_trillion_tokens"],
            "tree_bound_usd": None if tree is None else tree.usd,
        }  # fmt: skip

    def evaluate(self, point: Point) -> dict[str, Any]:
        """The simulated row of a point, once."""
        if point.index not in self.rows:
            self.rows[point.index] = self.simulate(point.question)
        return self.rows[point.index]


def _job_key(question: StudyPoint) -> str:
    """What is left of a question without its fabric: the job."""
    kept = {k: v for k, v in question.as_values().items() if k not in (*_FABRIC, "overrides")}
    overrides = {
        key: value
        for key, value in question.overrides.items()
        if key not in _FABRIC_WORDS and not key.startswith(_FABRIC_KEYS)
    }
    return repr((sorted(kept.items(), key=str), sorted(overrides.items(), key=str)))


def choose_method(count: int, goal: Goal, trials: int) -> Method:
    """Bounds where they tell designs apart and all can be built, everything where that is little, else optuna."""
    if count <= MOST_BUILT and goal.objective != "step_time_s":
        return "bounds"
    return "exhaustive" if count <= trials else "optuna"


def by_bounds(search: Search, points: Sequence[Point], told: Callable[[int], None] | None = None) -> None:
    """Simulate from the least bound up, until no bound is below the best."""
    for bound, point in _by_bound(search, points):
        if bound > search.best() * (1.0 + SAME):
            return
        if not search.can_better(point, bound):
            continue
        search.evaluate(point)
        if told is not None:
            told(search.evaluations)


def _by_bound(search: Search, points: Sequence[Point]) -> list[tuple[float, Point]]:
    """Points that may be feasible with their bounds, the least first; of a tie, the least bound of the step first."""
    able = [(bound, point) for point in points if (bound := search.bound(point)) is not None]

    def order(pair: tuple[float, Point]) -> tuple[float, float, int]:
        return float(f"{pair[0]:.9g}"), search.built[pair[1].index]["step_time_s"], pair[1].index

    return sorted(able, key=order)


def exhaustive(search: Search, points: Sequence[Point], told: Callable[[int], None] | None = None) -> None:
    """Simulate every point."""
    for point in points:
        search.evaluate(point)
        if told is not None:
            told(search.evaluations)


def by_optuna(
    search: Search, points: Sequence[Point], trials: int, seed: int, told: Callable[[int], None] | None = None
) -> None:
    """Let a tree-structured Parzen estimator propose points, until `trials` evaluations or nothing is left.

    Raises NetsimError without optuna.
    """
    try:
        import optuna
    except ImportError:
        raise NetsimError("--method optuna: needs optuna: pip install 'netsim-codesign[optimize]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    labels = {key: list(dict.fromkeys(repr(p.varied[key]) for p in points)) for key in points[0].varied}
    by_labels = {tuple(repr(point.varied[key]) for key in labels): point for point in points}
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(5, trials))
    study = optuna.create_study(sampler=sampler)
    if len(points) <= MOST_BUILT:
        for _, early in _by_bound(search, points)[: trials // 2]:
            study.enqueue_trial({key: repr(early.varied[key]) for key in labels})
    repeats, open_points = 0, {point.index for point in points}
    while search.evaluations < trials and open_points:
        trial = study.ask()
        point = by_labels.get(tuple(trial.suggest_categorical(key, words) for key, words in labels.items()))
        if point is None or point.index not in open_points:
            # a proposal that was made before: after a while, take one that was not
            repeats += 1
            if repeats < 3 or point is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            point = next(each for each in points if each.index in open_points)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            words = {key: repr(point.varied[key]) for key in labels}
            study.enqueue_trial(words)
            trial = study.ask()
            for key, choices in labels.items():
                trial.suggest_categorical(key, choices)
        repeats = 0
        open_points.discard(point.index)
        bound = search.bound(point)
        if bound is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        if not search.can_better(point, bound):  # what is known without a simulation guides the sampler too
            study.tell(trial, bound)
            continue
        row = search.evaluate(point)
        if told is not None:
            told(search.evaluations)
        if row["status"] == "ok":
            study.tell(trial, _penalised(search.goal, row))
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _penalised(goal: Goal, row: Mapping[str, Any]) -> float:
    """The objective; ten times as much and more the further a row is from obeying."""
    excess = sum(_excess(each, row) for each in goal.constraints)
    return float(row[goal.objective]) * (1.0 if goal.feasible(row) else 10.0 * (1.0 + excess))


def _excess(constraint: Constraint, row: Mapping[str, Any]) -> float:
    """How far a row is from obeying, as a share of the limit; 0 when it does."""
    return (
        0.0 if constraint.holds(row) else abs(float(row[constraint.metric]) / (constraint.value or 1.0) - 1.0)
    )


def ranked(search: Search) -> list[int]:
    """Points by objective, the best feasible first, ties by the other objectives; infeasible ones are left out."""
    feasible = [index for index, row in search.rows.items() if search.goal.feasible(row)]
    return sorted(feasible, key=lambda index: (*rank(search.rows[index], search.goal.objective), index))
