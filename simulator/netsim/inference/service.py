"""A deployment under load: prefill and decode iterations as the servers of a queue of requests.

The speed of decode at any batch is interpolated between simulated steps (batches doubling up to the deployment's);
prefill units are by default as many as keep up with decode at its largest batch. Left out: see
`netsim.inference.requests`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from netsim.errors import NetsimError
from netsim.inference.decode_step import decode
from netsim.inference.iteration import Deployment, Iteration
from netsim.inference.requests import Served, draw, serve
from netsim.inference.speculative import tokens_per_step
from netsim.workloads.serving import cache_bytes_per_token


@dataclass(frozen=True)
class Service:
    """Requests served, and how busy both sides were offered to be.

    prefill_load, decode_load : asked over possible; above 1 the queue grows with the number of requests
    """

    served: Served
    rate_per_s: float
    prefill_gpus: int
    decode_gpus: int
    places: int
    prefill_load: float
    decode_load: float


def at_batch(deployment: Deployment, batch: int) -> Deployment:
    """The same with another decode batch; one micro-batch where there is one request."""
    spec = deployment.spec
    changed = {"batch": batch} | ({"overlap": "none"} if batch == 1 else {})
    return replace(
        deployment, spec=spec.model_copy(update={"decode": spec.decode.model_copy(update=changed)})
    )


def without_drafts(deployment: Deployment) -> Deployment:
    """The same without speculative decoding."""
    spec = deployment.spec
    none = spec.speculative.model_copy(update={"draft_tokens": 0})
    return replace(deployment, spec=spec.model_copy(update={"speculative": none}))


def balanced_prefill_gpus(deployment: Deployment, prefill: Iteration, decode_: Iteration) -> int:
    """GPUs of the fewest prefill units that keep up with decode at full batch."""
    requests = deployment.spec.requests
    unit = deployment.spec.prefill.expert
    asked = decode_.gpus * decode_.tokens_per_s_per_gpu / requests.output.mean * requests.prompt.mean
    return unit * max(1, math.ceil(asked / (unit * prefill.tokens_per_s_per_gpu) - 1e-9))


def simulate_requests(
    deployment: Deployment, prefill: Iteration, decode_: Iteration, prefill_gpus: int, rate_per_s: float
) -> Service:
    """Serve the deployment's requests, arriving at a mean rate.

    Raises NetsimError for a rate that is not positive, or a decode batch that does not fit into memory.
    """
    if not 0.0 < rate_per_s < math.inf:
        raise NetsimError(f"--rate {rate_per_s:g}: must be a positive number of requests a second")
    if not decode_.memory.limit:
        raise NetsimError("--rate: no request fits beside the weights, so none can be served")
    spec, gpus = deployment.spec, decode_.gpus
    batch = min(decode_.batch, decode_.memory.limit)
    sizes = sorted({1, batch} | {2**n for n in range(1, batch.bit_length()) if 2**n < batch})
    steps = [decode(at_batch(deployment, size), gpus).seconds for size in sizes]
    gain = tokens_per_step(spec.speculative.acceptance, spec.speculative.draft_tokens)
    at_once = [gain / float(np.interp(max(1.0, n / gpus), sizes, steps)) for n in range(1, batch * gpus + 1)]
    per_token = cache_bytes_per_token(
        deployment.workload.model, spec.memory.kv_cache, spec.speculative.draft_tokens > 0
    )
    nic = deployment.host.nic
    transfer = per_token / (nic.line_rate * nic.goodput_fraction)
    requests = draw(spec.requests, rate_per_s, deployment.seed)
    served = serve(
        requests, prefill.tokens_per_s_per_gpu, prefill_gpus, lambda n: at_once[n - 1], batch * gpus, transfer
    )
    prompt, output = float(requests.prompt.mean()), float(requests.output.mean())
    return Service(
        served,
        rate_per_s,
        prefill_gpus,
        gpus,
        batch * gpus,
        rate_per_s * prompt / (prefill.tokens_per_s_per_gpu * prefill_gpus),
        rate_per_s * (output - 1.0) / (at_once[-1] * batch * gpus),
    )
