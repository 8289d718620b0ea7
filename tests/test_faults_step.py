"""Faults in a training step: nothing where nothing is touched, folded as unfolded, and what each costs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim import api
from netsim.analysis.fault_cost import FaultRequest, fault_record, step_with_faults
from netsim.analysis.impact import Impact, detour_links, impact, link_bytes
from netsim.cli.app import run_app
from netsim.errors import NetsimError, StalledError
from netsim.faults.draw import draw_faults
from netsim.faults.history import reaction_s, resolve
from netsim.specs import load
from netsim.specs.case import Case, make_case
from netsim.specs.faults import parse_fault, read_faults
from netsim.specs.reliability import ReliabilitySpec
from netsim.topologies import LinkKind
from netsim.training.result import nic_bytes, step_time_s
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract
from netsim.training.tables import links_table
from netsim.training.touched import touches

SMALL: dict[str, Any] = {"parallelism.pipeline": 2, "batch.microbatches": 4}
CLI = ["run", "-n", "128", "--set", "parallelism.pipeline=2", "--set", "batch.microbatches=4"]


def small(topology: str = "mpft", **more: Any) -> Case:
    return make_case(
        topology, overrides=SMALL | {key.replace("__", "."): value for key, value in more.items()}
    )


def struck(case: Case, *faults: str, **options: Any) -> Step:
    return simulate(case, 256, faults=[parse_fault(text) for text in faults], **options)


@pytest.fixture(scope="module")
def whole() -> Step:
    return simulate(small(), 256)


@pytest.fixture(scope="module")
def found() -> Impact:
    """A plane that goes half way, and a fault that touches nothing."""
    faults = [parse_fault(text) for text in ("plane 0 down at 50%", "host 5 down at 300%")]
    return impact(small(), 256, faults)


@pytest.mark.parametrize(
    "fault", ["plane 3 down at 100%", "host 3 down at 1 h", "gpu host0.0 slow 50% at 9 min"]
)
def test_a_fault_that_touches_no_traffic_changes_no_bit(whole: Step, fault: str) -> None:
    assert contract(struck(small(), fault)) == contract(whole)


def test_a_fault_touches_what_still_goes_around_it(whole: Step) -> None:
    # flows come back a millisecond (`failover.detection`) after the plane does
    moving = whole.execution.start_s[whole.program.transfer >= 0].min()
    for gap_s, touched in ((0.9e-3, True), (1.1e-3, False)):
        fault = parse_fault(f"plane 3 down from 0s to {float(moving - gap_s)!r}s")
        strikes = resolve(whole.topology, [fault], 1.0)
        around_s = reaction_s(whole.case.topology, whole.case.topology.routing)
        found = touches(strikes, around_s, whole.topology, whole.traffic, whole.program, whole.execution)
        assert found == touched


def test_a_spine_may_go_while_nothing_climbs_to_it() -> None:
    case = small(switch__radix=16)
    calm = simulate(case, 256)
    assert calm.topology.tiers == 2
    # the step begins with attention: no flow is under way for a while
    assert contract(struck(case, "switch spine0.0 down for 1us")) == contract(calm)
    assert step_time_s(struck(case, "switch spine0.0 down")) >= step_time_s(calm)


@pytest.mark.parametrize(
    ("topology", "faults"),
    [
        pytest.param("mpft", ["plane 0 down at 40%"], marks=pytest.mark.slow),
        ("mpft", ["switch leaf1.0 down at 10%", "nic host9.3 down at 20% for 100ms", "gpu host3.2 slow 20% at 30%"]),
        ("mrft", ["link leaf0.1-spine0.0#0 down at 5%", "congestion 40% on switch leaf0.3 from 10% to 60%"]),
        ("mpft_ideal", ["link host0.3.1 down at 0.2s", "nvlink host7 degraded to 60%"]),
    ],
)  # fmt: skip
def test_folded_equals_unfolded(topology: str, faults: list[str]) -> None:
    folded, plain = (struck(small(topology), *faults, folded=fold) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)
    assert link_bytes(folded) == pytest.approx(link_bytes(plain), rel=1e-9, abs=1.0)
    assert folded.traffic.table.n_flows < plain.traffic.table.n_flows / 3


@pytest.mark.parametrize("routing", [pytest.param("ecmp", marks=pytest.mark.slow), "static"])
def test_folded_equals_unfolded_under_hashing_and_tables(routing: str) -> None:
    case = small("ft2", routing=routing, failover__recompute="50 ms")
    folded, plain = (struck(case, "switch spine0.0 down at 20%", folded=fold) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)


def test_bytes_of_the_step_are_conserved(whole: Step, found: Impact) -> None:
    """A detour adds transit, but every GPU takes in as much more than it gives out as it did before."""
    topology, hit = whole.topology, found.together.step
    assert hit is not None
    net = []
    for carried in (link_bytes(whole), link_bytes(hit)):
        flow = np.zeros(topology.n_nodes)
        np.add.at(flow, topology.link_dst, carried)
        np.subtract.at(flow, topology.link_src, carried)
        net.append(flow)
    assert net[1] == pytest.approx(net[0], abs=1e-9 * link_bytes(whole).sum())
    ports = topology.links(LinkKind.PORT_TX)  # the sum that a result prints is over all states of the network
    assert nic_bytes(hit) == pytest.approx(link_bytes(hit)[ports.start : ports.stop].sum(), rel=1e-9)
    assert nic_bytes(hit) >= nic_bytes(whole)


def test_impact_says_what_each_fault_costs(found: Impact) -> None:
    plane, later = found.each
    assert plane.touched
    assert not later.touched
    assert later.step is found.without
    assert found.without_s < plane.step_s == found.together.step_s
    assert plane.rerouted_bytes > 0
    assert plane.standing_s <= 1e-3 + 1e-9
    detour = {row.kind: row for row in detour_links(found)}
    assert set(detour) == {"nvlink", "pcie", "nic"}  # 256 hosts a plane stay under one leaf
    assert detour["nic"].links == 256 * 2 * 7 / 8
    json.dumps(fault_record(found), allow_nan=False)


def test_a_plane_that_is_gone_carries_nothing_and_the_others_carry_its_bytes(whole: Step) -> None:
    hit = struck(small(), "plane 0 down")
    before, after = link_bytes(whole), link_bytes(hit)
    ports = whole.topology.links(LinkKind.PORT_TX)
    plane = whole.topology.link_plane[ports.start : ports.stop]
    for at, factor in ((plane == 0, 0.0), (plane != 0, 8 / 7)):
        assert after[ports.start : ports.stop][at].sum() == pytest.approx(
            factor * before[ports.start : ports.stop][at].sum(), rel=1e-9
        )
    table = links_table(hit)
    assert (table["mean_load"] <= 1 + 1e-9).all()


def test_a_slow_gpu_slows_the_compute_of_its_group_by_its_part(whole: Step) -> None:
    half = struck(small(), "gpu host0.0 slow 50%")
    seconds = half.execution.end_s - half.execution.start_s
    group = int(half.traffic.actor_class[0, 0])
    compute = (half.program.transfer < 0) & (half.instances.actor == group)
    assert seconds[compute] == pytest.approx(2 * half.program.seconds[compute])
    others = (half.program.transfer < 0) & (half.instances.actor != group)
    assert seconds[others] == pytest.approx(half.program.seconds[others])
    assert step_time_s(half) > step_time_s(whole)


def test_a_host_that_comes_back_delays_the_step_by_its_absence(whole: Step) -> None:
    late = step_time_s(struck(small(failover__detection="0 s"), "host 3 down at 30% for 2s"))
    # the others run ahead a little and meet other transfers afterwards
    assert late == pytest.approx(step_time_s(whole) + 2, abs=2e-3)


def test_a_job_that_cannot_go_on_names_the_culprit() -> None:
    with pytest.raises(
        StalledError, match=r"the step stalls: host 3 down at 20%: .* flows have no path left"
    ):
        struck(small(), "host 3 down at 20%")
    with pytest.raises(StalledError, match=r"the step stalls: plane 0 down: "):
        struck(small("ft3"), "plane 0 down")
    # without forwarding, a NIC is all that its GPU has
    with pytest.raises(StalledError, match=r"nic host9\.3 down: .* the first from host"):
        struck(small(failover__forwarding=False), "nic host9.3 down")


def test_a_missing_part_says_what_exists_before_anything_runs() -> None:
    with pytest.raises(NetsimError, match="no plane '9' on mpft with 256 GPUs: it has 8 planes, 0 to 7"):
        impact(small(), 256, [parse_fault("plane 9 down")])


def test_draws_follow_the_table_and_the_seed(whole: Step) -> None:
    table = load(ReliabilitySpec, "reliability", "hpn")
    counts = []
    for seed in range(200):
        drawn = draw_faults(whole.topology, table, 3e4, 10.0, seed)
        assert drawn == draw_faults(whole.topology, table, 3e4, 10.0, seed)
        counts.append(len(drawn))
    parts = {"gpu": 256, "host": 32, "nic": 256, "switch": whole.topology.switches}
    parts["cable"] = whole.topology.endpoints + whole.topology.switch_links
    mean = sum(count * 3e4 * 10.0 / table.parts()[kind].mtbf for kind, count in parts.items())
    assert np.mean(counts) == pytest.approx(mean, abs=4 * np.sqrt(mean / 200))
    asked = FaultRequest((), 3e5, load(ReliabilitySpec, "reliability", "hpn", {"gpu": None, "host": None}))
    _, record = step_with_faults(small(), 256, asked, seed=4)
    assert record["faults"]["rate"] == {"table": "hpn", "factor": 3e5, "drawn": len(record["faults"]["each"])}


def test_what_is_drawn_stays_away_as_long_as_its_repair_and_each_kind_by_itself(whole: Step) -> None:
    parts = {"gpu": "100 day", "nic": "100 day"}
    alike = {f"{kind}.mtbf": mtbf for kind, mtbf in parts.items()} | {
        "gpu.repair": "3 h",
        "nic.repair": "3 h",
    }
    rest = {"host": None, "cable": None, "switch": None}
    table = load(ReliabilitySpec, "reliability", "hpn", alike | rest)
    lasting, together = [], 0
    for seed in range(100):
        drawn = draw_faults(whole.topology, table, 3e4, 10.0, seed)
        lasting += [fault.span_s(10.0)[1] - fault.span_s(10.0)[0] for fault in drawn]
        gpus, nics = ({f.at for f in drawn if f.part.startswith(kind)} for kind in ("gpu", "nic"))
        together += len(gpus & nics)
    # exponential: as much spread as mean
    assert np.mean(lasting) == pytest.approx(3 * 3600, rel=4 / np.sqrt(len(lasting)))
    assert not together


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["--fault", "plane 9 down"], 2, "no plane '9'"),
        (["--fault", "plan 3 down"], 2, "did you mean 'plane'?"),
        (["--fault", "plane 3 down from 40% to 1ms"], 2, "must end after its start"),
        (["--fault", "none.toml"], 2, "no such file"),
        (["--reliability", "hpn"], 2, "has no effect without --fault-rate"),
        (["--fault-rate", "1", "--reliability", "hpnn"], 2, "did you mean 'hpn'?"),
        (["--fault-rate", "1e12"], 2, "choose a smaller factor"),
        (["--fault-rate", "1e308"], 2, "choose a smaller factor"),
        (["--fault-rate", "-1"], 2, "fault-rate"),
        (["--set", "failover.detection=1 s"], 2, "has no effect without --fault"),
        (
            ["--fault", "plane 3 down", "--set", "failover.recompute=1 s"],
            2,
            "has no effect with adaptive routing, only with static",
        ),
        (["--fault", "host 3 down"], 1, "the step stalls: host 3 down"),
    ],
)
def test_a_mistake_is_one_line(capsys: Any, arguments: list[str], status: int, line: str) -> None:
    assert run_app([*CLI, "-q", *arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert line in said.err


def test_the_command_prints_the_impact(capsys: Any, tmp_path: Path) -> None:
    plane, gpu = ["--fault", "plane 3 down at 40%"], ["--fault", "gpu host1.1 slow 10%"]
    assert run_app([*CLI, *plane, *gpu, "--json"]) == 0
    faults = json.loads(capsys.readouterr().out)["faults"]
    assert [row["fault"] for row in faults["each"]] == ["plane 3 down at 40%", "gpu host1.1 slow 10%"]
    assert all(row["added_s"] > 0 for row in faults["each"])
    answer = api.run("mpft", 128, overrides=SMALL, faults=[plane[1], gpu[1]])
    assert answer.record["faults"] == faults
    answer.save(tmp_path / "out")
    assert list(map(str, read_faults([str(tmp_path / "out" / "faults.toml")]))) == [plane[1], gpu[1]]
    assert run_app([*CLI, *plane]) == 0
    words = capsys.readouterr().out
    assert "Faults, each alone" in words
    assert "Detour over" in words
