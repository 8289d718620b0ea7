"""Decode and prefill of a deployment: the paper's bound, closed forms of bytes and times, and what must be monotone."""

from typing import Any

import pytest

from netsim.errors import NetsimError
from netsim.inference import EVERYTHING, IDEAL, Assumptions, Iteration, decode, make_deployment, prefill
from netsim.inference import inference_record as report
from netsim.inference.service import at_batch, balanced_prefill_gpus, simulate_requests, without_drafts
from netsim.inference.timeline import COMMUNICATION, COMPUTE
from netsim.specs import WorkloadSpec, load
from netsim.workloads.prefill import PrefillLoad, prefill_layer

NIC = 44.8e9
NETWORK = Assumptions(compute=False)


def step(gpus: int = 64, assume: Assumptions = EVERYTHING, topology: str = "mpft", **keys: Any) -> Iteration:
    return decode(deployed(topology, assume, **keys), gpus)


def deployed(topology: str = "mpft", assume: Assumptions = EVERYTHING, **keys: Any):  # type: ignore[no-untyped-def]
    given = {"decode.expert": 64, "decode.batch": 64} | {k.replace("__", "."): v for k, v in keys.items()}
    return make_deployment(topology, overrides=given, assume=assume)


def test_without_compute_and_overheads_a_step_is_the_bound() -> None:
    found = step(assume=IDEAL, decode__kernel="all_remote", speculative__draft_tokens=0)
    # 58 layers of experts, two micro-batches of 32 tokens, 8 copies of 1 and 2 bytes a value at 50 GB/s
    assert found.seconds == pytest.approx(58 * 2 * 32 * 8 * 3 * 7168 / 50e9, rel=1e-12)
    assert found.timeline.hidden_fraction == 0.0
    assert found.bottleneck == "nic"


@pytest.mark.parametrize(("ranks", "nic_copies"), [(16, 8 * 8 / 16), (64, 8 * 56 / 64)])
def test_without_compute_a_step_is_its_exchanges(ranks: int, nic_copies: float) -> None:
    found = step(assume=NETWORK, decode__expert=ranks, speculative__draft_tokens=0)
    # a copy is 7,168 FP8 values, 56 scales of 4 bytes and 16 of metadata; back 7,168 BF16 values and 16 bytes
    moved = [32 * nic_copies * size for size in (7168 + 224 + 16, 2 * 7168 + 16)]
    for exchange, size in zip(found.exchanges, moved, strict=True):
        assert exchange.wire_per_byte * exchange.token_bytes * 32 == pytest.approx(size)
        assert exchange.moving_s(32) == pytest.approx(size / NIC)
        assert exchange.fixed_s == pytest.approx(18.7e-6 + 2.8e-6 + 3.33e-6)  # launch, one leaf, forwarding
    assert found.seconds == pytest.approx(58 * 2 * sum(x.seconds(32) for x in found.exchanges))


def test_on_one_gpu_a_step_is_its_operators() -> None:
    found = step(8, decode__expert=1, decode__overlap="none", model__layers=5)
    assert found.timeline.busy_s(COMMUNICATION) == 0.0
    assert found.seconds == pytest.approx(sum(tally.seconds for tally in found.tallies.values()))


def test_tallies_add_up_to_the_compute_queue() -> None:
    for found in (step(), step(speculative__draft_tokens=3), prefill(deployed(), 32)):
        total = sum(tally.seconds for tally in found.tallies.values())
        assert total == pytest.approx(found.timeline.busy_s(COMPUTE))
        for tally in found.tallies.values():
            assert sum(tally.by_bound.values()) == pytest.approx(tally.seconds)
            assert sum(tally.by_origin.values()) == pytest.approx(tally.seconds)


def test_overlap_hides_transfers_and_never_costs_more_than_two_halves_in_turn() -> None:
    apart, together = (step(decode__overlap=o, decode__batch=128) for o in ("none", "five_stage"))
    assert apart.timeline.hidden_fraction == 0.0
    assert together.timeline.hidden_fraction > 0.7
    assert together.seconds < apart.seconds


def test_more_work_takes_longer() -> None:
    times = [step(decode__batch=b).seconds for b in (2, 8, 32, 128)]
    assert times == sorted(times)
    times = [step(decode__context=c).seconds for c in (1, 1000, 10_000)]
    assert times == sorted(times)
    rates = [step(decode__batch=b).tokens_per_s_per_gpu for b in (2, 8, 32, 128)]
    assert rates == sorted(rates)  # a larger batch reads weights for more tokens
    accepted = [step(speculative__acceptance=a).tokens_per_s_per_gpu for a in (0.0, 0.5, 1.0)]
    assert accepted == pytest.approx([accepted[0] * f for f in (1.0, 1.5, 2.0)])


def test_a_faster_nic_shortens_what_is_exposed_and_only_that() -> None:
    slow, fast = (step(assume=NETWORK, nic__line_rate=r) for r in ("200 Gb/s", "400 Gb/s"))
    moving = [sum(x.moving_s(n) for x in i.exchanges for n in i.microbatch_tokens) for i in (slow, fast)]
    assert moving[0] == pytest.approx(2 * moving[1])
    assert slow.timeline.busy_s(COMPUTE) == fast.timeline.busy_s(COMPUTE)


def test_fabrics_are_alike_but_a_thin_one() -> None:
    times = {t: step(topology=t, assume=NETWORK).seconds for t in ("mpft", "mrft", "ft3")}
    assert times["mrft"] == pytest.approx(times["mpft"], rel=0.05)
    assert times["ft3"] == pytest.approx(times["mpft"], rel=0.05)
    wide = {"gpus": 256, "topology": "mrft", "assume": NETWORK, "decode__expert": 256}
    full, thin = (step(**wide, oversubscription=[o]) for o in (1.0, 3.0))
    assert thin.seconds > 1.5 * full.seconds
    assert [i.exchanges.dispatch.bottleneck for i in (full, thin)] == ["nic", "fabric"]


def test_fp8_combine_moves_half_and_shared_experts_as_routed_one_copy_more() -> None:
    plain, narrow = (step(assume=NETWORK, communication__combine=c) for c in ("bf16", "fp8"))
    assert narrow.exchanges.combine.token_bytes == 7168 + 224 + 16
    assert plain.exchanges.combine.token_bytes == 2 * 7168 + 16
    routed = step(assume=NETWORK, decode__shared_as_expert=True)
    ratio = routed.exchanges.dispatch.seconds_per_byte / plain.exchanges.dispatch.seconds_per_byte
    assert ratio == pytest.approx(9 / 8)
    assert "shared experts" not in step(decode__shared_as_expert=True).tallies


def test_attention_over_several_gpus_gathers_over_nvlink() -> None:
    one, four = step(decode__tensor=1), step(decode__tensor=4)
    gathers = four.tallies["attention gather"]
    assert gathers.by_bound.keys() == {"nvlink"}
    # all-gather and reduce-scatter of 4 x 64 tokens of BF16 at 160 GB/s in NCCL's ring: launch and three steps, the own
    # quarter copied, the fill of the pipeline; 61 layers and two dense FFN ends
    size = 2 * 7168 * 4 * 64
    moving = size * 3 / 4 / 160e9 + size / 4 / 1339e9 + 77e-6 * size / (size + 43.5e6)
    each = 8.4e-6 + 3 * 3.4e-6 + moving
    assert gathers.seconds == pytest.approx(2 * (61 * 2 + 3 * 2) * each, rel=0.01)
    assert four.memory.cache == pytest.approx(4 * one.memory.cache)


def test_speculation_gains_what_it_yields_less_what_it_costs() -> None:
    d = deployed()
    found = report.speedup(d, decode(d, 64))
    assert 1.0 < found["speedup_equal_requests"] < found["speedup_equal_tokens"] < 1.85
    free = deployed(assume=NETWORK)  # of transfers: the module's layer is the 59th with experts
    gain = report.speedup(free, decode(free, 64))["speedup_equal_tokens"]
    assert gain == pytest.approx(1.85 * 58 / 59)


@pytest.mark.parametrize("drafts", [1, 2, 4])
def test_drafts_after_the_first_pass_the_module_with_one_token_a_request(drafts: int) -> None:
    # of the tokens of all requests: 58 layers of all, the module of all once, then of one each for every further draft
    plain, found = (step(assume=IDEAL, speculative__draft_tokens=d) for d in (0, drafts))
    passes = 58 * (drafts + 1) + (drafts + 1) + (drafts - 1)
    moved = [i.timeline.busy_s(COMMUNICATION) for i in (plain, found)]
    assert moved[1] / moved[0] == pytest.approx(passes / 58)


def test_prefill_of_cached_prompts_yields_more_input_tokens() -> None:
    plain, cached = (prefill(deployed(prefill__cached_share=c), 32) for c in (0.0, 0.5))
    assert cached.tokens == 2 * plain.tokens
    assert plain.seconds < cached.seconds < 2 * plain.seconds
    moved = [i.timeline.busy_s(COMMUNICATION) for i in (plain, cached)]
    assert moved[1] == pytest.approx(moved[0])


def test_prefill_exchange_moves_the_bytes_of_the_normal_kernel() -> None:
    found = prefill(deployed(), 64)
    dispatch, _ = found.exchanges
    # 4 of 8 expert groups, two a host: 4 (1 - C(6,4) / C(8,4)) hosts if all four are used, of which 3/4 are others
    assert dispatch.token_bytes == 7472.0
    assert dispatch.wire_per_byte == pytest.approx(4 * (1 - 15 / 70) * 3 / 4, rel=0.02)
    # at the rate of the kernel on 20 SMs, 24.4 GB/s, behind its 147.5 us of preparation
    assert dispatch.moving_s(8192) == pytest.approx(8192 * 7472 * dispatch.wire_per_byte / 24.4e9, rel=0.01)
    assert dispatch.fixed_s == pytest.approx(147.5e-6 + 2.8e-6, rel=0.01)


def test_dense_models_and_attention_by_heads_are_served() -> None:
    attention = {"kind": "gqa", "heads": 64, "kv_heads": 8, "head_dim": 128}
    keys = {"model.attention": attention, "decode.expert": 64, "decode.batch": 8}
    gqa = decode(make_deployment(overrides=keys), 64)
    assert gqa.memory.cache_bytes_per_token == 62 * 2 * 8 * 128 * 2
    dense = {
        "model.attention": attention, "model.moe": None, "model.layers": 20, "model.dense_layers": 20,
        "model.mtp_depth": 0, "decode.expert": 1, "decode.batch": 8, "decode.tensor": 4,
        "speculative.draft_tokens": 0, "prefill.expert": 1, "prefill.redundant": 0, "prefill.tensor": 4,
    }  # fmt: skip
    model = make_deployment(overrides=dense)
    for found in (decode(model, 8), prefill(model, 8)):
        assert found.timeline.busy_s(COMMUNICATION) == 0.0
        assert "routed experts" not in found.tallies
        assert found.memory.experts == 0.0


def test_requests_meet_the_simulated_speed_at_low_load() -> None:
    d = deployed(requests__count=300)
    decode_, prefill_ = decode(d, 64), prefill(d, 32)
    assert balanced_prefill_gpus(d, prefill_, decode_) % 32 == 0
    found = simulate_requests(d, prefill_, decode_, 32, 1e-3)
    alone = decode(at_batch(d, 1), 64).seconds / 1.85
    transfer = 62 * 576 * 2 / NIC
    asked = found.served.requests
    assert found.served.ttft_s == pytest.approx(asked.prompt / prefill_.tokens_per_s_per_gpu)
    more = asked.output > 1
    expected = alone + transfer * asked.prompt[more] / (asked.output[more] - 1)
    assert found.served.tpot_s == pytest.approx(expected)
    assert simulate_requests(d, prefill_, decode_, 32, 1e9).decode_load > 1.0


def test_mistakes_are_named() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"decode.batch": 1}, "two micro-batches need 2 requests"),
        ({"decode.expert": 48}, "nearest: redundant = 32"),
        ({"decode.expert": 12, "decode.redundant": 8}, "must be at least 2 and divide"),
        ({"decode.tensor": 3}, "must divide the heads of 128"),
        ({"model.mtp_depth": 0}, "has no MTP module"),
        ({"decode.tensor": 16}, "must divide the 8 GPUs of a host"),
    ]
    for keys, words in cases:
        with pytest.raises(NetsimError, match=words):
            decode(make_deployment(overrides={"decode.expert": 64} | keys), 64)
    with pytest.raises(NetsimError, match="must divide 256 experts for the normal kernel"):
        prefill(make_deployment(overrides={"prefill.expert": 144, "decode.expert": 64}), 144)
    assert without_drafts(deployed()).spec.speculative.draft_tokens == 0


def test_keys_and_values_of_cached_tokens_are_projected_up_again() -> None:
    # 2,048 tokens of prompts of which three quarters are cached: latents of 8,192, 512 wide, to 128 heads of 128 + 128
    model = load(WorkloadSpec, "workload", "deepseek-v3").model
    stages = prefill_layer(model, "dense", PrefillLoad(2048, 4096, 0.75, 0, 0))
    operators = {op.name: op for stage in stages.values() for op in stage}
    assert operators["kv_b_proj_fwd"].flops == 2 * 8192 * 512 * 128 * (128 + 128)
    # a query meets 3,072 cached tokens and on average half of the 1,024 computed ones, 192 and 128 wide
    core = next(op for op in operators.values() if op.kind == "attention_fwd")
    assert core.flops == pytest.approx(2 * 2048 * (3072 + 512) * 128 * (192 + 128))


def test_products_in_bf16_take_longer() -> None:
    assert step(compute__products="bf16").seconds > step(compute__products="fp8").seconds
