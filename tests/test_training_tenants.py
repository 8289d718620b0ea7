"""Several jobs on one fabric: who takes which hosts, no effect where nothing is shared, capacity where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.specs.case import make_case
from netsim.specs.jobs import JobSpec
from netsim.topologies import Topology, build
from netsim.training.result import collective_statistics, step_time_s
from netsim.training.simulate import lay_out
from netsim.training.tenants import Tenant, assign_hosts, simulate_together
from netsim.workloads.plan import make_plan

SMALL = {"parallelism.pipeline": 1, "schedule.name": "1f1b", "batch.microbatches": 1}


def tenant(name: str, hosts: Any, topology: str = "mpft", **more: Any) -> Tenant:
    case, own = make_case(topology, overrides=SMALL | more), np.array(list(hosts))
    return Tenant(name, case, lay_out(case, make_plan(case.workload, 8 * own.size)), own)


def fabric(tenants: list[Tenant], gpus: int) -> Topology:
    return build(tenants[0].case.topology, tenants[0].case.hardware, gpus)


@pytest.mark.parametrize(("topology", "routing"), [("mpft", "adaptive"), ("ft2", "ecmp")])
@pytest.mark.parametrize("folded", [True, False])
def test_jobs_that_share_no_link_are_as_alone_bit_by_bit(topology: str, routing: str, folded: bool) -> None:
    # different jobs, under leaves of their own: one pipeline rank, and two
    more = {"topology.routing": routing}
    a = tenant("a", range(8), topology, **more)
    b = tenant("b", range(32, 48), topology, **more | {"parallelism.pipeline": 2, "batch.microbatches": 2})
    built = fabric([a, b], 512)
    both = simulate_together(built, [a, b], folded=folded)
    for one, step in zip((a, b), both, strict=True):
        alone = simulate_together(built, [one], folded=folded)[0]
        assert (step.execution.start_s == alone.execution.start_s).all()
        assert (step.execution.end_s == alone.execution.end_s).all()


def test_two_equal_jobs_on_the_same_uplinks_take_twice_as_long() -> None:
    # ft2, four hosts a leaf, eight times oversubscribed: a job on every other host has two of them on each leaf. Its
    # dispatch is bound by the leaf's uplinks; the other job, the same at the same time, halves what each gets.
    more = {"oversubscription": 8.0}
    a, b = tenant("a", range(0, 16, 2), "ft2", **more), tenant("b", range(1, 16, 2), "ft2", **more)
    built = fabric([a, b], 128)
    (alone,), both = simulate_together(built, [a]), simulate_together(built, [a, b])
    was = {c.kind: c for c in collective_statistics(alone)}
    for step in both:
        for now in collective_statistics(step):
            if now.kind in ("dispatch", "combine"):
                fixed = fixed_s(alone, now.kind)
                assert was[now.kind].bottleneck == "fabric"
                assert (now.mean_s - fixed) / (was[now.kind].mean_s - fixed) == pytest.approx(2.0, rel=1e-9)
    assert step_time_s(both[0]) == pytest.approx(step_time_s(both[1]), rel=1e-12)


def fixed_s(step: Any, kind: str) -> float:
    """Latency and set-up of a collective, which no traffic changes."""
    names = np.array([work.name for work in step.graph.works])[np.array(step.graph.work)[step.instances.task]]
    (found,) = {step.program.transfers[i].latency_s for i in step.program.transfer[names == kind].tolist()}
    return float(found)


def test_folding_is_exact_for_jobs_that_meet() -> None:
    a = tenant("a", range(0, 16, 2), "ft2", oversubscription=4.0)
    b = tenant("b", range(1, 32, 2), "ft2", oversubscription=4.0)
    built = fabric([a, b], 256)
    folded, plain = (simulate_together(built, [a, b], folded=fold) for fold in (True, False))
    for one, other in zip(folded, plain, strict=True):
        assert step_time_s(one) == pytest.approx(step_time_s(other), rel=1e-9)


def jobs(*given: dict[str, Any]) -> list[JobSpec]:
    return [JobSpec(name=f"job{n}", **one) for n, one in enumerate(given)]


def test_hosts_by_name_then_in_order_then_in_turns() -> None:
    spec = jobs(
        {"gpus": 16, "placement": "interleaved"},
        {"gpus": 24},
        {"gpus": 16, "hosts": "1,8"},
        {"gpus": 32, "placement": "interleaved"},
    )
    found = [own.tolist() for own in assign_hosts(spec, 12, 8, "x.toml")]
    assert found == [[5, 9], [0, 2, 3], [1, 8], [4, 6, 7, 10]]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([{"gpus": 64}, {"gpus": 64}], "the jobs take 16 hosts, but the cluster has 12"),
        ([{"gpus": 12}], "jobs.0.gpus = 12, must be whole hosts of 8 GPUs"),
        ([{"gpus": 16, "hosts": "0,1,2"}], "must be 2 hosts for 16 GPUs, not 3"),
        (
            [{"gpus": 16, "hosts": "0-1"}, {"gpus": 16, "hosts": "1-2"}],
            "host 1 already belongs to job 'job0'",
        ),
        ([{"gpus": 16, "hosts": "11-12"}], "must name different hosts from 0 to 11"),
        ([{"gpus": 16, "hosts": "a"}], "must be numbers and ranges such as 0-15,32"),
    ],
)
def test_hosts_that_cannot_be_had(given: list[dict[str, Any]], line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        assign_hosts(jobs(*given), 12, 8, "x.toml")
    assert line in str(caught.value)


FILE = """
[[jobs]]
name = "a"
gpus = 64
placement = "interleaved"
set = { "parallelism.pipeline" = 1, "schedule.name" = "1f1b", "batch.microbatches" = 1 }

[[jobs]]
name = "b"
gpus = 64
placement = "interleaved"
set = { "parallelism.pipeline" = 1, "schedule.name" = "1f1b", "batch.microbatches" = 1 }
"""


def test_the_command_tells_what_each_job_loses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(FILE, "utf-8")
    wide = ["share", str(path), "--gpus", "128", "--topology", "ft2", "--set", "oversubscription=8"]
    assert run_app([*wide, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [job["hosts"] for job in record["jobs"]] == ["0,2,4,6,8,10,12,14", "1,3,5,7,9,11,13,15"]
    assert all(job["slowdown"] > 1.1 for job in record["jobs"])
    assert run_app(wide) == 0
    assert "together_ms" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "arguments", "line"),
    [
        ('"b"', '"a"', [], "two are named 'a'"),
        ("placement", "placment", [], "unknown key: did you mean 'placement'?"),
        ('"interleaved"', '"interleavd"', [], "input should be 'contiguous' or 'interleaved'"),
        ("parallelism.pipeline", "switch.radix", [], "is of the topology, which all jobs share"),
        ("", "", ["--set", "batch.microbatches=2"], "a job's `set` holds its keys"),
        ("", "", ["--set", "failover.detection=2 s"], "has no effect without faults"),
        ("", "", ["--set", "hardware.gpu.power=1 W"], "has no effect on a run"),
        ("batch.microbatches", "batch.sequences", [], "has no effect under weak scaling"),
        (
            '"batch.microbatches" = 1',
            '"batch.microbatches" = 1, "communication.slowdown" = 2.0',
            [],
            "is not modelled on a shared cluster",
        ),
        ("", "", ["--gpus", "64"], "the jobs take 16 hosts, but the cluster has 8"),
    ],
)
def test_a_wrong_file_is_one_clear_line(
    old: str, new: str, arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(FILE.replace(old, new, 1) if old else FILE, "utf-8")
    assert run_app(["share", str(path), "--gpus", "128", "-q", *arguments]) == 2
    complaint = capsys.readouterr().err.strip().splitlines()
    assert len(complaint) == 1
    assert line in complaint[0]
