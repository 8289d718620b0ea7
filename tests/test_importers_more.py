# ruff: noqa: E501  (files of others have long lines)
"""Other fabrics, hosts, placements, traces and results; and what every reader does with files that are broken."""

import gzip
import json
import resource

import pytest

from import_files import LLAMA_8B, discover, megatron_log, nccl_log
from netsim.api.files import export_traffic, import_file
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.importers.kinds import KINDS, read
from netsim.importers.report import Wanted
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.question import Question
from netsim.topologies import build
from netsim.topologies.export import EXPORTS
from netsim.training.simulate import simulate

HOSTS, LEAVES, SPINES = 4, 2, 2


def edges(nics=8):
    """(node, port, node, port) of 4 hosts on two leaves under two spines, two cables between each pair."""
    found = [
        (f"node{h}", f"mlx5_{n}", f"leaf{h // 2}", f"swp{h % 2 * nics + n + 1}")
        for h in range(HOSTS)
        for n in range(nics)
    ]
    found += [(f"leaf{leaf}", f"swp{40 + 2 * s + c}", f"spine{s}", f"swp{2 * leaf + c}")
              for leaf in range(LEAVES) for s in range(SPINES) for c in range(2)]  # fmt: skip
    return found


def netbox(rows=None):
    head = "side_a_device,side_a_type,side_a_name,side_b_device,side_b_type,side_b_name,type,status"
    lines = [
        f"{a},dcim.interface,{p},{b},dcim.interface,{q},400gbase-dr4,connected"
        for a, p, b, q in rows or edges()
    ]
    return "\n".join([head, *lines]) + "\n"


def lldp(rows=None):
    """One document a node; a single neighbour as an object, as lldpctl writes it."""
    nodes = {}
    for a, p, b, q in rows or edges():
        for near, port, far, other in ((a, p, b, q), (b, q, a, p)):
            entry = {port: {"chassis": {far: {"id": {"type": "mac", "value": "0"}}},
                            "port": {"id": {"type": "ifname", "value": other}, "auto-negotiation": {"current": "400GBaseDR4"}}}}  # fmt: skip
            nodes.setdefault(near, []).append(entry)
    return json.dumps(
        {node: {"lldp": {"interface": each if len(each) > 1 else each[0]}} for node, each in nodes.items()}
    )


def node_link(rows=None):
    names = sorted({name for a, _, b, _ in rows or edges() for name in (a, b)})
    links = [{"source": f"{a}/{p}" if a.startswith("node") else a, "target": b, "rate": "400 Gb/s"}
             for a, p, b, _ in rows or edges()]  # fmt: skip
    nodes = sorted(
        {end for link in links for end in (link["source"], link["target"])} | set(names) - {"node0"}
    )
    return json.dumps({"directed": False, "multigraph": True, "nodes": [{"id": n} for n in nodes if not n.startswith("node") or "/" in n],
                       "links": [{**link, "key": n} for n, link in enumerate(links)]})  # fmt: skip


INFRAGRAPH = """infrastructure:
  name: small
  devices:
  - name: dgx
    components:
    - {name: nic, count: 8, choice: nic}
    - {name: xpu, count: 8, choice: device}
  - name: switch
    components:
    - {name: port, count: 32, choice: port}
  links:
  - name: nic400
    physical: {bandwidth: {choice: gigabits_per_second, gigabits_per_second: 400}}
  instances:
  - {name: host, device: dgx, count: 2}
  - {name: leaf, device: switch, count: 2}
  - {name: spine, device: switch, count: 1}
  edges:
  - {ep1: {instance: "host[0]", component: "nic[0:8]"}, ep2: {instance: "leaf[0]", component: "port[0:8]"}, link: nic400, scheme: one2one}
  - {ep1: {instance: "host[1]", component: "nic[0:8]"}, ep2: {instance: "leaf[1]", component: "port[0:8]"}, link: nic400, scheme: one2one}
  - {ep1: {instance: "leaf[0:2]", component: "port[8:10]"}, ep2: {instance: "spine[0]", component: "port[0:2]"}, link: nic400, scheme: many2many}
"""

XML = (
    '<system version="1">'
    + "".join(
        f'<cpu numaid="{c}" affinity="ff" arch="x86_64"><pci busid="0{c}" class="0x060400" link_speed="32.0 GT/s PCIe">'
        + "".join(
            f'<pci busid="1{g}" link_speed="32.0 GT/s PCIe" link_width="16"><gpu dev="{g}" sm="90" rank="{g}" gdr="1">'
            f'<nvlink target="0" count="18" tclass="0x068000"/></gpu></pci>'
            f'<nic><net name="mlx5_{g}" dev="{g}" speed="400000" port="1" gdr="1"/></nic>'
            for g in range(4 * c, 4 * c + 4)
        )
        + "</pci></cpu>"
        for c in range(2)
    )
    + "</system>\n"
)
CONF = """# topology.conf
SwitchName=leaf0 Nodes=n[0-3]
SwitchName=leaf1 Nodes=n[4-7]
SwitchName=spine Switches=leaf[0-1]
"""
SLURM_YAML = """- topology: other
  flat: true
- topology: default
  cluster_default: true
  block:
    block_sizes: [4]
    blocks:
    - {block: b0, nodes: "n[0-3]"}
    - {block: b1, nodes: "n[4-7]"}
"""


def simai(tmp_path):
    export_traffic("simai", "all_gather", Question(topology="mrft", gpus=32), tmp_path / "simai", size="1MiB")
    return (tmp_path / "simai" / "topology.txt").read_text()


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [("c.csv", netbox(), "netbox"), ("l.json", lldp(), "lldp"), ("g.json", node_link(), "graph")],
)
def test_cable_files_find_the_same_fabric(tmp_path, name, text, kind):
    (tmp_path / name).write_text(text)
    record = import_file(tmp_path / name, output=tmp_path / "out")
    assert (record["kind"], record["hosts"], record["nics_per_host"], record["cables"]) == (kind, 4, 8, 40)
    assert (record["tiers"], record["findings"]) == ({"tier1": 2, "tier2": 2}, [])
    built = build(
        load(TopologySpec, "topology", str(tmp_path / "out.toml")), load(HardwareSpec, "hardware", "h100"), 32
    )
    assert (built.switches, built.switch_links) == (4, 8)


def test_mistakes_are_found_whatever_the_file(tmp_path):
    rows = [row for row in edges() if row[:2] != ("node2", "mlx5_3") and row[:2] != ("leaf1", "swp42")]
    for name, text in (("c.csv", netbox(rows)), ("l.json", lldp(rows))):
        (tmp_path / name).write_text(text)
        kinds = {row["kind"]: row["line"] for row in import_file(tmp_path / name)["mistakes"]}
        assert kinds["missing NIC"] == "node2/mlx5_3 is not cabled"
        assert kinds["missing link"] == "leaf1 - spine1: 1 of 2 cables is missing"


def test_rails_a_host_on_the_wrong_one_is_named(tmp_path):
    rows = [(f"node{h}", f"mlx5_{n}", f"leaf{n}", f"swp{h}") for h in range(8) for n in range(8)]
    rows += [(f"leaf{n}", f"swp{40 + s}", f"spine{s}", f"swp{n}") for n in range(8) for s in range(8)]
    rows[5], rows[6] = ("node0", "mlx5_5", "leaf6", "swp0"), ("node0", "mlx5_6", "leaf5", "swp0")
    (tmp_path / "c.csv").write_text(netbox(rows))
    lines = [
        row["line"] for row in import_file(tmp_path / "c.csv")["mistakes"] if row["kind"] == "wrong rail"
    ]
    assert lines == ["node0/mlx5_5 is cabled to leaf6, which holds mlx5_6 of other hosts",
                     "node0/mlx5_6 is cabled to leaf5, which holds mlx5_5 of other hosts"]  # fmt: skip


def test_netbox_by_ids_is_refused(tmp_path):
    (tmp_path / "c.csv").write_text(
        "termination_a_type,termination_a_id,termination_b_type,termination_b_id\ndcim.interface,1,dcim.interface,2\n"
    )
    with pytest.raises(NetsimError, match="names cables by ids"):
        import_file(tmp_path / "c.csv")


def test_infragraph(tmp_path):
    (tmp_path / "i.yaml").write_text(INFRAGRAPH)
    record = import_file(tmp_path / "i.yaml")
    assert (record["kind"], record["hosts"], record["nics_per_host"], record["cables"]) == (
        "infragraph",
        2,
        8,
        24,
    )


def test_simai_round_trip(tmp_path):
    """What netsim exports to SimAI reads as the fabric that it was."""
    (tmp_path / "t.txt").write_text(simai(tmp_path))
    record = import_file(tmp_path / "t.txt", output=tmp_path / "out")
    was = build(load(TopologySpec, "topology", "mrft"), load(HardwareSpec, "hardware", "h800"), 32)
    assert (record["kind"], record["hosts"], record["nics_per_host"]) == ("simai-topology", 4, 8)
    assert (record["switches"], record["cables"]) == (was.switches, was.switch_links + 32)


@pytest.mark.parametrize("suffix", ["graphml", "json"])
def test_graph_round_trip(tmp_path, suffix):
    was = build(load(TopologySpec, "topology", "mrft"), load(HardwareSpec, "hardware", "h800"), 32)
    (tmp_path / f"g.{suffix}").write_text(EXPORTS[suffix](was))
    record = import_file(tmp_path / f"g.{suffix}")
    assert (record["hosts"], record["switches"], record["cables"]) == (4, was.switches, was.switch_links + 32)


def test_nccl_topology_is_a_host(tmp_path):
    (tmp_path / "topo.xml").write_text(XML)
    record = import_file(tmp_path / "topo.xml", output=tmp_path / "host")
    host = load(HardwareSpec, "hardware", str(tmp_path / "host.toml"))
    assert (host.gpus_per_host, host.nics_per_host, host.nic.line_rate) == (8, 8, 50e9)
    assert host.scale_up.rate == 18 * 25e9
    assert record["affinity"]["gpu5"] == ["mlx5_4", "mlx5_5", "mlx5_6", "mlx5_7"]


def test_xml_with_entities_is_refused(tmp_path):
    bomb = '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + XML.replace("x86_64", "&b;")
    (tmp_path / "topo.xml").write_text(bomb)
    with pytest.raises(NetsimError, match="entities"):
        import_file(tmp_path / "topo.xml")


@pytest.mark.parametrize(("name", "text"), [("topology.conf", CONF), ("topology.yaml", SLURM_YAML)])
def test_slurm_places_ranks_in_the_schedulers_order(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    record = import_file(tmp_path / name, wanted=Wanted(nodes="n[6,1-2]"), output=tmp_path / "job")
    rows = (tmp_path / "job.csv").read_text().splitlines()
    # n6 has ranks 0 to 7; of the job's hosts it is the last, since it lies under the second leaf
    assert rows[:2] == ["rank,host,gpu", "0,2,0"]
    assert rows[9] == "8,0,0"
    assert (record["hosts"], record["leaves_of_job"]) == ([6, 1, 2], 2)
    assert 'hosts = "1-2,6"' in (tmp_path / "job-jobs.toml").read_text()


def test_slurm_placement_is_one_that_a_job_takes(tmp_path):
    (tmp_path / "topology.conf").write_text(CONF)
    import_file(tmp_path / "topology.conf", wanted=Wanted(nodes="n[2,0]"), output=tmp_path / "job")
    overrides = {"model.layers": 4, "model.dense_layers": 4, "batch.microbatches": 1}
    question = Question(
        topology="mrft",
        gpus=16,
        workload="llama-3.1-8b",
        placement=str(tmp_path / "job.csv"),
        overrides=overrides,
    )
    assert simulate(question.case(), 16).execution.end_s.max() > 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [(CONF.replace("Nodes=n[4-7]", ""), "neither Nodes nor Switches"), (CONF.replace("leaf[0-1]", "leaf[0-2]"), "leaf2 is named"),
     (CONF.replace("n[4-7]", "n[7-4]"), "backwards"), ("SwitchName=a Switches=b\nSwitchName=b Switches=a\n", "circle")],
)  # fmt: skip
def test_slurm_mistakes(tmp_path, text, rule):
    (tmp_path / "topology.conf").write_text(text)
    with pytest.raises(NetsimError, match=rule):
        import_file(tmp_path / "topology.conf")


def trace(collectives=6):
    """A trace of NCCL kernels with their messages, as record_param_comms leaves them."""
    events = [{"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "python"}}]
    for n in range(collectives):
        args = {"Collective name": "allreduce", "dtype": "BFloat16", "In msg nelems": 1 << 24, "Out msg nelems": 1 << 24,
                "Group size": 16, "Process Group Name": "dp", "Process Group Ranks": "[0, 1, 2, 3, ...]", "device": 0,
                "stream": 7, "correlation": n + 1, "grid": [24, 1, 1], "block": [512, 1, 1]}  # fmt: skip
        events.append({"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1, "ts": 1000 * n,
                       "dur": 5, "args": {"correlation": n + 1}})  # fmt: skip
        events.append({"ph": "X", "cat": "kernel", "name": "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgs)",
                       "pid": 0, "tid": 7, "ts": 1000 * n + 20, "dur": 500 + n, "args": args})  # fmt: skip
    device = [{"id": 0, "name": "NVIDIA H100 80GB HBM3", "numSms": 132}]
    return json.dumps({"schemaVersion": 1, "deviceProperties": device, "distributedInfo": {"world_size": 16, "rank": 0},
                       "traceEvents": events})  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_kineto_collectives_stand_beside_netsims(tmp_path, packed):
    path = tmp_path / ("trace.json.gz" if packed else "trace.json")
    path.write_bytes(gzip.compress(trace().encode()) if packed else trace().encode())
    record = import_file(path, wanted=Wanted(topology="mrft"), output=tmp_path / "seen")
    (row,) = record["collectives"]
    assert (record["kind"], row["collective"], row["gpus"], row["size_bytes"], row["runs"]) == (
        "kineto",
        "all_reduce",
        16,
        1 << 25,
        6,
    )
    assert row["time_us"] == pytest.approx(502.5)
    assert row["netsim_us"] > 0
    assert (tmp_path / "seen.csv").read_text().count("\n") == 2


def test_results_of_htsim_and_simai_stand_beside_netsims(tmp_path, capsys):
    record = export_traffic("htsim", "all_to_all", Question(gpus=32), tmp_path / "out", size="64MiB")
    us = record["netsim_s"] * 1e6
    (tmp_path / "out" / "htsim.out").write_text(
        f"noise\nFlow Uec_0_1 flowId 1 uecSrc 0 finished at {us / 2:.4f} total messages 1\n"
        f"Flow Uec_1_2 flowId 2 uecSrc 1 finished at {us * 1.25:.4f} total messages 1\n"
    )
    assert run_app(["compare", "--against", str(tmp_path / "out" / "htsim.out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tool"], found["flows"], found["slowest_flow"]) == ("htsim", 2, "Uec_1_2")
    assert found["difference_pct"] == pytest.approx(-20, abs=0.01)
    (tmp_path / "out" / "simai.csv").write_text("Exposed DP,total time\n1.0 (1%),200.0\n")
    assert run_app(["compare", "--against", str(tmp_path / "out" / "simai.csv")]) == 0
    assert "simai 200.00 us" in capsys.readouterr().out
    (tmp_path / "alone.out").write_text("Flow a finished at 3\n")
    assert run_app(["compare", "--against", str(tmp_path / "alone.out")]) == 2
    assert "export.json" in capsys.readouterr().err


# Every kind: truncated, empty, foreign, huge

SAMPLES = {
    "nccl-tests": ("n.log", nccl_log({1 << n: 100.0 + n for n in range(20, 26)}, gpu="NVIDIA H100")),
    "megatron-log": ("m.log", megatron_log(LLAMA_8B, iterations=0)),
    "ibnetdiscover": ("ib.txt", discover()),
    "netbox": ("c.csv", netbox()), "lldp": ("l.json", lldp()), "graph": ("g.json", node_link()),
    "nccl-topology": ("t.xml", XML), "infragraph": ("i.yaml", INFRAGRAPH), "slurm-conf": ("topology.conf", CONF),
    "slurm-yaml": ("topology.yaml", SLURM_YAML), "deepspeed": ("ds.json", '{"train_batch_size": 64, "zero_optimization": {}}'),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLES)
def test_kind_is_recognised_by_content(tmp_path, kind):
    name, text = SAMPLES[kind]
    (tmp_path / name).write_text(text)
    wanted = Wanted(gpus=8, workload="llama-3.1-8b") if kind == "deepspeed" else None
    assert read(tmp_path / name, None, wanted).kind == kind


@pytest.mark.parametrize("kind", sorted({*KINDS, "kineto"}))
@pytest.mark.parametrize("how", ["truncated", "empty", "foreign", "binary", "huge"])
def test_broken_files_give_one_line(tmp_path, capsys, kind, how):
    name, text = SAMPLES.get(kind, (f"{kind}.json", '{"a": [1, 2'))
    data = {"truncated": text[: len(text) * 2 // 3].encode(), "empty": b"\n \n", "foreign": b"Dear Sir or Madam,\nno.\n",
            "binary": bytes(range(256)) * 40, "huge": b"x 1 y 2 z\n" * 5_000_000}[how]  # fmt: skip
    (tmp_path / name).write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = run_app(["import", kind, str(tmp_path / name), "--quiet"])
    err = capsys.readouterr().err
    if status == 0:  # a log that ends early is still a log: what is missing is said
        assert how == "truncated"
        assert kind in ("nccl-tests", "megatron-log", "netbox", "slurm-conf", "slurm-yaml")
        return
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith("netsim: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_list_and_unknown_kinds(tmp_path, capsys):
    assert run_app(["import", "list", "--json"]) == 0
    assert {*KINDS, "kineto"} == set(json.loads(capsys.readouterr().out))
    (tmp_path / "x.txt").write_text("hello\n")
    assert run_app(["import", "ibnetdiscovr", str(tmp_path / "x.txt")]) == 2
    assert "did you mean 'ibnetdiscover'" in capsys.readouterr().err
    assert run_app(["import", str(tmp_path / "x.txt")]) == 2
    assert "no kind of file that is known" in capsys.readouterr().err
