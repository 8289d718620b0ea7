"""Requests that arrive at a deployment: how long the first token takes, and how fast the others come.

    arrivals   Poisson; prompts and answers log-normal (or all alike), drawn by named children of one seed
    prefill    one first-come-first-served queue before all prefill GPUs; a GPU computes a prompt at its own rate:
               M/G/c, and M/D/1 for one GPU and equal prompts
    transfer   keys and values cross one NIC, uncontended
    decode     requests share the decode GPUs evenly and each advances at the speed of a step at the present batch;
               who finds all places taken waits, first come first served

    TTFT = end of prefill - arrival            TPOT = (last token - end of prefill) / (tokens - 1)

A step is far shorter than an answer, so requests join and leave at any time (processor sharing), exact between two
events. Left out: chunks of a prompt that wait for others of their iteration, requests of one user that share a prefix
(beyond the cached share), unequal context in a batch, cancelled requests.

Source: Pollaczek-Khinchine, as in Kleinrock, Queueing Systems I, section 5.6, which the tests hold M/D/1 and M/G/1 to.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.specs.inference import RequestsSpec, SpreadSpec

Floats = NDArray[np.float64]
_ARRIVALS, _PROMPTS, _OUTPUTS = 0xA441, 0x9401, 0x0447


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival, (n,) each: seconds, tokens, tokens."""

    arrival_s: Floats
    prompt: Floats
    output: Floats


@dataclass(frozen=True)
class Served:
    """When each request had its first and its last token, (n,) seconds, and how many were decoded at once at most."""

    requests: Requests
    prefill_start_s: Floats
    first_token_s: Floats
    last_token_s: Floats
    most_at_once: int

    @property
    def ttft_s(self) -> Floats:
        """Time to the first token."""
        return self.first_token_s - self.requests.arrival_s

    @property
    def tpot_s(self) -> Floats:
        """Time of each further token, of requests with more than one."""
        more = self.requests.output > 1
        return np.asarray((self.last_token_s - self.first_token_s)[more] / (self.requests.output[more] - 1))


def draw(spec: RequestsSpec, rate_per_s: float, seed: int) -> Requests:
    """Requests at a mean rate."""
    gaps = np.random.default_rng([seed, _ARRIVALS]).exponential(1.0 / rate_per_s, spec.count)
    prompt = _lengths(spec.prompt, spec.count, seed, _PROMPTS)
    return Requests(np.cumsum(gaps), prompt, _lengths(spec.output, spec.count, seed, _OUTPUTS))


def _lengths(spread: SpreadSpec, count: int, seed: int, child: int) -> Floats:
    """Whole tokens, one at least."""
    if not spread.variation:
        return np.full(count, np.round(spread.mean))
    variance = np.log1p(spread.variation**2)
    rng = np.random.default_rng([seed, child])
    found = rng.lognormal(np.log(spread.mean) - variance / 2, np.sqrt(variance), count)
    return np.maximum(1.0, np.round(found))


def first_come_first_served(arrival_s: Floats, service_s: Floats, servers: int) -> tuple[Floats, Floats]:
    """(start, end) of each of the requests on `servers` alike, which take them in order.

    >>> start, end = first_come_first_served(np.array([0.0, 1.0, 1.0]), np.array([4.0, 1.0, 1.0]), 2)
    >>> start.tolist(), end.tolist()
    ([0.0, 1.0, 2.0], [4.0, 2.0, 3.0])
    """
    free = [0.0] * min(servers, arrival_s.size)
    start, end = np.empty(arrival_s.size), np.empty(arrival_s.size)
    for n, (arrives, takes) in enumerate(zip(arrival_s.tolist(), service_s.tolist(), strict=True)):
        begins = max(arrives, free[0])
        heapq.heapreplace(free, begins + takes)
        start[n], end[n] = begins, begins + takes
    return start, end


def shared(ready_s: Floats, tokens: Floats, speed: Callable[[int], float], places: int) -> tuple[Floats, int]:
    """(end of each request, most at once) where n requests at once each advance at `speed(n)` tokens a second.

    Requests enter in order of `ready_s` while there are places. Progress is counted once for all: V grows at speed(n),
    and who enters at V ends at V + its tokens.

    >>> shared(np.array([0.0, 0.0]), np.array([1.0, 2.0]), lambda n: 1.0 / n, 8)[0].tolist()
    [2.0, 3.0]
    """
    order = deque(np.argsort(ready_s, kind="stable").tolist())
    end, running = np.empty(ready_s.size), list[tuple[float, int]]()
    now = progress = 0.0
    most = 0
    while order or running:
        rate = speed(len(running)) if running else 0.0
        leaves = now + (running[0][0] - progress) / rate if running else np.inf
        enters = max(now, float(ready_s[order[0]])) if order and len(running) < places else np.inf
        then = min(leaves, enters)
        progress += rate * (then - now)
        now = then
        if enters <= leaves:
            request = order.popleft()
            heapq.heappush(running, (progress + float(tokens[request]), request))
            most = max(most, len(running))
        else:
            progress, request = heapq.heappop(running)
            end[request] = now
    return end, most


def serve(
    requests: Requests,
    prefill_tokens_per_s: float,
    prefill_gpus: int,
    speed: Callable[[int], float],
    places: int,
    transfer_s_per_token: float = 0.0,
) -> Served:
    """Run all requests through prefill and decode; see the module.

    prefill_tokens_per_s : of one GPU; speed : tokens a second of each of n requests in decode; places : of decode
    """
    start, first = first_come_first_served(
        requests.arrival_s, requests.prompt / prefill_tokens_per_s, prefill_gpus
    )
    ready = first + requests.prompt * transfer_s_per_token
    last, most = shared(ready, requests.output - 1.0, speed, places)
    return Served(requests, start, first, last, most)
