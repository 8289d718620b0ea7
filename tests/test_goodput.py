"""Goodput of long runs: closed forms by hand, sampling against closed form, parts that stop or slow."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path

import numpy as np
import pytest

from netsim.cli.app import run_app
from netsim.reliability.closed_form import (
    best_interval_s,
    daly_interval_s,
    erlang_b,
    mean_speed,
    running_fraction,
    saved_fraction,
    young_interval_s,
)
from netsim.reliability.parts import part_classes
from netsim.reliability.sampled import HOST, RESTART, WAIT, Run, sample
from netsim.specs import load
from netsim.specs.case import make_case
from netsim.specs.reliability import ReliabilitySpec
from netsim.topologies import build

DAY_S = 86400.0


def test_without_failures_only_checkpoints_cost() -> None:
    assert saved_fraction(900.0, 100.0, 600.0, 0.0) == 0.9
    assert saved_fraction(900.0, 100.0, 600.0, 1e-12) == pytest.approx(0.9)


@pytest.mark.parametrize("product", [1e-6, 1e-3, 0.1, 3.0])
def test_the_best_interval_is_the_best(product: float) -> None:
    rate = product / 30.0
    best = best_interval_s(30.0, rate)
    at = saved_fraction(best, 30.0, 600.0, rate)
    assert at > saved_fraction(best * 1.01, 30.0, 600.0, rate)
    assert at > saved_fraction(best * 0.99, 30.0, 600.0, rate)
    assert np.exp(rate * (best + 30.0)) * (1 - rate * best) == pytest.approx(1.0, rel=1e-6)


def test_young_and_daly_are_its_first_and_higher_order() -> None:
    # f d = 1e-4 and 1e-2: the first order is off by 2 d/3, the higher by terms of (f d)^2
    for product in (1e-4, 1e-2):
        rate = product / 30.0
        best = best_interval_s(30.0, rate)
        assert young_interval_s(30.0, rate) - best == pytest.approx(20.0, rel=0.1)
        assert daly_interval_s(30.0, rate) == pytest.approx(best, rel=product)


def test_two_failures_out_of_a_hundred_by_first_order() -> None:
    # f (t + d) = 0.02: half a segment is lost at each failure, and a restart
    rate, interval, write, restart = 1e-5, 1900.0, 100.0, 500.0
    lost = write / 2000 + rate * (2000 / 2 + restart)
    assert saved_fraction(interval, write, restart, rate) == pytest.approx(1 - lost, abs=lost**2)


def test_no_spare_waits_out_every_repair_and_many_spares_none() -> None:
    # one place: up 1/f, down r
    assert running_fraction(0, 0.25, 0.0) == pytest.approx(1 / 1.25)
    assert running_fraction(20, 0.25, 0.0) == pytest.approx(1.0)
    assert running_fraction(0, 0.0, 0.1) == pytest.approx(1 / 1.1)
    # M/M/2/2: p2 = (a^2 / 2) / (1 + a + a^2 / 2)
    assert erlang_b(2, 0.5) == pytest.approx(0.125 / 1.625)


RUNS = {
    "restarts": Run(6000.0, 60.0, 600.0, 0, [(1 / DAY_S, 0.0, RESTART)], []),
    "often": Run(1000.0, 300.0, 900.0, 0, [(8 / DAY_S, 0.0, RESTART)], []),
    "no spare": Run(3000.0, 60.0, 600.0, 0, [(1 / DAY_S, 0.3 * DAY_S, HOST)], []),
    "two spares": Run(3000.0, 60.0, 600.0, 2, [(2 / DAY_S, 0.5 * DAY_S, HOST)], []),
    "waits": Run(3000.0, 60.0, 600.0, 0, [(0.2 / DAY_S, 0.5 * DAY_S, WAIT)], []),
    "slow": Run(3000.0, 60.0, 600.0, 0, [(1 / DAY_S, 0.0, RESTART)],
                [(2 / DAY_S, 0.2 * DAY_S, 0.5), (1 / DAY_S, 0.5 * DAY_S, 0.9)]),
    "never fails": Run(900.0, 100.0, 600.0, 0, [], []),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_sampling_agrees_with_the_closed_form(name: str) -> None:
    run, days = RUNS[name], 1000
    done = sample(run, np.array([days * DAY_S]), 60, seed=1)[:, 0] / (days * DAY_S)
    rate = sum(r for r, _, _ in run.stops)
    hosts = sum(r * repair for r, repair, kind in run.stops if kind == HOST)
    waits = sum(r * repair for r, repair, kind in run.stops if kind == WAIT)
    expected = (
        running_fraction(run.spares, hosts, waits)
        * saved_fraction(run.interval_s, run.write_s, run.restart_s, rate)
        * mean_speed([(r * repair, speed) for r, repair, speed in run.slows])
    )
    error = done.std(ddof=1) / np.sqrt(done.size)
    # a run begins whole: at most a repair's or a restart's worth of a thousand days
    assert done.mean() == pytest.approx(expected, abs=4 * error + 5e-4)
    assert error < 2e-3


def test_sampling_is_a_function_of_its_seed() -> None:
    marks = np.array([1.0, 2.0]) * DAY_S
    first, more = sample(RUNS["often"], marks, 3, seed=5), sample(RUNS["often"], marks, 5, seed=5)
    assert (first == more[:3]).all()
    assert (np.diff(first, axis=1) > 0).all()
    assert not (first == sample(RUNS["often"], marks, 3, seed=6)).all()


def effects(topology: str, forwarding: bool, gpus: int = 2048) -> dict[str, tuple[int, str]]:
    case = make_case(topology, overrides={"failover.forwarding": forwarding})
    fabric = build(case.topology, case.hardware, gpus)
    table = load(ReliabilitySpec, "reliability", "llama3")
    return {c.name: (c.count, c.effect) for c in part_classes(fabric, table)}


def test_parts_of_the_published_fabric() -> None:
    plain, over = effects("mpft", False), effects("mpft", True)
    assert plain["GPU"] == (2048, "host")
    assert plain["host"] == (256, "host")
    assert plain["NIC cable"] == (2048, "host")
    assert over["NIC cable"] == (2048, "slows")
    assert plain["leaf switch"] == (64, "wait")
    assert over["leaf switch"] == (64, "slows")
    assert plain["spine switch"] == (32, "slows")
    assert plain["switch cable"] == (2048, "slows")


def test_several_ports_survive_what_one_does_not() -> None:
    assert effects("mpft_ideal", False)["NIC cable"] == (8192, "slows")
    assert effects("mpft_ideal", False)["leaf switch"][1] == "slows"
    assert effects("hpn", False)["leaf switch"][1] == "slows"
    # all NICs of a host under one leaf: no failover helps
    assert effects("ft2", True)["leaf switch"][1] == "wait"
    assert effects("mpft_ideal", False)["NIC"][1] == "host"


def test_what_is_left_adds_up_to_the_part_that_is_gone() -> None:
    case = make_case("mpft")
    fabric = build(case.topology, case.hardware, 2048)
    table = load(ReliabilitySpec, "reliability", "llama3")
    for part in part_classes(fabric, table):
        lost = sum((1 - left) * fabric.nominal_bytes_per_s[link] for link, left in part.left.items())
        one_way = fabric.spec.switch.port_rate
        gone = {"NIC": 1, "NIC cable": 1, "switch cable": 1, "leaf switch": 32, "spine switch": 64}
        assert lost == pytest.approx(2 * one_way * gone.get(part.name, 0))


def test_failures_of_published_clusters() -> None:
    # arXiv 2410.21680: 6.50 failures per thousand node-days are 1.8 h at 16,384 GPUs and 0.23 h at 131,072
    table = load(ReliabilitySpec, "reliability", "rsc1")
    assert table.host is not None
    for gpus, hours in ((16_384, 1.8), (131_072, 0.23)):
        assert table.host.mtbf / (gpus / 8) / 3600 == pytest.approx(hours, rel=0.025)
    # arXiv 2407.21783: above 90 % effective with 419 interruptions in 54 days
    rate = 419 / (54 * DAY_S)
    best = best_interval_s(10.0, rate)
    assert saved_fraction(best, 10.0, 600.0, rate) > 0.90
    assert exp(-rate * 600.0) > 0.90


ARGUMENTS = ["goodput", "--gpus", "128", "--set", "parallelism.pipeline=2", "--set", "batch.microbatches=4",
             "--runs", "20", "--days", "3"]  # fmt: skip


def test_the_command_answers_in_json_and_writes_its_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app([*ARGUMENTS, "--json", "-o", str(tmp_path / "out"), "--spares", "2"]) == 0
    record = json.loads(capsys.readouterr().out)
    total = record["goodput"]
    assert total["total"] == pytest.approx(total["running"] * total["saved"] * total["speed"])
    assert len(record["sampled"]["p50"]) == 3
    assert record["stops"]["per_day"] == pytest.approx(
        sum(p["failures_per_day"] for p in record["parts"] if p["effect"] != "slows")
    )
    # a spare more never hurts
    by_spares = [row["goodput"] for row in record["by_spares"]]
    assert by_spares == sorted(by_spares)
    assert (tmp_path / "out" / "goodput.svg").read_text("utf-8").startswith("<?xml")
    assert run_app([*ARGUMENTS, "--quiet", "--force", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--restart", "10"], "--restart 10: must be a quantity of seconds"),
        (["--checkpoint-interval", "0 s"], "--checkpoint-interval 0 s: must be more than 0 s"),
        (["--reliability", "lama3"], "no reliability preset 'lama3': did you mean 'llama3'?"),
        (["--set", "reliability.gpu.mtfb=3 day"], "unknown key: did you mean 'mtbf'?"),
        (["--set", "reliability.gpu.mtbf=0 s"], "greater than 0"),
        (["--set", "prices.switch.power=1 W"], "has no effect on goodput"),
        (["--set", "batch.sequences=128"], "has no effect under weak scaling"),
        (["--set", "failover.detection=2 s"], "has no effect without faults while the step runs"),
        (["--force"], "--force: is about a folder with results"),
        (
            ["--checkpoint-time", "0 s"],
            "--checkpoint-interval auto: needs failures and checkpoints that take time",
        ),
    ],
)
def test_a_wrong_question_is_one_clear_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app([*ARGUMENTS, *arguments]) == 2
    complaint = capsys.readouterr().err
    found = [text for text in complaint.splitlines() if text.startswith("netsim: ")]
    assert len(found) == 1
    assert line in found[0]
