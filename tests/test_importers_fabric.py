"""Fabrics of their owners: what is wired wrong is named, and what is left runs."""

import json

import pytest

from import_files import discover
from netsim.api.files import import_file
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.topologies import build


def found(tmp_path, text, **more):
    path = tmp_path / "fabric.txt"
    path.write_text(text)
    return import_file(path, output=tmp_path / "out", force=True, **more)


def lines(record, kind):
    return [row["line"] for row in record["mistakes"] if row["kind"] == kind]


def test_whole_fabric_has_no_mistakes(tmp_path):
    record = found(tmp_path, discover(cables=2))
    assert record["findings"] == []
    assert (record["hosts"], record["planes"], record["tiers"]) == (12, 3, {"tier1": 6, "tier2": 6})


def test_three_planes_with_two_missing_cables_and_one_at_half_rate_are_named_and_run_on(tmp_path, capsys):
    record = found(tmp_path, discover(without=(("node03", 1), (0, 1, 2)), half=((1, 0, 0),)))
    assert lines(record, "missing NIC") == ["node03/mlx5_1 is not cabled"]
    assert lines(record, "missing link") == ["p2-leaf0 - p2-spine1: 1 of 1 cables is missing"]
    (slow,) = lines(record, "slow link")
    assert {"p0-leaf1", "p0-spine0"} <= {end.split("/")[0] for end in slow.split(" runs")[0].split(" - ")}
    assert slow.endswith("runs at 200 Gb/s, not at 400 Gb/s")
    # node03 holds no ranks: 11 hosts of 3 GPUs; the fabric is that of the file, slow and missing cables as they are
    spec, host = (
        load(TopologySpec, "topology", str(tmp_path / "out.toml")),
        load(HardwareSpec, "hardware", str(tmp_path / "out-hosts.toml")),
    )
    built = build(spec, host, 33)
    rates = built.nominal_bytes_per_s[built.link_kind == 6]
    assert (len(rates), sorted(set(rates))) == (3 * 4 - 1, [25e9, 50e9])
    run = ["collective", "all_reduce", "--topology", str(tmp_path / "out.toml"), "--hardware",
           str(tmp_path / "out-hosts.toml"), "--gpus", "33", "--sizes", "1GiB", "--json"]  # fmt: skip
    assert run_app(run) == 0
    assert json.loads(capsys.readouterr().out)[0]["time_us"] > 0


def test_a_host_in_the_wrong_planes_is_named(tmp_path):
    record = found(tmp_path, discover(swap=((("node05", 0), ("node05", 1)),)))
    assert len(lines(record, "wrong rail")) == 2
    assert "node05" not in record["host_names"]


def test_parallel_cables_one_missing(tmp_path):
    record = found(tmp_path, discover(cables=2, without=((1, 1, 0),)))
    assert lines(record, "missing link") == ["p0-leaf1 - p0-spine1: 1 of 2 cables is missing"]


def test_truncated_discovery_is_refused(tmp_path):
    text = discover()
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(NetsimError, match="truncated"):
            found(tmp_path, text[: int(len(text) * part)])


LINKINFO = '''CA: node0 mlx5_0:
      0xb8cef60300000001      4    1[  ] ==( 4X     106.25 Gbps Active/  LinkUp)==>       6    1[  ] "MF0;leaf0:MQM9700/U1" ( )
CA: node1 mlx5_0:
      0xb8cef60300000002      5    1[  ] ==( 2X     106.25 Gbps Active/  LinkUp)==>       6    2[  ] "MF0;leaf0:MQM9700/U1" ( Could be 4X)
Switch: 0xfc6a1c0300000000 MF0;leaf0:MQM9700/U1:
           6    1[  ] ==( 4X     106.25 Gbps Active/  LinkUp)==>       4    1[  ] "node0 mlx5_0" ( )
           6    2[  ] ==( 2X     106.25 Gbps Active/  LinkUp)==>       5    1[  ] "node1 mlx5_0" ( Could be 4X)
           6    3[  ] ==(                Down/ Polling)==>             [  ] "" ( )
'''  # fmt: skip  # noqa: E501


def test_linkinfo_knows_what_a_degraded_link_could_be(tmp_path):
    record = found(tmp_path, LINKINFO)
    assert (record["kind"], record["hosts"], record["cables"]) == ("iblinkinfo", 2, 2)
    assert lines(record, "slow link") == ["node1/mlx5_0 - leaf0/2 runs at 200 Gb/s, not at 400 Gb/s"]
    assert any("1 ports without a link" in line for line in record["read"])
