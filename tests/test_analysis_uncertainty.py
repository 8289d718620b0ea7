"""How sure: algebra on made-up errors, coverage of the shipped ones, intervals in answers, common draws."""

import json
import math
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.analysis.answer import answer
from netsim.analysis.comparison.decide import choices
from netsim.analysis.explain.anatomy import anatomy
from netsim.analysis.uncertainty.again import step_again_s
from netsim.analysis.uncertainty.coverage import calibration, coverage, is_calibrated
from netsim.analysis.uncertainty.draws import COUNT, design, normals, prices, steps, versus
from netsim.analysis.uncertainty.evidence import Kind, StepError, evidence
from netsim.analysis.uncertainty.factors import factors, from_worth, known_of, total, worth
from netsim.analysis.uncertainty.interval import how_sure
from netsim.analysis.uncertainty.predict import LEVEL, Errors
from netsim.analysis.uncertainty.serving import add_serving_intervals
from netsim.cli.app import run_app
from netsim.specs.question import Question
from netsim.studies.goal import Constraint, Goal
from netsim.studies.support import cheapest_near_fastest, decide, support

_SMALL: dict[str, Any] = {
    "workload.parallelism.pipeline": 2, "batch.microbatches": 4, "switch.radix": 16,
    "hardware.gpu.hbm": "1 TB",  # so that the job fits
}  # fmt: skip
EXPERTS = Question("mpft", 128, "deepseek-v3", schedule="1f1b", overrides=_SMALL)
FSDP = Question("mrft", 32, "llama-3.1-8b", hardware="h100", overrides={"framework": "fsdp2"})
BESIDE = Question(
    "mrft", 32, "llama-3.1-8b", hardware="h100",
    overrides={"framework": "megatron-26.04", "parallelism.tensor": 2, "parallelism.context": 2},
)  # fmt: skip


def kind(framework: str = "a", model: str = "dense") -> Kind:
    return Kind(framework=framework, gpu="H100", generation="Hopper", model=model)


def made_up(groups: int, clusters: int, rows: int, seed: int = 0) -> list[StepError]:
    """Groups with a location and a spread of their own, clusters with a location, rows with noise."""
    rng = np.random.default_rng(seed)
    found = []
    for g in range(groups):
        location, spread = 0.1 * rng.standard_normal(), 0.03 * 2.0 ** rng.uniform(0, 2)
        for c in range(clusters):
            for r in range(rows):
                error = location + spread * rng.standard_normal()
                found.append(
                    StepError(
                        id=f"{g}.{c}.{r}",
                        cluster=f"{g} {c}",
                        kind=kind(f"f{g}"),
                        gpus=8,
                        job=f"job {r}",
                        error=error,
                    )
                )
    return found


def test_intervals_hold_what_they_say_on_made_up_errors() -> None:
    errors = Errors.of(made_up(groups=6, clusters=10, rows=3))
    whole = coverage(errors)[0]
    assert whole.left_out == pytest.approx(LEVEL, abs=0.05)
    for row in calibration(errors):
        assert row["left_out"] == pytest.approx(row["level"], abs=0.1)


def test_a_new_cluster_of_a_known_group_is_inside_as_often_as_stated() -> None:
    # half of the clusters set the model, the other half is asked: nothing of it was seen
    rows = made_up(groups=6, clusters=20, rows=2, seed=3)
    seen = [row for row in rows if int(row.cluster.split()[1]) % 2]
    errors = Errors.of(seen)
    asked = [row for row in rows if row not in seen]
    inside = np.mean([errors.score(row) <= errors.quantile() for row in asked])
    assert inside == pytest.approx(LEVEL, abs=0.08)


def test_a_row_that_set_a_constant_says_nothing() -> None:
    rows = made_up(2, 3, 2)
    set_one = rows[0].model_copy(update={"error": 5.0, "sets_constant": True, "id": "set"})
    assert Errors.of([*rows, set_one]).predict(kind("f0")) == Errors.of(rows).predict(kind("f0"))


def test_a_thin_group_is_wider_than_a_thick_one_and_a_stranger_widest() -> None:
    rows = made_up(4, 8, 1)
    thin = [StepError(id="t", cluster="t", kind=kind("thin"), gpus=8, job="j", error=0.0)]
    errors = Errors.of([*rows, *thin])
    thick = np.median([errors.predict(kind(f"f{g}")).structure for g in range(4)])
    assert thick < errors.predict(kind("thin")).structure < errors.stranger(kind("nobody")).structure


def test_known_constants_leave_less_to_structure() -> None:
    rows = made_up(3, 6, 1)
    explained = [row.model_copy(update={"constants": 0.02}) for row in rows]
    plain, known = (Errors.of(some).predict(kind("f0")) for some in (rows, explained))
    assert known.structure < plain.structure
    assert known.scale(0.02) == pytest.approx(plain.scale(0.0), rel=0.05)


def test_shipped_errors_are_calibrated() -> None:
    """Over rows of clusters left out; `netsim validate --coverage` also asks for it with all evidence in."""
    shares = coverage(Errors.of(evidence().steps))
    assert shares[0].rows > 150
    assert 0.72 <= shares[0].left_out <= 0.88, shares[0]


def test_every_kernel_class_and_constant_has_a_spread_from_rows() -> None:
    known = evidence()
    assert {"repeats", "power", "nic", "kernels", "nvlink", "latency", "fabrics"} <= set(known.constants)
    spreads = [*known.constants.values(), *(s for each in known.classes.values() for s in each.values())]
    assert all(spread.rows > 0 and spread.spread >= 0.0 and spread.source for spread in spreads)


def test_answers_carry_intervals_and_repeat() -> None:
    one, two = (answer(EXPERTS)[1] for _ in range(2))
    assert one == two
    step, found = one["step"], one["uncertainty"]
    keys = list(step)
    assert keys.index("interval_s") == keys.index("time_s") + 1
    low, high = step["interval_s"]
    assert low < high
    reach = found["quantile"] * math.hypot(found["structure_pct"], found["constants_pct"]) / 100.0
    assert math.log(high / low) / 2.0 == pytest.approx(reach, rel=1e-9)
    tokens = step["tokens_per_day_interval"]
    assert tokens[0] == pytest.approx(step["tokens_per_day"] * step["time_s"] / high)
    assert found["factors"]
    assert abs(found["factors"][0]["effect"]) == max(abs(each["effect"]) for each in found["factors"])


def test_what_nobody_published_is_wider_and_strict_refuses_it(capsys: pytest.CaptureFixture[str]) -> None:
    _, record = answer(FSDP)
    assert record["uncertainty"]["outside"]
    assert record["uncertainty"]["published_steps"] == 0
    line = ["run", "--topology", "mrft", "--gpus", "32", "--workload", "llama-3.1-8b", "--hardware", "h100"]
    assert run_app([*line, "--set", "framework=fsdp2", "--strict", "-q"]) == 3
    assert "no published step of dense models with fsdp2 on Hopper" in capsys.readouterr().err


def test_worth_times_spread_is_the_effect() -> None:
    step = answer(EXPERTS)[0]
    made = {factor.name: factor.effect for factor in factors(anatomy(step), evidence())}
    again = {f.name: f.effect for f in from_worth(worth(step), evidence(), step.case.profile)}
    for name, effect in made.items():
        if abs(effect) > 1e-3:
            assert again[name] == pytest.approx(effect, rel=0.1), name
    assert total(tuple(factors(anatomy(step), evidence()))) > 0.0
    assert known_of(evidence(), step.case.profile, "no such class").rows > 0


def test_a_step_again_without_changes_is_the_step() -> None:
    for question in (EXPERTS, BESIDE):
        found = anatomy(answer(question)[0])
        assert step_again_s(found, {}) == pytest.approx(found.step_s, rel=1e-12)


def test_a_factor_moves_the_step_as_executing_again_does() -> None:
    found = anatomy(answer(EXPERTS)[0])
    for factor in factors(found, evidence())[:4]:
        up = math.log(step_again_s(found, {factor.name: factor.spread}) / found.step_s)
        down = math.log(step_again_s(found, {factor.name: -factor.spread}) / found.step_s)
        assert (up - down) / 2.0 == pytest.approx(factor.effect, rel=0.1, abs=2e-4), factor.name


@pytest.mark.slow
@pytest.mark.parametrize("question", [EXPERTS, FSDP, BESIDE], ids=["experts", "fsdp", "beside"])
def test_linear_intervals_are_those_of_200_executions(question: Question) -> None:
    from scipy.stats import norm, qmc

    found = anatomy(answer(question)[0])
    made = factors(found, evidence())
    unit = qmc.LatinHypercube(len(made), rng=np.random.default_rng(0)).random(200)
    logs = [
        math.log(step_again_s(found, {f.name: f.spread * z for f, z in zip(made, row, strict=True)}))
        for row in norm.ppf(unit)
    ]
    low, high = np.quantile(logs, [0.1, 0.9])
    assert 2.0 * 1.2816 * total(tuple(made)) == pytest.approx(high - low, rel=0.1)


def test_draws_of_a_name_depend_on_the_seed_and_the_name() -> None:
    assert np.array_equal(normals(1, "nic"), normals(1, "nic"))
    assert not np.array_equal(normals(1, "nic"), normals(2, "nic"))
    assert not np.array_equal(normals(1, "nic"), normals(1, "nvlink"))


def test_what_designs_share_cancels() -> None:
    sure = how_sure(answer(EXPERTS)[0])
    same = steps([10.0, 11.0], [design(sure, "a"), design(sure, "a")], 0)
    assert np.ptp(same[0] / same[1]) < 1e-12
    assert np.ptp(same[0]) > 1.0
    other = steps([10.0, 11.0], [design(sure, "a"), design(sure, "b")], 0)
    assert 0.0 < np.std(np.log(other[0] / other[1])) < 0.01


def test_prices_stay_between_the_offers() -> None:
    cost = {"network_usd": 10.0, "network_usd_low": 8.0, "network_usd_high": 16.0}
    (drawn,) = prices([cost], 0)
    assert drawn.min() >= 8.0
    assert drawn.max() <= 16.0
    assert np.median(drawn) == pytest.approx(10.0, rel=0.05)


def test_a_decision_counts_draws() -> None:
    step_s, usd = np.array([[1.0, 1.0], [1.1, 0.9]]), np.array([[1.0, 1.0], [2.0, 2.0]])
    assert versus(0, 1, step_s, usd) == {"cheaper_share": 1.0, "not_slower_share": 0.5, "slower_by": 0.001}
    assert choices(step_s, usd).tolist() == [[True, False], [False, True]]


def test_comparison_says_what_the_draws_do() -> None:
    record = netsim.compare(["mpft", "ft3"], gpus=[128], bind=False, schedule="1f1b", overrides=_SMALL).record
    (decision,) = record["decisions"]
    assert decision["draws"] == COUNT
    assert decision["supported"] == record["recommendations"][0]["topology"] == "mpft"
    assert decision["pairs"][0]["cheaper_share"] == 1.0
    assert "mpft is cheaper than ft3 in all draws" in decision["pairs"][0]["sentence"]
    row = record["tables"]["comparison"][0]
    assert row["step_time_low_s"] < row["step_time_high_s"]


def test_an_undecided_comparison_recommends_nothing() -> None:
    from netsim.analysis.comparison.advice import recommendations
    from netsim.analysis.comparison.decide import decisions

    record = netsim.compare(["mpft", "ft3"], gpus=[128], bind=False, schedule="1f1b", overrides=_SMALL).record
    record["designs"][0]["effects"]["made up"] = 0.05  # what only one of the two depends on
    record["decisions"] = decisions(record)
    (advice,) = recommendations(record)
    assert record["decisions"][0]["supported"] is None
    assert advice["topology"] is None
    assert advice["sentence"].startswith("No fabric is recommended")


def test_coverage_is_printed_from_the_shipped_errors(capsys: pytest.CaptureFixture[str]) -> None:
    met = is_calibrated(coverage(Errors.of(evidence().steps)))
    assert run_app(["validate", "--coverage", "--json"]) == (0 if met else 1)
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["name"] == "all"
    assert run_app(["validate", "--coverage", "--only", "fig5"]) == 2


def test_serving_carries_what_a_service_was_off() -> None:
    known = evidence().constants["serving"]
    record: dict[str, Any] = {"decode": {"tpot_ms": 40.0, "tokens_per_s_per_gpu": 100.0}}
    add_serving_intervals(record)
    low, high = record["decode"]["tpot_ms_interval"]
    assert math.sqrt(low * high) == pytest.approx(40.0 * math.exp(known.bias))
    assert record["decode"]["tokens_per_s_per_gpu_interval"] == pytest.approx([4000.0 / high, 4000.0 / low])


def designs(*rows: tuple[float, float, str]) -> list[dict[str, Any]]:
    """Rows of a study: step, price, and the constant that each depends on besides what all share."""
    return [
        {
            "step_time_s": step_s,
            "network_usd": usd,
            "memory_gb": 1.0,
            "uncertainty": json.dumps(
                {
                    "name": name,
                    "group": "one",
                    "location": 0.0,
                    "structure": 0.1,
                    "widened": 1.0,
                    "effects": {name: 0.05} if name else {},
                }
            ),
        }
        for step_s, usd, name in rows
    ]


def test_a_study_keeps_a_choice_that_the_draws_make() -> None:
    near = cheapest_near_fastest(0.01)
    shared = support(designs((10.0, 1.0, ""), (10.0, 2.0, "")), 0, near)
    assert shared is not None
    assert shared.tolist() == [1.0, 0.0]
    split = support(designs((10.0, 1.0, "a"), (10.0, 2.0, "b")), 0, near)
    assert split is not None
    assert 0.4 < split[0] < 0.8
    assert support([{"step_time_s": 1.0, "network_usd": 1.0}], 0, near) is None


def test_a_design_obeys_in_a_share_of_the_draws() -> None:
    rows = designs((10.0, 1.0, ""), (10.0, 2.0, ""))
    found = decide(rows, Goal("network_usd", (Constraint("step_time_s", "<=", 10.0),)), 0)
    assert found is not None
    assert found["obeys_share"] == pytest.approx(0.5, abs=0.05)
    assert found["supported"] is True
    assert "obeys in" in found["sentence"]
    dearer = decide(rows[::-1], Goal("network_usd"), 0)
    assert dearer is not None
    assert dearer["supported"] is False
