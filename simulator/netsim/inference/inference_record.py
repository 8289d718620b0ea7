"""The record of `netsim infer`: what a deployment yields, where its time goes, and what bounds it.

Beside a decode step stand its bound (expert exchange alone, at line rate, every copy over the NIC) and what speculative
decoding gains: over the same requests, and over twice (k + 1 times) the requests in a step of as many tokens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import netsim
from netsim.errors import NetsimError, did_you_mean
from netsim.inference import IDEAL, Deployment, Iteration, decode, decode_memory, prefill
from netsim.inference.exchange import NONE
from netsim.inference.service import (
    Service,
    at_batch,
    balanced_prefill_gpus,
    simulate_requests,
    without_drafts,
)
from netsim.inference.speculative import tokens_per_step
from netsim.inference.timeline import COMMUNICATION, COMPUTE, TRANSFERS
from netsim.topologies import latency_us, summary

SCHEMA = 1
PHASES = ("prefill", "decode", "both")


def infer(
    deployment: Deployment,
    phase: str,
    gpus: int | None = None,
    prefill_gpus: int | None = None,
    rate_per_s: float | None = None,
) -> tuple[dict[str, Any], list[Iteration], Service | None]:
    """Simulate the phases asked for; with a rate, the requests too.

    gpus : of the phase (with both: of decode), one unit by default; prefill_gpus : with both, else to match decode

    Raises NetsimError for an unknown phase and what has no effect on it, and (SpecError) as `decode`, `prefill` and
    `simulate_requests` do.
    """
    if phase not in PHASES:
        raise NetsimError(f"--phase {phase}: {did_you_mean(phase, PHASES)}")
    for option, value in (("--prefill-gpus", prefill_gpus), ("--rate", rate_per_s)):
        if value is not None and phase != "both":
            raise NetsimError(f"{option}: has no effect on {phase}")
    if gpus is None:
        gpus = (deployment.spec.prefill if phase == "prefill" else deployment.spec.decode).expert
    found: list[Iteration] = []
    service = None
    if phase in ("decode", "both"):
        found.append(decode(deployment, gpus))
    if phase == "prefill":
        found.append(prefill(deployment, gpus))
    if phase == "both":
        many = prefill_gpus
        if many is None:
            many = balanced_prefill_gpus(
                deployment, prefill(deployment, deployment.spec.prefill.expert), found[0]
            )
        found.append(prefill(deployment, many))
        if rate_per_s is not None:
            service = simulate_requests(deployment, found[1], found[0], many, rate_per_s)
    return record(deployment, found, service), found, service


def record(deployment: Deployment, found: list[Iteration], service: Service | None) -> dict[str, Any]:
    """Everything as plain values; the same bits for the same question."""
    by_phase = {i.phase: _iteration(i) for i in found}
    if "decode" in by_phase:
        step = next(i for i in found if i.phase == "decode")
        by_phase["decode"] |= _decode(deployment, step)
    if "prefill" in by_phase:
        by_phase["prefill"] |= _prefill(deployment, next(i for i in found if i.phase == "prefill"))
    return {
        "schema": SCHEMA,
        "topology": summary(found[0].topology),
        "model": deployment.workload.model.name,
        "deployment": deployment.spec.name,
        **by_phase,
        "requests": service and requests_record(service),
        "latency_us": latency_us(found[0].topology),
        "warnings": warnings(deployment, found, service),
        "provenance": {
            "version": netsim.__version__,
            "seed": deployment.seed,
            "compute_profile": {i.phase: i.profile for i in found},
            "compute_origin": {i.phase: origin(i) for i in found},
            "assumptions": deployment.assume._asdict(),
            "evidence": dict(sorted(deployment.spec.sources.items())),
        },
    }


def _iteration(i: Iteration) -> dict[str, Any]:
    line, per_host = i.timeline, i.topology.gpus_per_host
    compute = line.busy_s(COMPUTE)
    return {
        "gpus": i.gpus,
        "units": i.gpus // i.expert,
        "expert_parallel": i.expert,
        "experts_per_gpu": i.local_experts,
        "iteration_ms": i.seconds * 1e3,
        "tokens_per_s_per_gpu": i.tokens_per_s_per_gpu,
        "tokens_per_s_per_host": i.tokens_per_s_per_gpu * per_host,
        "bottleneck": i.bottleneck,
        "compute_ms": compute * 1e3,
        "communication_ms": line.busy_s(COMMUNICATION) * 1e3,
        "exposed_comm_ms": (line.seconds - compute) * 1e3,
        "hidden_comm_fraction": line.hidden_fraction,
        "exchanges": exchanges(i),
        "parts": parts(i),
        "memory": memory(i),
    }


def exchanges(i: Iteration) -> list[dict[str, Any]]:
    """Dispatch and combine of the first micro-batch, where tokens are exchanged at all."""
    tokens = i.microbatch_tokens[0]
    return [
        {
            "kind": x.kind,
            "tokens": tokens,
            "time_us": x.seconds(tokens) * 1e6,
            "fixed_us": x.fixed_s * 1e6,
            "bytes_per_copy": x.token_bytes,
            "wire_bytes_per_gpu": x.wire_per_byte * x.token_bytes * tokens,
            "bottleneck": x.bottleneck,
        }
        for x in i.exchanges
        if x.bottleneck != NONE
    ]


def parts(i: Iteration) -> list[dict[str, Any]]:
    """Milliseconds of each part of the iteration on a GPU, compute first; those of transfers may be hidden."""
    rows = [
        {"part": name, "ms": tally.seconds * 1e3, "share": tally.seconds / i.seconds, "bound": tally.bound}
        for name, tally in i.tallies.items()
    ]
    for kind, exchange in zip(TRANSFERS, i.exchanges, strict=True):
        if exchange.bottleneck == NONE:
            continue
        seconds = sum(span.end_s - span.start_s for span in i.timeline.spans if span.stage == kind)
        rows.append(
            {"part": kind, "ms": seconds * 1e3, "share": seconds / i.seconds, "bound": exchange.bottleneck}
        )
    return rows


def memory(i: Iteration) -> dict[str, Any]:
    """Gigabytes of a GPU, and the requests that would fit."""
    m = i.memory
    return {
        "experts_gb": m.experts / 1e9,
        "replicas_gb": m.replicas / 1e9,
        "mtp_gb": m.mtp / 1e9,
        "cache_gb": m.cache / 1e9,
        "reserve_gb": m.reserve / 1e9,
        "total_gb": m.total / 1e9,
        "capacity_gb": m.capacity / 1e9,
        "fits": m.fits,
        "largest_batch": m.limit,
        "cache_bytes_per_token": m.cache_bytes_per_token,
    }


def _decode(d: Deployment, i: Iteration) -> dict[str, Any]:
    draft = d.spec.speculative
    gain = tokens_per_step(draft.acceptance, draft.draft_tokens)
    bound = decode(bound_of(d), i.gpus) if i.expert > 1 else None
    tpot = i.seconds / gain
    return {
        "batch_per_gpu": i.batch,
        "context": i.context,
        "tpot_ms": tpot * 1e3,
        "tokens_per_s_per_request": 1.0 / tpot,
        "bound": bound and {"tpot_ms": bound.seconds * 1e3, "tokens_per_s_per_request": 1.0 / bound.seconds},
        "speculative": {
            "draft_tokens": draft.draft_tokens,
            "acceptance": draft.acceptance if draft.draft_tokens else None,
            "tokens_per_step": gain,
            **(speedup(d, i) if draft.draft_tokens else {}),
        },
    }


def bound_of(d: Deployment) -> Deployment:
    """The paper's bound for a deployment: its tokens exchanged at line rate, all over the NIC, and nothing else; no
    drafts. Source: arXiv 2505.09343, section 2.3.2."""
    spec = d.spec.model_copy(update={"decode": d.spec.decode.model_copy(update={"kernel": "all_remote"})})
    return replace(without_drafts(replace(d, spec=spec)), assume=IDEAL)


def speedup(d: Deployment, i: Iteration) -> dict[str, float]:
    """What drafting gains in tokens a second of a request: at equal requests, and at equal tokens a step."""
    draft = d.spec.speculative
    gain, plain = tokens_per_step(draft.acceptance, draft.draft_tokens), without_drafts(d)
    same = decode(plain, i.gpus).seconds
    wider = decode(at_batch(plain, i.batch * (1 + draft.draft_tokens)), i.gpus).seconds
    return {
        "speedup_equal_requests": gain * same / i.seconds,
        "speedup_equal_tokens": gain * wider / i.seconds,
    }


def _prefill(d: Deployment, i: Iteration) -> dict[str, Any]:
    spec = d.spec.prefill
    rounds = max(1.0, (1.0 - spec.cached_share) * spec.prompt / spec.tokens)
    return {
        "tokens_per_gpu": i.batch,
        "prompt": spec.prompt,
        "cached_share": spec.cached_share,
        "ttft_ms": i.seconds * rounds * 1e3,
    }


def requests_record(s: Service) -> dict[str, Any]:
    """Percentiles over the requests behind the first quarter, which fill an empty service; tokens a second are those of
    the requests that ended while these arrived."""
    served, asked = s.served, s.served.requests
    first = asked.arrival_s.size // 4
    begin, end = float(asked.arrival_s[first]), float(asked.arrival_s[-1])
    inside = (served.last_token_s >= begin) & (served.last_token_s <= end)
    per_second = 1.0 / (end - begin) if end > begin else 0.0
    later = np.arange(asked.arrival_s.size) >= first
    return {
        "count": int(asked.arrival_s.size),
        "warm_up": first,
        "rate_per_s": s.rate_per_s,
        "prefill_gpus": s.prefill_gpus,
        "decode_gpus": s.decode_gpus,
        "places": s.places,
        "most_at_once": served.most_at_once,
        "prefill_load": s.prefill_load,
        "decode_load": s.decode_load,
        "ttft_ms": _percentiles(served.ttft_s[later] * 1e3),
        "tpot_ms": _percentiles(served.tpot_s[later[asked.output > 1]] * 1e3),
        "input_tokens_per_s": float(asked.prompt[inside].sum()) * per_second,
        "output_tokens_per_s": float(asked.output[inside].sum()) * per_second,
    }


def _percentiles(values: Any) -> dict[str, float | None]:
    if not len(values):
        return {"mean": None, "p50": None, "p90": None, "p99": None}
    found = {f"p{p}": float(np.percentile(values, p)) for p in (50, 90, 99)}
    return {"mean": float(values.mean()), **found}


def origin(i: Iteration) -> dict[str, float]:
    """Shares of compute time by where its numbers come from."""
    total: dict[str, float] = {}
    for tally in i.tallies.values():
        for name, seconds in tally.by_origin.items():
            total[name] = total.get(name, 0.0) + seconds
    everything = sum(total.values())
    return {name: seconds / everything for name, seconds in sorted(total.items())} if everything else {}


def warnings(d: Deployment, found: list[Iteration], service: Service | None) -> list[str]:
    """What does not fit, and queues that grow."""
    said = []
    for i in found:
        m = i.memory
        if not m.fits:
            what = f"{i.batch} requests" if i.phase == "decode" else "the prompts of an iteration"
            room = f"at most {m.limit} fit" if m.limit else "not one fits beside the weights"
            said.append(
                f"{i.phase}: {what} of {i.context:,} tokens a GPU need {m.total / 1e9:.1f} GB of the "
                f"{m.capacity / 1e9:.0f} GB of an {d.hardware.gpu.name}: {room}"
            )
    for side in ("prefill", "decode") if service else ():
        load: float = getattr(service, f"{side}_load")
        if load > 1.0:
            said.append(
                f"{side} is asked for {load:.2f} of what it can do: its queue grows with the requests"
            )
    return said


def at_largest_batch(d: Deployment) -> Deployment:
    """The same with the largest decode batch that fits.

    Raises NetsimError where the weights leave no room for one request.
    """
    limit = decode_memory(d).limit
    if not limit:
        raise NetsimError(
            f"--batch max: not one request of {d.spec.decode.context:,} tokens fits beside the weights; "
            "a larger decode.expert leaves more room"
        )
    return at_batch(d, limit)
