"""Rows of collectives: overheads by hand, protocols, latencies of table 5, and dispatch and combine."""

import numpy as np
import pytest

from fabric_cases import NIC, NVLINK, preset
from netsim.collectives.catalogue import COLLECTIVES
from netsim.collectives.drain import drain_transfers
from netsim.collectives.exchange import KINDS, Tokens, exchange
from netsim.collectives.experts import EXCHANGES, routed_exchange
from netsim.collectives.plan import Group
from netsim.collectives.sizes import parse_counts, parse_sizes
from netsim.collectives.sweep import Setup, sweep
from netsim.errors import NetsimError
from netsim.execution.executor import Program, Transfer, execute
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.routing import paths
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, catalog, load
from netsim.specs.protocol import ProtocolSpec
from netsim.topologies import build
from netsim.workloads.expert_load import contiguous, parse_load, route_tokens

MODEL = load(WorkloadSpec, "workload", "deepseek-v3").model


def real(fabric: str, gpus: int, protocol: str):  # type: ignore[no-untyped-def]
    return preset(fabric, gpus, protocol, idle=False)


def test_small_all_to_all_is_launch_path_and_peers() -> None:
    row = sweep(real("mpft", 16, "nccl"), "all_to_all", [range(16)], [64])[0]
    # 6.6 launch + 3.33 forwarding in the host + 2.8 under one leaf + 8 peers x 2.7 = 34.33 us, and 64 B x 2 / 2 on NIC
    assert row.time_us == pytest.approx(6.6 + 3.33 + 2.8 + 8 * 2.7, abs=0.01)
    assert (row.protocol, row.bottleneck) == ("low_latency", "latency")


def test_messages_change_protocol_where_the_library_says() -> None:
    # 16,384 bytes a message: 16 ranks, 256 KiB
    setup = real("mpft", 16, "nccl")
    rows = sweep(setup, "all_to_all", [range(16)], [262144, 262144 + 16])
    assert [row.protocol for row in rows] == ["low_latency", "simple"]


def test_ring_pays_its_published_steps() -> None:
    setup = real("ft2", 16, "nccl")
    row = sweep(setup, "reduce_scatter", [range(16)], [1], "ring")[0]
    # 15 steps of which one leaves the host: 6.6 + 14 x 0.6 + 2.7
    assert row.time_us == pytest.approx(6.6 + 14 * 0.6 + 2.7, abs=0.01)


def test_wire_bytes_and_utilisation_by_hand() -> None:
    setup, size, n = real("ft2", 16, "nccl"), 1 << 20, 16
    row = sweep(setup, "reduce_scatter", [range(n)], [size], "ring")[0]
    # 15 steps of 1/16, of which an eighth leaves each NIC; 7/8 leave over NVLink, which binds
    assert row.wire_GBps * row.time_us * 1e3 == pytest.approx(size * 15 / 16 / 8)
    assert row.protocol == "low_latency"  # two bytes on the link for one
    nvlink_s = 2 * size * 15 / 16 * 7 / 8 / NVLINK
    assert row.utilisation == pytest.approx(nvlink_s / row.time_us * 1e6)
    assert row.time_us == pytest.approx(6.6 + 14 * 0.6 + 2.7 + nvlink_s * 1e6)


def test_a_step_over_a_spine_costs_two_more_switches() -> None:
    # hosts under two leaves: 2 x 0.45 us more than under one
    setup = real("ft2", 128, "nccl")
    near = sweep(setup, "reduce_scatter", [range(16)], [1], "ring")[0]
    far = sweep(setup, "reduce_scatter", [[*range(8), *range(32, 40)]], [1], "ring")[0]
    assert far.time_us - near.time_us == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("fabric", "pair", "microseconds"),
    [
        ("mpft", [0, 8], 2.8),
        ("ft2", [0, 8], 2.8),
        ("ft2", [0, 32], 3.7),
        ("ft2_roce", [0, 8], 3.6),
        ("ft2_roce", [0, 32], 5.6),
        ("mpft", [0, 1], 3.33),
    ],
)
def test_point_to_point_latency_is_table_5(fabric: str, pair: list[int], microseconds: float) -> None:
    row = sweep(real(fabric, 128, "verbs"), "send_recv", [pair], [64])[0]
    assert row.time_us == pytest.approx(microseconds, abs=0.01)


@pytest.mark.parametrize("kind", COLLECTIVES)
@pytest.mark.parametrize("fabric", ["mpft", "mrft"])
def test_rows_are_sound(kind: str, fabric: str) -> None:
    sizes = parse_sizes("64B:4GiB:8")
    rows = sweep(real(fabric, 64, "nccl"), kind, [range(64)], sizes)
    times = [row.time_us for row in rows]
    assert times == sorted(times)
    for row in rows:
        assert row.algbw_GBps == pytest.approx(row.size_bytes / row.time_us / 1e3)
        assert 0 < row.utilisation <= 1 + 1e-9
        assert row.wire_GBps <= NIC / 1e9 * (1 + 1e-9)
        assert row.bottleneck in ("latency", "nic", "nvlink", "fabric", "kernel")  # kernel: the library
    assert rows[-1].bottleneck != "latency"
    # a rank sends to one peer: one connection reaches 0.884 of its NIC
    assert rows[-1].utilisation > (0.88 if kind == "send_recv" else 0.95)


@pytest.mark.parametrize("fabric", catalog.names("topology"))
def test_every_fabric_preset_runs_collectives(fabric: str) -> None:
    spec, hardware = load(TopologySpec, "topology", fabric), load(HardwareSpec, "hardware", "h800")
    topology = build(spec, hardware, 64)
    nccl, deepep = (
        Setup(topology, load(ProtocolSpec, "protocol", name), spec.routing) for name in ("nccl", "deepep")
    )
    for kind in COLLECTIVES:
        row = sweep(nccl, kind, [range(64)], [1 << 30])[0]
        assert 0 < row.wire_GBps <= NIC / 1e9 * (1 + 1e-9)
    assert exchange(deepep, "dispatch", 64, tokens()).wire_GBps <= NIC / 1e9 * (1 + 1e-9)


def test_rails_and_planes_agree_at_every_size() -> None:
    sizes = parse_sizes("64B:16GiB")
    for gpus in (16, 32, 64, 128):
        pairs = [sweep(real(f, gpus, "nccl"), "all_to_all", [range(gpus)], sizes) for f in ("mpft", "mrft")]
        for mpft, mrft in zip(*pairs, strict=True):
            assert mrft.time_us == pytest.approx(mpft.time_us, rel=0.015)


def test_same_seed_same_bits_under_hashed_routing() -> None:
    setup = preset("ft2", 128, "nccl", idle=False, routing="ecmp")
    first, again = (sweep(setup, "send_recv", [range(128)], [1 << 30], "opposite")[0] for _ in range(2))
    assert first == again
    # one flow a NIC: some two of them meet on an uplink, and the slowest decides
    sprayed = sweep(real("ft2", 128, "nccl"), "send_recv", [range(128)], [1 << 30], "opposite")[0]
    assert first.bottleneck == "fabric"
    assert first.time_us > 1.5 * sprayed.time_us


@pytest.mark.parametrize(
    "text", ["", "1GiB:1MiB", "0", "-4", "1.5", "8:16:1", "1:2:3:4", "2^3", "1MiB:", "many"]
)
def test_bad_sizes_are_one_line(text: str) -> None:
    with pytest.raises(NetsimError, match="--sizes"):
        parse_sizes(text)


@pytest.mark.parametrize("text", ["", "a", "8:", "16:8", "0", "1:2:3"])
def test_bad_counts_are_one_line(text: str) -> None:
    with pytest.raises(NetsimError, match="--ep"):
        parse_counts(text, "--ep")


def tokens(**changes: object) -> Tokens:
    return Tokens(MODEL.moe, MODEL.hidden, **{"tokens": 4096, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", EXCHANGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ranks", [8, 16, 64])
def test_exchange_contract(kind, mode: str, ranks: int) -> None:  # type: ignore[no-untyped-def]
    setup = real("mpft", 64, "deepep")
    row = exchange(setup, kind, ranks, tokens(), mode)
    assert row.groups == 64 // ranks
    assert row.p50_us == pytest.approx(row.time_us)  # balanced: all ranks alike
    assert row.wire_GBps <= NIC / 1e9 * (1 + 1e-9)
    assert row.nvlink_GBps <= NVLINK / 1e9 * (1 + 1e-9)
    inside = ranks == 8 and mode != "low_latency_rdma"
    assert row.bottleneck == ("nvlink" if inside or (mode, ranks) == ("normal", 16) else "nic")
    assert row.utilisation > 0.9


def test_dispatch_of_64_ranks_by_hand() -> None:
    row = exchange(real("mpft", 64, "deepep"), "dispatch", 64, tokens())
    # 3.983 hosts of which 7/8 remote, 7,408 bytes of 4,096 tokens at 44.8 GB/s; counted at 3.983 x 7,392 bytes
    remote = row.hosts_per_token * 7 / 8
    assert row.time_us == pytest.approx(4096 * remote * 7408 / NIC * 1e6, rel=0.005)
    assert row.logical_GBps == pytest.approx(44.8 * 8 / 7 * 7392 / 7408, rel=0.005)


@pytest.mark.parametrize("fabric", ["mpft", "mrft", "ft3"])
def test_loopback_of_one_host_by_hand(fabric: str) -> None:
    row = exchange(real(fabric, 8, "deepep"), "dispatch", 8, tokens(tokens=128), "low_latency_rdma")
    # 7 of 8 copies of 128 x 7,408 bytes leave over the NIC, which carries nothing else; none goes over NVLink alone
    moved = 128 * 7408 * 7
    assert row.wire_GBps * row.time_us * 1e3 == pytest.approx(moved)
    assert row.nvlink_GBps == 0.0
    # launch, one leaf; at most a spine or forwarding to another plane more
    assert 21.5 <= row.time_us - moved / NIC * 1e6 <= 21.5 + 0.9 + 3.34


@pytest.mark.parametrize("ranks", [16, 64])
def test_all_remote_leaves_nothing_on_the_host(ranks: int) -> None:
    row = exchange(real("mpft", 64, "deepep"), "dispatch", ranks, tokens(tokens=128), "all_remote")
    assert row.wire_GBps * row.time_us * 1e3 == pytest.approx(8 * 128 * 7408)


@pytest.mark.parametrize("ranks", [16, 64])
def test_low_latency_counts_bytes_by_hand(ranks: int) -> None:
    setup, width = real("mpft", 64, "deepep"), 8
    few = tokens(tokens=128)
    unit = 128 * 7408
    # 8 copies a token, spread evenly over the ranks; own-host copies over NVLink, or once more over the NIC
    rows = {
        mode: exchange(setup, "dispatch", ranks, few, mode) for mode in ("low_latency", "low_latency_rdma")
    }
    sent = {mode: row.wire_GBps * row.time_us * 1e3 for mode, row in rows.items()}
    assert sent["low_latency"] == pytest.approx(8 * (ranks - width) / ranks * unit)
    assert sent["low_latency_rdma"] == pytest.approx(8 * (ranks - 1) / ranks * unit)
    fixed = 18.7 + 2.8 + 3.33  # launch, one leaf, forwarding to the expert's plane
    assert rows["low_latency"].time_us == pytest.approx(sent["low_latency"] / NIC * 1e6 + fixed, abs=0.1)


def test_kernel_on_20_sms_beside_compute_binds() -> None:
    rate = 24.4e9
    row = exchange(
        real("mpft", 64, "deepep"),
        "dispatch",
        64,
        tokens(gate="model", kernel_bytes_per_s={"dispatch": rate}),
    )
    assert row.bottleneck == "kernel"
    assert row.wire_GBps == pytest.approx(24.4, rel=0.005)


def test_skew_makes_the_hot_rank_decide_and_replicas_help() -> None:
    setup = real("mpft", 32, "deepep")

    def of(load: str | None, redundant: int | None = None):  # type: ignore[no-untyped-def]
        return exchange(
            setup, "dispatch", 32, tokens(tokens=512, gate="model", load=load, redundant=redundant)
        )

    balanced, uniform, zipf, replicated = of(None), of("uniform"), of("zipf:1"), of("zipf:1", 32)
    assert balanced.time_us < uniform.time_us < replicated.time_us < zipf.time_us
    assert zipf.p50_us < zipf.p99_us <= zipf.time_us
    assert zipf.hottest_over_mean > 2 * replicated.hottest_over_mean
    packed = of("zipf:1", 0)  # every expert once, heaviest first
    assert packed.hottest_over_mean < zipf.hottest_over_mean
    # sampled and balanced means agree
    assert uniform.hosts_per_token == pytest.approx(balanced.hosts_per_token, rel=0.01)
    assert uniform.devices_per_token == pytest.approx(balanced.devices_per_token, rel=0.01)


def test_combine_runs_backwards() -> None:
    setup = real("mpft", 32, "deepep")
    case = tokens(tokens=256, load="zipf:1")
    there, back = (exchange(setup, kind, 32, case) for kind in KINDS)
    # the same tokens in BF16 take 14,352/7,408 times as long wherever bytes decide
    assert back.time_us / there.time_us == pytest.approx(14352 / 7408, rel=0.02)


@pytest.mark.parametrize("mode", ["normal", "low_latency"])
def test_counted_flows_and_their_way_back(mode: str) -> None:
    group = Group.of(np.arange(16), 8)
    load_of = parse_load("zipf:1", 256, np.random.default_rng(1))
    routed = route_tokens(
        MODEL.moe, contiguous(256, 16), 16, 8, 200, load_of, "model", np.random.default_rng(2)
    )
    there = routed_exchange(group, routed, mode, reverse=False).transfers
    back = routed_exchange(group, routed, mode, reverse=True).transfers
    arriving = np.bincount(there.target, there.share, minlength=16)
    np.testing.assert_allclose(np.bincount(back.source, back.share, minlength=16), arriving)
    remote = there.source // 8 != there.target // 8
    wire = there.share[remote].sum() * routed.tokens
    if mode == "normal":
        host = np.arange(16) // 8
        assert wire == pytest.approx(routed.to_host[np.arange(16), 1 - host].sum())
        assert (there.source % 8 == there.target % 8)[remote].all()
        # a kernel's rate is shared out whole, both ways
        for flows in (there, back):
            away = flows.source // 8 != flows.target // 8
            np.testing.assert_allclose(np.bincount(flows.source[away], flows.kernel_share[away]), 1.0)
    else:
        assert wire == pytest.approx(routed.to_device[:8, 8:].sum() + routed.to_device[8:, :8].sum())


def test_experts_must_divide() -> None:
    with pytest.raises(NetsimError, match="must divide 256 experts"):
        exchange(real("mpft", 48, "deepep"), "dispatch", 48, tokens())
    with pytest.raises(NetsimError, match="must be a multiple"):
        exchange(real("mpft", 16, "deepep"), "dispatch", 16, tokens(tokens=16, load="zipf:1", redundant=3))


def test_sizes_are_what_was_asked() -> None:
    assert parse_sizes("64B:16GiB") == [64 * 2**k for k in range(29)]
    assert np.all(np.diff(parse_counts("8:256", "--ep")) > 0)


@pytest.mark.parametrize("kind", COLLECTIVES)
@pytest.mark.parametrize("fabric", ["mpft", "ft2_roce"])
def test_the_fast_path_of_a_lone_collective_is_what_the_executor_says(fabric: str, kind: str) -> None:
    # `drain` solves the flows once; the executor starts them as one transfer of 1 GB on a network that is not folded
    setup = preset(fabric, 32, "nccl")
    algorithm = next(iter(COLLECTIVES[kind].algorithms.values()))
    flows = algorithm(Group.of(range(32), 8)).transfers
    routed = paths(setup.topology, setup.routing, flows.source, flows.target, 0, np.arange(len(flows)))
    table = FlowTable(
        routed.ptr, routed.link_ids, routed.share, np.array([0, len(flows)]), flows.share, flows.kernel_share,
        np.array(1.0),
    )  # fmt: skip
    one = np.zeros(1, np.int64)
    program = Program(
        one, one, np.array([np.nan]), one, np.zeros(2, np.int64), np.zeros(0, np.int64),
        [Transfer(0, 1e9, np.inf, 0.0)], [],
    )  # fmt: skip
    end_s = float(execute(program, FluidNetwork(routed.capacity, table)).end_s[0])
    drained = drain_transfers(setup.topology, flows, setup.routing)
    assert end_s == pytest.approx(1e9 * drained.seconds, rel=1e-9)
