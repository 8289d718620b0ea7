"""Experiments on serving: the paper's bound, the step that it bounds, what drafting gains, and production throughput.

The bound and the simulated step are one code path under other assumptions (`netsim.inference.Assumptions`): 32 tokens a
micro-batch on EP320 with one expert a GPU, the shared one among them. The bound rounds the hidden size to 7,000 and
gives every layer experts, as the paper does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from netsim import units
from netsim.inference import (
    EVERYTHING,
    IDEAL,
    Assumptions,
    Deployment,
    Iteration,
    decode,
    decode_memory,
    make_deployment,
    prefill,
)
from netsim.inference.service import at_batch, without_drafts

Where = Mapping[str, Any]

#: arXiv 2412.19437, section 3.4.2: 320 GPUs, one expert each, 64 of them redundant or shared
_ONE_EXPERT = {"decode.expert": 320, "decode.redundant": 64, "decode.shared_as_expert": True}
#: DeepSeek-V3/R1 Inference System Overview: decode units of 144 GPUs with 32 redundant experts
_ONLINE = {"decode.expert": 144, "decode.redundant": 32}
_CACHED_SHARE = 0.563
#: a GPU's requests behind 14.8 k tokens/s a host of 8 at 21 (20 to 22) tokens/s a request
_ONLINE_BATCH = round(14_800 / 8 / 21)


def inference_bound(where: Sequence[Where]) -> list[float | None]:
    """Decoding from dispatch and combine alone, and the simulated step beside it: us, ms a token, tokens a second."""
    return [_bound(w) for w in where]


def _bound(w: Where) -> float:
    step = _step(w["rate"], w["tokens"], w.get("hidden"), w["assume"])
    match w["quantity"]:
        case "exchange_us":
            return sum(x.seconds(w["tokens"]) for x in step.exchanges) * 1e6
        case "token_ms":
            return step.seconds * 1e3
        case _:
            return 1.0 / step.seconds


@lru_cache(maxsize=8)
def _step(rate: str, tokens: int, hidden: int | None, assumed: str) -> Iteration:
    """assumed : `bound`, `network` (compute free) or `all`."""
    assume = {"bound": IDEAL, "network": Assumptions(compute=False), "all": EVERYTHING}[assumed]
    own: dict[str, Any] = _ONE_EXPERT | {"decode.batch": 2 * tokens, "speculative.draft_tokens": 0}
    gpus, hardware, fabric = 320, None, "mpft"
    if assumed == "bound":
        own |= {"decode.kernel": "all_remote", "model.hidden": hidden, "model.dense_layers": 0}
    if units.parse(rate, "bytes/s") > 50e9:  # a scale-up domain of 72 GPUs and no NIC
        gpus, hardware = 72, "nvl72"
        own |= {"decode.expert": 72, "decode.redundant": 32, "hardware.scale_up.rate": rate}
    else:
        own["nic.line_rate"] = rate
    return decode(make_deployment(fabric, hardware=hardware, overrides=own, assume=assume), gpus)


def speculative_speedup(where: Sequence[Where]) -> list[float | None]:
    """Tokens a second of a request with one drafted token over without, at equal tokens a step or equal requests."""
    return [_speedup(w["acceptance"], w["batch"], w["at"]) for w in where]


def _speedup(acceptance: float, batch: int, at: str) -> float:
    drafting = make_deployment(overrides={"speculative.acceptance": acceptance, "decode.batch": batch})
    plain = without_drafts(at_batch(drafting, 2 * batch if at == "equal tokens" else batch))
    gpus = drafting.spec.decode.expert
    return (1.0 + acceptance) * decode(plain, gpus).seconds / decode(drafting, gpus).seconds


def production(where: Sequence[Where]) -> list[float | None]:
    """Simulated throughput of a host where production was measured, thousands of tokens a second, and its speed."""
    found = []
    for w in where:
        step = _online(w["phase"], w.get("batch", "online"), bool(w.get("drafts", 0)))
        if w["quantity"] == "request":
            found.append(step.tokens_per_s_per_gpu / step.batch)
        else:
            found.append(step.tokens_per_s_per_gpu * step.topology.gpus_per_host / 1e3)
    return list[float | None](found)


@lru_cache(maxsize=8)
def _online(phase: str, batch: str, drafts: bool) -> Iteration:
    if phase == "prefill":
        deployment = make_deployment(overrides={"prefill.cached_share": _CACHED_SHARE})
        return prefill(deployment, deployment.spec.prefill.expert)
    deployment = make_deployment(overrides=_ONLINE)
    if not drafts:
        deployment = without_drafts(deployment)
    deployment = at_batch(deployment, _largest(deployment) if batch == "largest" else _ONLINE_BATCH)
    return decode(deployment, deployment.spec.decode.expert)


def _largest(deployment: Deployment) -> int:
    return decode_memory(deployment).limit
