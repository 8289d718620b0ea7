"""`netsim packets` and `netsim collective --packets`, as they are asked."""

import json

import pandas as pd
import pytest

import netsim as api
from command import netsim
from netsim.collectives.catalogue import COLLECTIVES
from netsim.congestion.against_fluid import measured, table
from netsim.errors import NetsimError

SMALL = [
    "--gpus",
    "16",
    "--set",
    "switch.radix=8",
    "--set",
    "gpus_per_host=1",
    "--set",
    "nics_per_host=1",
    "--size",
    "100KB",
]
KEYS = {"switch.radix": 8, "gpus_per_host": 1, "nics_per_host": 1}


def test_a_folder_holds_the_answer_the_page_and_the_tables(tmp_path):
    run = netsim(
        "packets", "incast", *SMALL, "--senders", "4", "-T", "roce", "-o", str(tmp_path / "o"), "--json"
    )
    assert run.returncode == 0, run.stderr
    record = json.loads(run.stdout)
    assert json.loads((tmp_path / "o/result.json").read_text()) == record
    assert [group["name"] for group in record["groups"]] == ["incast", "victim"]
    flows = pd.read_parquet(tmp_path / "o/flows.parquet")
    assert len(flows) == record["messages"] == 5
    assert {"time_us", "link", "queued_bytes"} == set(pd.read_parquet(tmp_path / "o/queues.parquet").columns)
    page = (tmp_path / "o/report.html").read_text()
    assert page.count("<svg") == 3
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["all_to_al"], "no traffic 'all_to_al'"),
        (["ring", "--senders", "3"], "--senders: has no effect on ring"),
        (["dispatch", "--size", "1MB"], "--size: has no effect on dispatch"),
        (["incast", "--senders", "99"], "--senders 99: must be 1 to 13"),
        (["--transport", "edqs"], "no transport preset 'edqs'"),
        (["--set", "transport.sender.window=5"], "must be a quantity"),
        (["--set", "topology.routing=ecmp"], "has no effect on a packet simulation"),
        (["--fault", "cable 3 down", "--transport", "eqds"], "must be such as"),
        (["nothing.csv", "--size", "1MB"], "--size: has no effect on nothing.csv"),
    ],
)
def test_a_mistake_is_one_clear_line(options, says):
    run = netsim("packets", *options, *(SMALL[:-2] if "--size" in options else SMALL))
    assert run.returncode == 2
    assert says in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_messages_of_a_file(tmp_path):
    path = tmp_path / "flows.csv"
    path.write_text("source,target,size_bytes,start_us,group\n0,1,4096,0,a\n2,3,4096,5,b\n")
    result = api.packets(str(path), "ft2", 16, transport="spray", overrides=KEYS)
    assert result.messages.groups == ("a", "b")
    assert result.finish_s[1] - result.finish_s[0] == pytest.approx(5e-6, rel=1e-6)
    with pytest.raises(NetsimError, match="cannot be read as CSV"):
        api.packets(str(tmp_path / "nothing.csv"), "ft2", 16, overrides=KEYS)
    path.write_text("source,target,size_bytes\n0,1,-3\n")
    with pytest.raises(NetsimError, match=r"line 2: size_bytes = -3"):
        api.packets(str(path), "ft2", 16, overrides=KEYS)


@pytest.mark.parametrize("traffic", ["dispatch", "combine", "tenants"])
def test_traffic_of_experts_and_tenants_arrives(traffic):
    options = {"tokens": 32, "load": "zipf:1"} if traffic != "tenants" else {"size_bytes": 20_000}
    result = api.packets(traffic, "mpft", 16, transport="eqds", seed=1, **options)
    assert result.record()["unfinished"] == 0


def test_every_collective_has_a_measured_ratio():
    for kind, collective in COLLECTIVES.items():
        for algorithm in collective.algorithms:
            if algorithm == "nvls":  # the scale-up switch adds up: no packet of the fabric
                continue
            low, high = measured(kind, algorithm, "adaptive")
            # below 1 where flows forwarded in their host pay its latency while others send (direct, 1 MiB)
            assert 0.85 < low <= high
    assert all(
        0.9 < float(row["ratio"]) < 1.1
        for row in table()
        if int(row["size_bytes"]) > 1 << 23 and float(row["fluid_us"]) > 50
    )


def test_a_collective_shows_what_packets_make_of_it():
    (row,) = api.collective("all_to_all", "mpft", 16, sizes="4MiB", packets=True).record
    assert row["packets_over_fluid"] == pytest.approx(1.0, abs=0.05)
    assert row["packets_time_us"] == pytest.approx(row["time_us"], rel=0.05)
    (large,) = api.collective("all_to_all", "mpft", 16, sizes="16GiB", packets=True).record
    assert large["packets_time_us"] is None
    assert large["measured_most"] >= large["measured_least"] > 0.9
