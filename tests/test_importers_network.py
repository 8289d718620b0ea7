"""Benchmark logs to a network profile: read whatever their version, fitted to the larger half, scored on the rest."""

import csv
import json
from pathlib import Path

import pytest

from import_files import nccl_log
from netsim.api.files import import_file
from netsim.cli.app import run_app
from netsim.collectives.request import collective_rows, make_setup
from netsim.errors import NetsimError

EVIDENCE = Path(__file__).parents[2] / "shared" / "evidence"
SIZES = [1 << n for n in range(20, 32)]


def read(tmp_path, text, name="bench.log", **more):
    path = tmp_path / name
    path.write_text(text)
    return import_file(path, **more)


def simulated(kind, gpus, **overrides):
    """Microseconds by size that netsim itself gives, to be found again from a log of them."""
    setup = make_setup("mrft", gpus, "nccl", kind=kind, hardware="h100", overrides=overrides)
    rows = collective_rows(setup, kind, sizes=",".join(map(str, SIZES)))
    return {row["size_bytes"]: row["time_us"] for row in rows}


def test_a_network_that_is_slower_than_the_preset_is_found_again(tmp_path):
    times = simulated("all_to_all", 32, **{"nic.goodput_fraction": 0.7, "protocol.message.per_peer": "9 us"})
    record = read(tmp_path, nccl_log(times, hosts=4, gpu="NVIDIA H100 80GB HBM3"))
    assert record["hardware"] == "h100"
    assert record["fitted"]["nic.goodput_fraction"] == pytest.approx(0.7, rel=2e-3)  # times have two decimals
    assert record["fitted"]["protocol.message.per_peer"] == pytest.approx(9e-6, rel=2e-2)
    assert record["errors"]["held_out_worst_pct"] < 1.0


def test_nvlink_that_is_slower_than_the_preset_is_found_again(tmp_path):
    times = simulated("all_gather", 8, **{"scale_up.achieved_rate": "300 GB/s"})
    record = read(tmp_path, nccl_log(times, "all_gather", hosts=1, gpu="NVIDIA H100"))
    assert record["fitted"]["scale_up.achieved_rate"] == pytest.approx(300e9, rel=1e-2)


def test_versions_tags_and_missing_names_read_the_same(tmp_path):
    times = {size: 100 + size / 1e5 for size in SIZES}
    logs = [nccl_log(times, "all_reduce", gpu="NVIDIA H100"),
            nccl_log(times, "all_reduce", gpu="NVIDIA H100", tag="[1,0]<stdout>:"),
            nccl_log(times, "all_reduce", gpu="NVIDIA H100", named=False),
            nccl_log(times, "all_reduce", gpu="NVIDIA H100", wrong="N/A").replace("none      -1", "sum")]  # fmt: skip
    first, *others = [read(tmp_path, log)["scores"] for log in logs]
    assert {row["collective"] for row in first} == {"all_reduce"}
    assert all(other == first for other in others)


def test_rows_with_wrong_results_are_said_and_left_out(tmp_path):
    text = nccl_log({size: size / 1e5 for size in SIZES}, gpu="NVIDIA H100")
    line = next(line for line in text.splitlines() if line.lstrip().startswith(f"{SIZES[3]} "))
    record = read(tmp_path, text.replace(line, line.replace("      0 ", "      7 ")))
    assert "1 sizes with wrong results" in record["findings"][0]
    assert len(record["scores"]) == len(SIZES) - 1


def test_json_of_new_versions(tmp_path):
    devices = [{"rank": r, "hostname": f"n{r // 8}", "device_info": "NVIDIA H100"} for r in range(16)]
    results = [{"size": s, "count": s, "type": "float", "out_of_place": {"time": s / 1e5, "nwrong": 0}, "in_place": {}}
               for s in SIZES]  # fmt: skip
    text = json.dumps({"args": "./all_gather_perf -b 1M", "devices": devices, "results": results})
    record = read(tmp_path, text)
    assert (record["kind"], record["scores"][0]["collective"]) == ("nccl-tests-json", "all_gather")
    assert record["scores"][0]["hosts"] == 2


def test_inspector_takes_the_median_of_calls(tmp_path):
    lines = [
        {"header": {"id": "0x1", "rank": 0, "n_ranks": 16, "nnodes": 2}, "metadata": {"hostname": "n0"},
         "coll_perf": {"coll": "AllReduce", "coll_sn": n, "coll_msg_size_bytes": size,
                       "coll_exec_time_us": size / 1e5 * (1 + n)}}
        for size in SIZES for n in range(3)
    ]  # fmt: skip
    record = read(tmp_path, "\n".join(map(json.dumps, lines)) + "\nbroken")
    assert record["scores"][0]["measured_us"] == pytest.approx(2 * SIZES[0] / 1e5)
    assert record["not_understood"] == ["lines: line 37"]


DEEPEP = """[config] num_tokens=4096, hidden=7168, num_topk_groups=4, num_topk=8
[tuning] Best dispatch (FP8): SMs 24, NVL chunk 20, RDMA chunk 16: 30 + 1050 us, 58.1 GB/s (RDMA), 141 GB/s (NVL)
[tuning] Best dispatch (BF16): SMs 24, NVL chunk 20, RDMA chunk 16: 30 + 1950 us, 57.1 GB/s (RDMA), 141 GB/s (NVL)
[tuning] Best combine: SMs 24, NVL chunk 1, RDMA chunk 16: 20 + 1900 us, 57.2 GB/s (RDMA), 140 GB/s (NVL)
"""
LOW = "".join(
    f"[rank {r}] Dispatch bandwidth: 98.0 GB/s, avg_t=77.{r:02d} us | Combine bandwidth: 127.0 GB/s, avg_t=114.0 us\n"
    for r in range(8)
)
V2 = """Config:
 > Ranks: 2 x 8
 > Experts: 8/256
 > Tokens: 4096, hidden: 7168
 * EP: 2/16 | dispatch: 43 GB/s (SO), 102 GB/s (SU), 1039.0 us, 12 bytes | copy: 1 us
 @ EP: 2/16 | combine: 44 GB/s (SO), 103 GB/s (SU), 1939.0 us, 12 bytes | copy: 1 us
"""


def test_deepep_sets_the_nic_from_dispatch_and_predicts_combine(tmp_path):
    record = read(tmp_path, DEEPEP, wanted=_gpus(32))
    assert [row["used"] for row in record["scores"]] == ["fitted", "held out", "held out"]
    assert record["scores"][0]["error_pct"] == pytest.approx(0, abs=1e-3)
    with pytest.raises(NetsimError, match="give --gpus"):
        read(tmp_path, DEEPEP)


def test_deepep_low_latency_and_v2_know_their_ranks(tmp_path):
    assert read(tmp_path, LOW)["gpus"] == 8
    record = read(tmp_path, V2)
    assert (record["gpus"], [row["kernel"] for row in record["scores"]]) == (16, ["dispatch", "combine"])


def _gpus(count):
    from netsim.importers.report import Wanted

    return Wanted(gpus=count)


def test_calibrate_takes_a_log(tmp_path, capsys):
    path = tmp_path / "bench.log"
    path.write_text(nccl_log(simulated("all_to_all", 32), hosts=4, gpu="NVIDIA H100"))
    stem = str(tmp_path / "mine.toml")
    assert run_app(["calibrate", "--network", str(path), "-o", stem, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [
        str(tmp_path / "mine-hosts.toml"),
        str(tmp_path / "mine-library.toml"),
    ]
    made = ["--hardware", f"{tmp_path}/mine-hosts.toml", "--protocol", f"{tmp_path}/mine-library.toml"]
    run = [
        "collective",
        "all_to_all",
        "--gpus",
        "32",
        "--topology",
        "mrft",
        "--sizes",
        "1GiB",
        "--json",
        *made,
    ]
    assert run_app(run) == 0
    assert run_app(["calibrate", "--network", str(path), "-o", stem, "--base", "h100", "--force"]) == 2
    assert "--base: has no effect" in capsys.readouterr().err


@pytest.mark.skipif(not EVIDENCE.is_dir(), reason="measured numbers are not beside this checkout")
def test_published_all_to_all_is_predicted_at_the_sizes_that_were_held_out(tmp_path):
    name = "isca25_fig5_nccl_alltoall_algbw.csv"
    text = (EVIDENCE / name).read_text()
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    units, text = {"MiB": 2**20, "GiB": 2**30}, ""
    for gpus in ("32", "64", "128"):
        times = {}
        for row in rows:
            if row["gpus"] == gpus:
                size = int(row["msg_size"][:-3]) * units[row["msg_size"][-3:]]
                times[size] = size / float(row["MPFT_GBps"]) / 1e3
        text += nccl_log(times, hosts=int(gpus) // 8)
    record = read(tmp_path, text, wanted=_topology())
    assert record["hardware"] == "h800"
    assert record["errors"]["held_out_median_pct"] < 4.0


def _topology():
    from netsim.importers.report import Wanted

    return Wanted(topology="mpft")
