"""A family, a schedule and a verb are one entry each: toys are added at run time and used through the command.

A collective is tested in test_collectives_*, an attention kind in test_workloads_*.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from netsim import cli
from netsim.cli import app
from netsim.specs import HardwareSpec, TopologySpec
from netsim.topologies import families
from netsim.topologies.custom import make_mesh
from netsim.topologies.direct import check_flat, deal_out, flat_fabric
from netsim.topologies.edge_list import Edges
from netsim.topologies.fabric import Fabric, Family
from netsim.workloads import schedules
from netsim.workloads.schedules.order import Order, Unit, forward, full_backward

SMALL = [
    "--gpus", "64", "--set", "parallelism.pipeline=2", "--set", "parallelism.expert=8", "--set", "model.layers=4",
    "--set", "batch.microbatches=4", "--json", "--quiet",
]  # fmt: skip
SWITCHES = 4


def everyone_to_everyone(spec: TopologySpec, hardware: HardwareSpec, hosts: int) -> Fabric:
    """Four switches, sixteen cables between every two."""
    check_flat(spec)
    lower, upper = np.triu_indices(SWITCHES, 1)
    seats = deal_out(hosts * hardware.nics_per_host, SWITCHES)
    cables = np.full(lower.size, 16)
    edges = Edges(
        tuple("abcd"), hosts, hardware.nics_per_host, 1, seats, np.full(seats.size, spec.switch.port_rate),
        lower, upper, np.full(lower.size, spec.switch.port_rate), cables,
    )  # fmt: skip
    mesh = make_mesh(SWITCHES, edges)
    return flat_fabric(seats, SWITCHES, np.repeat(lower, cables), np.repeat(upper, cables), mesh, (1, 2))


def test_a_family_is_one_entry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = Family(lambda spec, hardware: 16, lambda spec, hardware: "16 hosts", everyone_to_everyone)
    monkeypatch.setitem(families.FAMILIES, "toy", toy)
    file = tmp_path / "toy.toml"
    file.write_text(
        'name = "toy"\ndescription = "four switches"\nfamily = "toy"\ntiers = 1\nplanes = 1\n'
        'oversubscription = []\nrouting = "adaptive"\n'
        '[switch]\nradix = 128\nport_rate = "400 Gb/s"\n[latency]\nendpoint = "1.9 us"\nswitch_hop = "0.3 us"\n'
        '[sources]\nall = "made up"\n'
    )
    assert app.run_app(["run", "--topology", str(file), *SMALL]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["topology"]["switches"] == SWITCHES
    assert record["topology"]["switch_links"] == 6 * 16
    assert record["step"]["time_s"] > 0


def all_forwards_first(ranks: int, microbatches: int) -> Order:
    """GPipe: every forward, then every backward in reverse."""
    return Order(
        tuple(
            (
                *(forward(Unit(rank, m)) for m in range(microbatches)),
                *(full_backward(Unit(rank, m)) for m in reversed(range(microbatches))),
            )
            for rank in range(ranks)
        )
    )


def test_a_schedule_is_one_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(schedules.SCHEDULES, "gpipe", all_forwards_first)
    times = {}
    for name in ("gpipe", "1f1b"):
        assert app.run_app(["run", "--schedule", name, *SMALL]) == 0
        step = json.loads(capsys.readouterr().out)["step"]
        times[name] = step["time_s"]
    # the bubbles are equal; 1F1B only holds fewer activations
    assert times["gpipe"] == pytest.approx(times["1f1b"], rel=0.05)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """One module in a folder of commands, and one entry."""
    text = 'def hello(name: str = "world") -> None:\n    """Say hello."""\n    print(f"hello {name}")\n'
    (tmp_path / "hello.py").write_text(text)
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    monkeypatch.setitem(app.COMMANDS, "hello", "Say hello.")
    return "hello"


def test_a_verb_is_one_entry(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run_app([verb, "--name", "fabric"]) == 0
    assert capsys.readouterr().out == "hello fabric\n"
