"""The claims of the DeepSeek-V3 hardware story beside what netsim computes, and where each stops being true.

    holds          netsim computes what is claimed
    holds partly   so for a part of what is claimed; the answer says which
    does not hold  netsim computes otherwise

The condition of a claim is computed, not quoted: a rate, a size or a share is varied until the claim fails. Each
rests on what the simulator leaves out (README), training quality first of all.

Source: Insights into DeepSeek-V3, arXiv 2505.09343, sections 1, 2 and 5; DeepSeek-V3, arXiv 2412.19437, section 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import netsim
from netsim.analysis.codesign.ablation import ablate
from netsim.analysis.codesign.choices import CHOICES, AblationRequest
from netsim.analysis.codesign.memory_wall import Wall, memory_wall, words
from netsim.cost.bill import network_cost
from netsim.inference import Deployment, decode, decode_memory, make_deployment
from netsim.inference.inference_record import speedup
from netsim.inference.service import without_drafts
from netsim.inference.speculative import tokens_per_step
from netsim.specs import WorkloadSpec, load
from netsim.specs.case import Case, make_case
from netsim.topologies import build, max_gpus
from netsim.training.result import step_time_s
from netsim.training.simulate import simulate
from netsim.workloads.attention import kv_cache_bytes, with_attention
from netsim.workloads.model import flops_per_token, total_parameters

SCHEMA = 1
GPUS = 2048
#: pre-training tokens and GPU-hours, arXiv 2412.19437, table 1
_TOKENS, _HOURS = 14.8e12, 2.664e6
#: "in less than two months", arXiv 2412.19437, section 1
_DAYS = 60.0
#: NIC rates, Gb/s, over which the step is simulated; a step this much longer counts as no longer hidden
_RATES, _LONGER = (400, 300, 200, 150, 100, 50), 0.05
HOLDS, PARTLY, NOT = "holds", "holds partly", "does not hold"
Row = dict[str, Any]


def claims(jobs: int = 1, progress: Callable[[int, int], None] | None = None) -> Row:
    """The record: a row a claim, the ablation it rests on, the sweep of the NIC rate, and the memory wall."""
    more = len(_RATES) - 1
    record = ablate(
        AblationRequest(choices=tuple(CHOICES), gpus=GPUS), jobs,
        None if progress is None else (lambda done, everything: progress(done, everything + more)),
    )  # fmt: skip
    rows = {row["choice"]: row for row in record["tables"]["ablation"]}
    nic = nic_sweep(rows["base"]["step_time_s"])
    case, deployment = make_case(), make_deployment()
    wall = memory_wall(deployment)
    found = [
        enough_gpus(rows, nic),
        two_layers(case, rows),
        fp8_memory(rows, deployment),
        mla_cache(rows, deployment),
        moe_flops(case, rows),
        mtp_speed(rows, deployment),
    ]
    return {
        "schema": SCHEMA,
        "tables": {"claims": found, "nic": nic, "memory_wall": wall.rows, "crossings": wall.crossings},
        "capacity_gb": wall.capacity_gb,
        "wall": words(wall),
        "ablation": record,
        "provenance": {"version": netsim.__version__, "command": "netsim claims"},
    }


def wall_of(record: Row) -> Wall:
    """The memory wall of a record."""
    tables = record["tables"]
    return Wall(tables["memory_wall"], tables["crossings"], record["capacity_gb"])


def _claim(name: str, claim: str, computed: str, verdict: str, until: str, limit: float | None) -> Row:
    return {
        "id": name,
        "claim": claim,
        "computed": computed,
        "verdict": verdict,
        "until": until,
        "limit": limit,
    }


def nic_sweep(fastest_s: float) -> list[Row]:
    """The step over NIC rates; the first is the published one."""
    found = [{"nic_gbps": _RATES[0], "step_time_s": fastest_s}]
    for rate in _RATES[1:]:
        step = simulate(make_case(overrides={"nic.line_rate": f"{rate} Gb/s"}), GPUS)
        found.append({"nic_gbps": rate, "step_time_s": step_time_s(step)})
    return found


def crossing(x: list[float], y: list[float], level: float) -> float | None:
    """Where y over falling x first reaches a level, straight between points; None where it never does.

    >>> crossing([4.0, 2.0, 1.0], [10.0, 12.0, 20.0], 16.0)
    1.5
    """
    for n in range(1, len(x)):
        if y[n] >= level:
            return x[n - 1] + (x[n] - x[n - 1]) * (level - y[n - 1]) / (y[n] - y[n - 1])
    return None


def enough_gpus(rows: dict[str, Row], nic: list[Row]) -> Row:
    """Time and memory of the whole training on 2,048 GPUs; the NIC rate that no longer hides."""
    base = rows["base"]
    days = _TOKENS / base["tokens_per_step"] * base["step_time_s"] / 86400.0
    hours = days * 24 * GPUS
    rate = crossing(
        [r["nic_gbps"] for r in nic], [r["step_time_s"] for r in nic], (1 + _LONGER) * base["step_time_s"]
    )
    fewest = GPUS * days / _DAYS
    slow = f"{rate:.0f} Gb/s" if rate else f"less than {nic[-1]['nic_gbps']} Gb/s"
    return _claim(
        "gpus",
        f"2,048 H800 suffice to train DeepSeek-V3: 14.8 T tokens in {_HOURS / 1e6:.3f} M GPU-hours, under two months",
        f"{days:.1f} days, {hours / 1e6:.2f} M GPU-hours ({hours / _HOURS - 1:+.0%} of the published, as the "
        f"simulated step is short by as much), {base['memory_gb']:.1f} of {base['capacity_gb']:.0f} GB on the "
        "fullest rank",
        HOLDS if base["fits"] and days <= _DAYS else NOT,
        f"NICs slower than about {slow} make the step more than {_LONGER:.0%} longer; at the simulated rate fewer than "
        f"{fewest:,.0f} GPUs need more than {_DAYS:.0f} days",
        rate,
    )  # fmt: skip


def two_layers(case: Case, rows: dict[str, Row]) -> Row:
    """Price and speed against three layers, and the sizes between which that holds."""
    tree = make_case("ft3")
    base, three = rows["base"], rows["mpft"]
    largest = max_gpus(case.topology, case.hardware)
    same = []
    for gpus in (8 * 2**n for n in range(1, 20)):
        if gpus > largest:
            break
        usd = [
            network_cost(build(c.topology, c.hardware, gpus), case.prices)["network_usd"]
            for c in (case, tree)
        ]
        if usd[0] >= usd[1]:
            same.append(gpus)
    equal = abs(three["step_time_s"] / base["step_time_s"] - 1) < 1e-3
    small = ", ".join(f"{gpus:,}" for gpus in same)
    but = (
        f"; of powers of two it is no cheaper at {small} GPUs, where one plane does with as few switches"
        if same
        else ""
    )
    return _claim(
        "network",
        "A two-layer multi-plane fat-tree is cheaper than three layers and as fast",
        f"{base['network_usd'] / 1e6:.2f} against {three['network_usd'] / 1e6:.2f} M$ and {base['switches']} against "
        f"{three['switches']} switches at 2,048 GPUs; step {base['step_time_s']:.3f} and {three['step_time_s']:.3f} s",
        HOLDS if equal and base["network_usd"] < three["network_usd"] else NOT,
        f"two layers of {case.topology.switch.radix}-port switches end at {case.topology.planes} planes of "
        f"{largest // case.topology.planes:,} endpoints, {largest:,} GPUs{but}",
        float(largest),
    )  # fmt: skip


def fp8_memory(rows: dict[str, Row], d: Deployment) -> Row:
    """What of training and decoding halves."""
    base, bf16 = rows["base"], rows["fp8"]
    saved = 1 - base["memory_gb"] / bf16["memory_gb"]
    weights = base["decode_weights_gb"] / bf16["decode_weights_gb"]
    tokens = base["decode_weights_gb"] * 1e9 / decode_memory(d).cache_bytes_per_token
    context, reserve = d.spec.decode.context, d.spec.memory.reserve / 1e9
    needs = bf16["decode_weights_gb"] + base["decode_weights_gb"] + reserve
    left = (bf16["decode_weights_gb"] - base["decode_weights_gb"]) / needs
    return _claim(
        "fp8",
        "FP8 halves memory",
        f"weights of layers: exactly half. All weights of a decode GPU: {weights:.0%} of BF16 (embedding and head "
        f"stay). Training, fullest rank: {base['memory_gb']:.1f} against {bf16['memory_gb']:.1f} GB, "
        f"{saved:.0%} less: kept "
        "activations and weights shrink, gradients and optimizer do not. KV cache: as before",
        PARTLY,
        f"in decoding the cache outweighs the weights from {tokens:,.0f} cached tokens a GPU "
        f"({tokens / context:.0f} requests of {context:,}); beyond, FP8 weights save less than {left:.0%} of "
        "what BF16 needs",
        tokens,
    )  # fmt: skip


def mla_cache(rows: dict[str, Row], d: Deployment) -> Row:
    """Cache a token, and contexts that fit."""
    model, batch = d.workload.model, d.spec.decode.batch
    others = {
        n: kv_cache_bytes(load(WorkloadSpec, "workload", n).model) for n in ("qwen2.5-72b", "llama-3.1-405b")
    }
    mine, gqa = (kv_cache_bytes(with_attention(model, kind)) for kind in ("mla", "gqa"))
    head = with_attention(model, "gqa").attention
    groups = mine / gqa * (8 if head.kind != "mla" else 1)
    fits, fits_gqa = (_context_that_fits(with_kind(d, kind)) for kind in ("mla", "gqa"))
    return _claim(
        "mla",
        "MLA cuts the KV cache: 70 KB a token where Qwen-2.5 72B has 328 and LLaMA-3.1 405B 516",
        f"{mine / 1e3:.1f}, {others['qwen2.5-72b'] / 1e3:.1f} and {others['llama-3.1-405b'] / 1e3:.1f} KB; DeepSeek-V3 "
        f"itself with 8 groups {gqa / 1e3:.1f} KB. Decoding: "
        f"{rows['base']['decode_tokens_per_s_per_gpu']:,.0f} against "
        f"{rows['mla']['decode_tokens_per_s_per_gpu']:,.0f} tokens/s a GPU. It makes the "
        f"training step {rows['base']['step_time_s'] / rows['mla']['step_time_s'] - 1:.1%} longer",
        HOLDS if mine < min(gqa, *others.values()) else NOT,
        f"fewer than {groups:.2f} groups of keys and values cache less than MLA (MQA does); with {batch} "
        "requests a GPU, "
        f"contexts fit up to {fits:,.0f} tokens with MLA and {fits_gqa:,.0f} with 8 groups: below that, "
        "capacity does not ask for it",
        fits_gqa,
    )  # fmt: skip


def with_kind(d: Deployment, kind: str) -> Deployment:
    """The deployment with another kind of attention."""
    model = with_attention(d.workload.model, kind)
    return replace(d, workload=d.workload.model_copy(update={"model": model}))


def _context_that_fits(d: Deployment) -> float:
    memory = decode_memory(d)
    room = memory.capacity - memory.reserve - memory.weights
    return room / d.spec.decode.batch / memory.cache_bytes_per_token


def moe_flops(case: Case, rows: dict[str, Row]) -> Row:
    """Operations a token, and experts a token at which nothing is saved."""
    model, length = case.workload.model, case.workload.batch.sequence_length
    llama = load(WorkloadSpec, "workload", "llama-3.1-405b").model
    mine, theirs = (flops_per_token(m, length) for m in (model, llama))
    moe = model.experts

    def with_top(k: int) -> float:
        free = moe.model_copy(update={"top_k": k, "group_limit": moe.groups})
        return flops_per_token(model.model_copy(update={"moe": free}), length)

    most = max(k for k in range(1, moe.experts + 1) if with_top(k) < theirs)
    return _claim(
        "moe",
        "MoE cuts FLOPs: 250 GFLOP a token for 671 B parameters where a dense 405 B needs 2,448",
        f"{mine / 1e9:.0f} GFLOP against {theirs / 1e9:,.0f} of LLaMA-3.1 405B; a dense model as large needs "
        f"{rows['moe']['step_time_s'] / rows['base']['step_time_s']:.1f} times the step. Memory is not cut: all "
        f"{total_parameters(model) / 1e9:.0f} B are held",
        HOLDS if mine < theirs else NOT,
        f"up to {most} of {moe.experts} experts a token ({moe.top_k} now) it needs less than LLaMA-3.1 405B",
        float(most),
    )  # fmt: skip


def mtp_speed(rows: dict[str, Row], d: Deployment) -> Row:
    """Speed-up by drafting, and the acceptance at which it is none."""
    step = decode(d, d.spec.decode.expert)
    plain = decode(without_drafts(d), d.spec.decode.expert)
    gain = speedup(d, step)
    even = step.seconds / plain.seconds - 1.0
    p = d.spec.speculative.acceptance
    assert abs(gain["speedup_equal_requests"] - tokens_per_step(p, 1) * plain.seconds / step.seconds) < 1e-9
    return _claim(
        "mtp",
        "MTP speeds up decoding 1.8 times at 80 to 90 % acceptance",
        f"at {p:.0%} {gain['speedup_equal_tokens']:.2f} times at equal tokens a step, "
        f"{gain['speedup_equal_requests']:.2f} at equal requests ({d.spec.decode.batch} a GPU, which verify twice the "
        "tokens). The module makes the training step "
        f"{rows['base']['step_time_s'] / rows['mtp']['step_time_s'] - 1:.1%} longer",
        PARTLY if gain["speedup_equal_requests"] < 1.7 else HOLDS,
        f"at equal requests and {d.spec.decode.batch} a GPU it no longer pays below {even:.0%} acceptance",
        even,
    )  # fmt: skip
