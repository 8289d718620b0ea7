"""The optimizer finds what simulating everything finds, with a fifth of the simulations; its bounds hold."""

import json
from typing import Any

import pytest

from netsim.cli.app import run_app
from netsim.cost.bill import network_cost
from netsim.errors import NetsimError
from netsim.specs.case import make_case
from netsim.studies.bounds import job_bound, least_tree, tree_of
from netsim.studies.evaluate import evaluate
from netsim.studies.goal import parse_constraint, parse_goal
from netsim.studies.optimize import Search, by_bounds, by_optuna, choose_method, exhaustive, ranked
from netsim.studies.points import Point, points
from netsim.studies.question import StudyPoint
from netsim.studies.spec import StudySpec
from netsim.studies.workers import Terms
from netsim.topologies import build

TERMS = Terms(2.0, 4.0)
#: on GPUs whose memory holds the job
SMALL = {"gpus": 64, "schedule": "1f1b", "parallelism.pipeline": 1, "batch.microbatches": 1,
         "hardware.gpu.hbm": "1 TB"}  # fmt: skip
SPACE = StudySpec(
    seeds="shared",
    base=SMALL,
    vary={
        "topology": ["ft2", "mrft"],
        "nics_per_host": [1, 2, 4, 8],
        "nic.line_rate": ["100 Gb/s", "200 Gb/s", "400 Gb/s"],
        "switch.radix": [16, 32, 64],
    },
)
GOALS = [
    ("cost", ["step_time<=4"]),
    ("cost", ["step_time<=5", "power<=2"]),
    ("dollars_per_trillion_tokens", []),
    ("power", ["step_time<=4"]),
]


@pytest.fixture(scope="module")
def everything() -> tuple[list[Point], dict[str, dict[str, Any]]]:
    """Every design of the space, simulated."""
    space = list(points(SPACE))
    rows = {
        p.question.id: evaluate(p.question.as_values(), p.question.id, TERMS.gpu_usd_per_hour, TERMS.years)
        for p in space
    }
    assert all(row["status"] == "ok" for row in rows.values())
    return space, rows


def search_for(goal: tuple[str, list[str]], rows: dict[str, dict[str, Any]]) -> Search:
    """A search that looks a simulation up instead of running it."""
    return Search(parse_goal(*goal), TERMS, lambda question: rows[question.id])


def optimum(goal: tuple[str, list[str]], space: list[Point], rows: dict[str, dict[str, Any]]) -> float:
    """The least objective, by looking at everything."""
    search = search_for(goal, rows)
    exhaustive(search, space)
    return search.best()


# of dollars per token most are GPU-hours, which differ less between designs than the bound of the step is off
@pytest.mark.parametrize("goal", [goal for goal in GOALS if not goal[0].startswith("dollars")])
def test_bounds_find_the_exhaustive_optimum_in_a_fifth_of_the_evaluations(
    goal: tuple[str, list[str]], everything: tuple[list[Point], dict[str, dict[str, Any]]]
) -> None:
    space, rows = everything
    search = search_for(goal, rows)
    by_bounds(search, space)
    assert search.best() == optimum(goal, space, rows)
    assert search.evaluations <= 0.2 * len(space)


def test_bounds_meet_the_cheapest_tokens_in_a_fifth_of_the_evaluations(
    everything: tuple[list[Point], dict[str, dict[str, Any]]],
) -> None:
    """To know that nothing is better takes a quarter."""
    space, rows = everything
    search, when = search_for(GOALS[2], rows), [0]
    best = optimum(GOALS[2], space, rows)
    by_bounds(search, space, lambda count: when.append(count) if search.best() > best else None)
    assert search.best() == best
    assert when[-1] + 1 <= 0.2 * len(space)
    assert search.evaluations <= 0.3 * len(space)


@pytest.mark.parametrize("goal", [GOALS[0], GOALS[2]])
@pytest.mark.parametrize("seed", range(3))
def test_optuna_finds_it_too_whatever_the_seed(
    goal: tuple[str, list[str]], seed: int, everything: tuple[list[Point], dict[str, dict[str, Any]]]
) -> None:
    space, rows = everything
    search = search_for(goal, rows)
    by_optuna(search, space, trials=int(0.2 * len(space)), seed=seed)
    assert search.best() == optimum(goal, space, rows)
    assert search.evaluations <= 0.2 * len(space)


def test_no_design_is_better_than_its_bounds(
    everything: tuple[list[Point], dict[str, dict[str, Any]]],
) -> None:
    space, rows = everything
    search = search_for(("dollars_per_trillion_tokens", []), rows)
    for point in space:
        bound, row = search.bound(point), rows[point.question.id]
        built = search.built[point.index]
        assert bound is not None
        assert bound <= row["usd_per_trillion_tokens"]
        assert built["step_time_s"] <= row["step_time_s"]
        assert built["network_usd"] == row["network_usd"]
        assert built["tree_bound_usd"] <= row["network_usd"] * (1 + 1e-12)
    # one NIC of 100 Gb/s for eight GPUs: the bytes alone take most of the step
    slowest = next(
        p for p in space if (p.varied["nics_per_host"], p.varied["nic.line_rate"]) == (1, "100 Gb/s")
    )
    assert search.built[slowest.index]["step_time_s"] > 0.5 * rows[slowest.question.id]["step_time_s"]
    assert len(search.jobs) == 1


def test_the_bytes_of_a_job_are_those_of_its_exchanges() -> None:
    question = StudyPoint(gpus=64, overrides={k: v for k, v in SMALL.items() if k != "gpus"})
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    record = contract(simulate(question.case(), 64))
    exchanges = [c for c in record["collectives"] if "dispatch" in c["kind"] or "combine" in c["kind"]]
    # count is that of all tasks of a rank group of 64 GPUs
    sent = sum(c["count"] * c["wire_bytes_per_gpu"] for c in exchanges) * 64
    assert job_bound(question).wire_bytes == pytest.approx(sent, rel=1e-6)


def test_the_least_tree_is_the_published_one_where_every_port_is_used() -> None:
    prices = make_case().prices
    two = least_tree(2048, 64, [1.0], prices, 50e9, 50e9)
    assert (two.switches, two.cables) == (96, 2048)
    three = least_tree(65536, 64, [1.0, 1.0], prices, 50e9, 50e9)
    assert (three.switches, three.cables) == (5120, 131072)
    assert least_tree(64, 64, [1.0, 1.0], prices, 50e9, 50e9).switches == 1


@pytest.mark.parametrize("prices", ["published", "street_2026"])
@pytest.mark.parametrize("name", ["mpft", "mrft", "ft2", "ft3"])
@pytest.mark.parametrize("gpus", [64, 512, 1000, 2048])
@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0])
def test_no_tree_is_cheaper_than_the_bound(prices: str, name: str, gpus: int, ratio: float) -> None:
    case = make_case(
        name, prices=prices, overrides={"oversubscription": [ratio, 1.0] if name == "ft3" else [ratio]}
    )
    bound = tree_of(case.topology, case.hardware, gpus, case.prices)
    assert bound is not None
    actual = network_cost(build(case.topology, case.hardware, gpus), case.prices)["network_usd"]
    assert bound.usd <= actual * (1 + 1e-12)
    assert bound.usd >= 0.3 * actual or prices != "published"


def test_the_method_fits_the_space() -> None:
    cost, step = parse_goal("cost", []), parse_goal("step_time", [])
    assert choose_method(72, cost, 100) == "bounds"
    assert choose_method(72, step, 100) == "exhaustive"
    assert choose_method(720, step, 100) == "optuna"
    assert choose_method(10**6, cost, 100) == "optuna"


def test_the_best_the_runners_up_and_the_front_are_ranked(
    everything: tuple[list[Point], dict[str, dict[str, Any]]],
) -> None:
    space, rows = everything
    search = search_for(("step_time", ["cost<=0.1e6"]), rows)
    exhaustive(search, space)
    steps = [search.rows[index]["step_time_s"] for index in ranked(search)]
    assert steps == sorted(steps)
    assert len(steps) == sum(row["network_usd"] <= 0.1e6 for row in rows.values())


def test_the_command_prints_best_runners_up_and_front(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["optimize", "--gpus", "64", "--set", "schedule=1f1b", "--set", "parallelism.pipeline=1"]
    command += [
        "--set",
        "batch.microbatches=1",
        "--set",
        "hardware.gpu.hbm=1 TB",
        "--vary",
        "nics_per_host=2,3,8",
        "--vary",
        "topology=ft2",
    ]
    assert run_app([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["proven"], found["cannot_be_built"]) == ("bounds", True, 1)
    assert found["best"]["network_usd"] >= found["least_tree_usd"]
    assert run_app([*command, "--subject-to", "step_time<=0.1"]) == 1
    assert "No design obeys" in capsys.readouterr().out
    assert run_app([*command, "--vary", "nic.line_rate=200"]) == 2
    assert "no design of the space can be built; the first: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--objective", "costs"], "--objective costs: unknown: did you mean 'cost'?"),
        (["--subject-to", "step_time<20"], "must be written METRIC<=NUMBER"),
        (["--subject-to", "step_tim<=20"], "unknown metric: did you mean 'step_time'?"),
        (["--subject-to", "step_time<=1e-e"], "is no number"),
        (["--method", "genetic"], "--method genetic: unknown: known: bounds, exhaustive, optuna"),
        (["--vary", "nics_per_hots=1"], "did you mean 'nics_per_host'?"),
        (["--vary", "gpus=64"], "gpus: given twice"),
        (["--vary", "nics_per_host=4,8", "--trials", "3"], "--trials: has no effect on the method bounds"),
        (["--set", "failover.detection=2 s"], "has no effect without faults"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["optimize", *arguments]) == 2
    said = capsys.readouterr()
    assert line in said.err
    assert said.err.count("\n") == 1


def test_constraints_compare_as_they_say() -> None:
    assert parse_constraint("mfu_causal>=0.4").holds({"mfu_causal": 0.4})
    assert not parse_constraint("cost<=1e6").holds({"network_usd": 1e6 + 1})
    with pytest.raises(NetsimError):
        parse_constraint("cost<=")


UNEVEN = StudySpec(
    seeds="shared",
    base={**SMALL, "topology": "mrft", "model.layers": 5, "variation.expert_load": "lognormal:1.0"},
    vary={"nic.line_rate": ["20 Gb/s", "400 Gb/s"]},
)


def test_the_bound_of_an_uneven_job_holds_for_a_faster_nic_than_the_first() -> None:
    # the tail of the loaded rank lasts longer on a slow NIC: nothing of it may be in the bound that all NICs share
    slow, fast = points(UNEVEN)
    step_s = evaluate(fast.question.as_values(), fast.question.id, 2.0, 4.0)["step_time_s"]
    search = Search(parse_goal("cost", [f"step_time<={step_s:.17g}"]), TERMS, lambda _: {})
    assert search.bound(slow) is None
    assert search.bound(fast) is not None
    assert len(search.jobs) == 1


def test_a_bound_is_of_one_seed() -> None:
    # what is drawn from another seed may be faster
    drawn = {**UNEVEN.base, "variation.compute_sigma": 0.2}
    search = Search(parse_goal("cost", []), TERMS, lambda _: {})
    for point in points(StudySpec(base=drawn, vary={"seed": [0, 1]})):
        assert search.bound(point) is not None
    first, second = search.jobs.values()
    assert first.step_s != second.step_s


def test_what_stays_may_be_an_option_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    small = {
        "parallelism.pipeline": 1,
        "schedule": "1f1b",
        "batch.microbatches": 2,
        "hardware.gpu.hbm": "1 TB",
    }
    sets = [
        f"--set={key}={value}" for key, value in {"topology": "ft2", "routing": "static", **small}.items()
    ]
    assert run_app(["optimize", "--gpus", "64", "--vary", "nic.line_rate=200 Gb/s", *sets, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["switches"] == 1


OPTIONS = ["-n", "64", "--set", "parallelism.pipeline=2", "--set", "parallelism.expert=8", "--set", "model.layers=4",
         "--set", "batch.microbatches=4"]  # fmt: skip


def test_a_latency_may_be_given_without_the_name_of_its_spec(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "optimize",
        *OPTIONS,
        "--set",
        "latency.endpoint=5 us",
        "--vary",
        "nic.line_rate=200 Gb/s,400 Gb/s",
    ]
    assert run_app([*words, "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]


def test_no_design_is_cheaper_than_the_printed_bound_when_nics_are_faster_than_ports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vary = ["--vary", "topology=ft2", "--vary", "nic.line_rate=800 Gb/s,1600 Gb/s"]
    assert run_app(["optimize", *OPTIONS, "--set", "prices=street_2026", *vary, "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["least_tree_usd"] <= found["best"]["network_usd"]
