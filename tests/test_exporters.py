"""Exports read back by readers that know nothing of the writers: bytes, dependencies and times are netsim's."""

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from netsim.api.files import export_traffic
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.exporters.formats import FORMATS
from netsim.specs.question import Question

SMALL = Question(topology="mpft", gpus=32)
#: a step that is quick and has every kind of traffic but experts
STEP = Question(
    topology="mrft", gpus=16, workload="llama-3.1-8b",
    overrides={"model.layers": 4, "model.dense_layers": 4, "parallelism.tensor": 2, "parallelism.pipeline": 2,
               "batch.microbatches": 2},
)  # fmt: skip


def made(tmp_path, form, what, question=SMALL, **more):
    record = export_traffic(form, what, question, tmp_path / form, **more)
    return record, tmp_path / form


# SimGrid: a textbook solver and, where it is installed, SimGrid itself, on the files alone


def platform(folder):
    root = ElementTree.parse(folder / "platform.xml").getroot()
    rates = {link.get("id"): float(link.get("bandwidth").removesuffix("Bps")) for link in root.iter("link")}
    routes = {
        (route.get("src"), route.get("dst")): [part.get("id") for part in route]
        for route in root.iter("route")
    }
    return rates, routes


def replayed(folder):
    """Seconds, by progressive filling over the links of the platform, operation behind operation."""
    rates, routes = platform(folder)
    with (folder / "operations.csv").open() as file:
        ops = list(csv.DictReader(file))
    with (folder / "flows.csv").open() as file:
        flows = list(csv.DictReader(file))
    left = {n: float(flow["size_bytes"]) for n, flow in enumerate(flows)}
    of_op = defaultdict(set)
    for n, flow in enumerate(flows):
        of_op[int(flow["op"])].add(n)
    start, ends, running, now = {}, {}, {}, 0.0
    while len(ends) < len(ops):
        for number, op in enumerate(ops):
            before = [int(b) for b in op["after"].split()]
            if number not in start and all(b in ends for b in before):
                start[number] = max([ends[b] for b in before], default=0.0) + float(op["delay_s"])
                running[number] = set(of_op[number])
        active = {n for number, mine in running.items() if start[number] <= now for n in mine}
        speed = filled(active, flows, rates, routes)
        due = [now + left[n] / speed[n] for n in active]
        due += [start[number] for number in start if start[number] > now]
        due += [start[n] + float(ops[n]["seconds"]) for n in start if n not in ends]
        later = min(time for time in due if time > now) if any(time > now for time in due) else now
        for n in active:
            left[n] -= speed[n] * (later - now)
        now = later
        for number in list(running):
            running[number] = {
                n for n in running[number] if left[n] > 1e-6 * float(flows[n]["size_bytes"]) * 1e-3
            }
            if (
                start[number] <= now
                and not running[number]
                and now >= start[number] + float(ops[number]["seconds"])
            ):
                ends.setdefault(number, now)
                del running[number]
    return now


def filled(active, flows, rates, routes):
    """Max-min rates, the textbook way: raise all, freeze those on the first link that is full."""
    on = defaultdict(set)
    for n in active:
        for link in routes[flows[n]["src"], flows[n]["dst"]]:
            on[link].add(n)
    free, speed = dict(rates), {}
    while len(speed) < len(active):
        share = {
            link: free[link] / len(mine - speed.keys()) for link, mine in on.items() if mine - speed.keys()
        }
        least = min(share.values())
        for link in [link for link, value in share.items() if value <= least * (1 + 1e-12)]:
            for n in on[link] - speed.keys():
                speed[n] = least
                for other in routes[flows[n]["src"], flows[n]["dst"]]:
                    free[other] -= least
    return speed


CASES = [("all_to_all", {}), ("all_reduce", {"algorithm": "ring"}), ("incast", {})]


@pytest.mark.parametrize(("what", "more"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("topology", ["mpft", "ft2_roce"])
def test_simgrid_files_give_netsims_time(tmp_path, what, more, topology):
    question = Question(topology=topology, gpus=24, routing="static" if topology == "ft2_roce" else None)
    record, folder = made(tmp_path, "simgrid", what, question, size="64MiB", **more)
    assert replayed(folder) == pytest.approx(record["netsim_s"], rel=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("simgrid") is None, reason="SimGrid is not installed")
@pytest.mark.parametrize(("what", "more"), CASES, ids=[case[0] for case in CASES])
def test_simgrid_itself_gives_netsims_time(tmp_path, what, more):
    record, folder = made(tmp_path, "simgrid", what, Question(gpus=32), size="64MiB", **more)
    site = str(Path(importlib.util.find_spec("simgrid").origin).parent)
    paths = [site, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    done = subprocess.run(
        [sys.executable, folder / "replay.py"], capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert float(done.stdout.split()[-1]) == pytest.approx(record["netsim_s"], rel=1e-6)


# GOAL


def goal(path):
    """Labels of each rank: kind, bytes or ns, other rank, tag; and what each requires."""
    ranks, rank = {}, None
    for line in path.read_text().splitlines():
        if match := re.fullmatch(r"rank (\d+) \{", line):
            rank = ranks.setdefault(int(match[1]), ({}, defaultdict(list)))
        elif match := re.fullmatch(
            r"(l\d+): (send|recv) (\d+)b (?:to|from) (\d+) tag (\d+) cpu 0 nic 0", line
        ):
            rank[0][match[1]] = (match[2], int(match[3]), int(match[4]), int(match[5]))
        elif match := re.fullmatch(r"(l\d+): calc (\d+)", line):
            rank[0][match[1]] = ("calc", int(match[2]), -1, -1)
        elif match := re.fullmatch(r"(l\d+) requires (l\d+)", line):
            assert match[2] in rank[0], "a label is required that does not stand before"
            rank[1][match[1]].append(match[2])
        else:
            assert line == "}" or re.fullmatch(r"num_ranks \d+", line), line
    return ranks


def sums(items):
    """(from, to, tag) -> bytes of sends, and of receives."""
    sent, got = defaultdict(int), defaultdict(int)
    for rank, kind, size, other, tag in items:
        if kind == "send":
            sent[rank, other, tag] += size
        elif kind == "recv":
            got[other, rank, tag] += size
    return sent, got


@pytest.mark.parametrize(("what", "question"), [("all_to_all", SMALL), ("all_reduce", SMALL), ("step", STEP)])
def test_goal_is_whole_and_every_send_is_received(tmp_path, what, question):
    record, folder = made(tmp_path, "goal", what, question)
    ranks = goal(folder / "traffic.goal")
    assert set(ranks) == set(range(record["gpus"]))
    sent, got = sums((r, *label) for r, (labels, _) in ranks.items() for label in labels.values())
    assert sent == got
    _, simgrid = made(tmp_path, "simgrid", what, question)
    with (simgrid / "flows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["src"].split("-")[0] != row["dst"]]
    assert sum(sent.values()) == sum(int(row["size_bytes"]) for row in rows)


def test_goal_of_a_step_computes_as_long_as_netsim(tmp_path):
    """Rank 0 computes the sum of its tasks, and cannot end before the chain of what it requires has ended."""
    record, folder = made(tmp_path, "goal", "step", STEP)
    labels, requires = goal(folder / "traffic.goal")[0]
    ends = {}
    for name, (kind, value, _, _) in labels.items():
        begin = max([ends[each] for each in requires[name]], default=0)
        ends[name] = begin + (value if kind == "calc" else 0)
    chain_s = max(ends.values()) * 1e-9
    assert 0.5 * record["netsim_s"] < chain_s <= record["netsim_s"] * 1.001


# Chakra, with the protobuf library and a schema written from et_def.proto


def chakra(path):
    """The nodes of a trace as (id, name, type, data_deps, attributes)."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="et.proto", package="et", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def add(name, *fields):
        made = file.message_type.add(name=name)
        for number, field, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made.field.add(
                name=field, number=number, type=kind, label=label, type_name=f".et.{of}" if of else None
            )

    text, u64, message = kinds.TYPE_STRING, kinds.TYPE_UINT64, kinds.TYPE_MESSAGE
    add("Attribute", (1, "name", text, 0, ""), (7, "int32_val", kinds.TYPE_INT32, 0, ""),
        (9, "int64_val", kinds.TYPE_INT64, 0, ""), (13, "uint64_val", u64, 0, ""),
        (27, "bool_val", kinds.TYPE_BOOL, 0, ""))  # fmt: skip
    add("Metadata", (1, "version", text, 0, ""))
    add("Node", (1, "id", u64, 0, ""), (2, "name", text, 0, ""), (3, "type", kinds.TYPE_INT32, 0, ""),
        (5, "data_deps", u64, 1, ""), (7, "duration_micros", u64, 0, ""),
        (10, "attr", message, 1, "Attribute"))  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"et.{name}"))
        for name in ("Metadata", "Node")
    }
    data, place, messages = path.read_bytes(), 0, []
    while place < len(data):
        size = shift = 0
        while True:
            byte = data[place]
            size, shift, place = size | (byte & 127) << shift, shift + 7, place + 1
            if byte < 128:
                break
        messages.append(data[place : place + size])
        place += size
    assert found["Metadata"].FromString(messages[0]).version == "1.0.0"
    return [found["Node"].FromString(each) for each in messages[1:]]


def attributes(node):
    return {a.name: a.int64_val or a.int32_val or a.uint64_val or a.bool_val for a in node.attr}


@pytest.mark.parametrize(("what", "question"), [("all_to_all", SMALL), ("step", STEP)])
def test_chakra_says_the_same_as_goal(tmp_path, what, question):
    pytest.importorskip("google.protobuf")
    record, folder = made(tmp_path, "chakra", what, question)
    items = []
    for rank in range(record["gpus"]):
        nodes = chakra(folder / f"traffic.{rank}.et")
        assert [node.id for node in nodes] == list(range(len(nodes)))
        assert all(before < node.id for node in nodes for before in node.data_deps)
        for node in nodes:
            told = attributes(node)
            if node.type in (5, 6):
                other = told["comm_dst"] if node.type == 5 else told["comm_src"]
                assert (told["comm_src"] if node.type == 5 else told["comm_dst"]) == rank
                items.append(
                    (rank, {5: "send", 6: "recv"}[node.type], told["comm_size"], other, told["comm_tag"])
                )
    sent, got = sums(items)
    _, other = made(tmp_path, "goal", what, question)
    of_goal = sums(
        (r, *label) for r, (labels, _) in goal(other / "traffic.goal").items() for label in labels.values()
    )
    assert (sent, got) == of_goal


def test_astra_writes_one_collective_and_its_own_files(tmp_path):
    pytest.importorskip("google.protobuf")
    import yaml

    _, folder = made(tmp_path, "astra", "all_reduce", size="64MiB")
    (node,) = chakra(folder / "traffic.5.et")
    assert (node.type, attributes(node)["comm_size"]) == (7, 64 << 20)
    network = yaml.safe_load((folder / "network.yml").read_text())
    assert np.prod(network["npus_count"]) == 32
    assert json.loads((folder / "system.json").read_text())["all-to-all-implementation"] == [
        "direct",
        "direct",
    ]


# htsim and SimAI


def test_htsim_matrices_carry_the_flows_between_hosts(tmp_path):
    record, folder = made(tmp_path, "htsim", "all_to_all", size="64MiB")
    total = 0
    for path in sorted(folder.glob("plane*.cm")):
        nodes, connections, *lines = path.read_text().splitlines()
        rows = [re.fullmatch(r"(\d+)->(\d+) id (\d+) start (\d+) size (\d+)", line) for line in lines]
        assert (nodes, connections) == ("Nodes 4", f"Connections {len(rows)}")
        assert all(row and row[1] != row[2] and int(row[1]) < 4 for row in rows)
        assert {int(row[4]) for row in rows} == {int(rows[0][4])}  # ps: launch and latency
        total += sum(int(row[5]) for row in rows)
    # of 64 MiB a rank, 24 of 32 parts leave the host
    assert total == pytest.approx(32 * (64 << 20) * 24 / 32, rel=1e-6)
    topo = (folder / "fabric.topo").read_text()
    assert topo.startswith("Nodes 4\nTiers 2\n")
    assert "Downlink_speed_Gbps 400" in topo
    assert any("NVLink" in line for line in record["said"])


def test_htsim_sizes_fit_an_int_and_repetitions_trigger_each_other(tmp_path):
    _, folder = made(
        tmp_path, "htsim", "all_reduce", Question(topology="mrft", gpus=16), size="64GiB", algorithm="ring"
    )
    text = (folder / "traffic.cm").read_text()
    sizes = [int(size) for size in re.findall(r" size (\d+)", text)]
    assert max(sizes) < 1 << 31
    started, set_off = (
        set(re.findall(r"trigger id (\d+)", text)),
        set(re.findall(r"[0-9] trigger (\d+) size", text)),
    )
    assert set_off
    assert set_off <= started
    for number in set(re.findall(r"trigger id (\d+) barrier", text)):
        count = int(re.search(rf"trigger id {number} barrier count (\d+)", text)[1])
        assert len(re.findall(rf"send_done_trigger {number}\n", text)) == count


def test_simai_topology_and_workload(tmp_path):
    record, folder = made(tmp_path, "simai", "step", STEP)
    head, switches, *links = (folder / "topology.txt").read_text().splitlines()
    nodes, per_host, nvswitches, others, count, _ = head.split()
    assert (int(nodes), int(per_host), int(nvswitches), int(count)) == (
        16 + 2 + int(others),
        8,
        2,
        len(links),
    )
    assert len(switches.split()) == int(nvswitches) + int(others)
    assert all(re.fullmatch(r"\d+ \d+ [\d.]+Gbps [\d.e-]+ms 0", line) for line in links)
    first, rows, *layers = (folder / "workload.txt").read_text().splitlines()
    assert "model_parallel_NPU_group: 2 ep: 1 pp: 2" in first
    assert int(rows) == len(layers)
    assert all(len(layer.split("\t")) == 12 for layer in layers)
    forward = [int(layer.split("\t")[2]) for layer in layers]
    assert sum(forward) * 1e-9 < record["netsim_s"]
    assert any("ALLGATHER" in layer or "REDUCESCATTER" in layer for layer in layers)


# Phases, complaints, the command


def test_a_phase_is_one_transfer_of_every_group(tmp_path):
    question = Question(topology="mpft", gpus=128, workload="deepseek-v3",
                        overrides={"parallelism.pipeline": 2, "parallelism.expert": 64, "batch.microbatches": 4,
                                   "model.layers": 8, "parallelism.zero": 1})  # fmt: skip
    record, _ = made(tmp_path, "goal", "step", question, phase="dispatch")
    assert record["operations"] == 2
    assert 0 < record["netsim_s"] < 0.1
    with pytest.raises(NetsimError, match=r"no phase 'dispach'.*did you mean 'dispatch'"):
        made(tmp_path, "chakra", "step", question, phase="dispach")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_writes_a_collective_and_says_what_it_cannot_hold(tmp_path, form, capsys):
    command = [
        "export",
        form,
        "all_gather",
        "--gpus",
        "16",
        "--topology",
        "mrft",
        "--size",
        "1MiB",
        "-o",
        str(tmp_path / "out"),
    ]
    assert run_app([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["said"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*record["files"], "export.json"}
    assert run_app(command) == 2
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["htsin", "step"], "did you mean 'htsim'"), (["goal", "alltoall"], "no traffic 'alltoall'"),
     (["goal", "step", "--size", "1MiB"], "--size: has no effect"),
     (["goal", "incast", "--phase", "x"], "--phase: has"),
     (["htsim", "all_to_all", "--topology", "slim_fly"], "no fat-tree")],
)  # fmt: skip
def test_complaints_are_one_line(tmp_path, capsys, arguments, words):
    assert run_app(["export", *arguments, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
