"""What a verb asks beside the question: plain values, None where nothing was said.

The command line makes an option of every field, of its type and default. Each verb refuses what has no effect on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServeRequest:
    """Of `netsim infer`: the phase, how many GPUs serve it, and how; the question has model, fabric and overrides.

    gpus : of the phase (with both: of decode), one unit by default; batch : requests a GPU, or max; rate : requests a
    second; ideal : the bound, without compute, latency and headers and at line rate
    """

    gpus: int | None = None
    phase: str = "both"
    ep: int | None = None
    batch: str | None = None
    context: int | None = None
    prompt: int | None = None
    cached_share: float | None = None
    mtp_acceptance: float | None = None
    draft_tokens: int | None = None
    prefill_gpus: int | None = None
    rate: float | None = None
    requests: int | None = None
    deployment: str | None = None
    ideal: bool = False


@dataclass(frozen=True)
class CollectiveRequest:
    """Of `netsim collective`: which one, how large, by which algorithm of which library, and whose experts."""

    kind: str
    sizes: str | None = None
    algorithm: str = "auto"
    protocol: str | None = None
    group_size: int | None = None
    ep: str | None = None
    tokens: int | None = None
    gate: str | None = None
    load: str | None = None
    redundant: int | None = None
    beside_compute: bool = False
    workload: str | None = None
    packets: bool = False


@dataclass(frozen=True)
class PacketsRequest:
    """Of `netsim packets`: which messages, and how they are sent.

    size : bytes of a message, with a unit or without; ranks : GPUs that take part, the first ones (experts: the width
    of a group); senders : of an incast; workload, tokens, load : of dispatch and combine; fault : such as "cable 3 down
    at 50us for 200us"
    """

    traffic: str = "all_to_all"
    transport: str = "eqds"
    size: str | None = None
    ranks: int | None = None
    senders: int | None = None
    workload: str | None = None
    tokens: int | None = None
    load: str | None = None
    fault: tuple[str, ...] = ()


@dataclass(frozen=True)
class CalibrateRequest:
    """Of `netsim calibrate`: the trace or the tables, what lends the rest, and what to check the profile with."""

    trace: Path | None = None
    table: tuple[Path, ...] = ()
    output: Path = Path("profile.toml")
    base: str | None = None
    workload: str | None = None
    about: Path | None = None
    rules: Path | None = None
    column: tuple[str, ...] = ()
    mode: str | None = None
    layout: str = "netsim"
    unit: str | None = None
    fit_all: bool = False
    max_size: str | None = None
    check: tuple[Path, ...] = ()
    topology: str | None = None
    hardware: str | None = None
    network: Path | None = None
    report: Path | None = None


@dataclass(frozen=True)
class MeasureRequest:
    """Of `netsim measure`: kernels, collectives, a soak or a step, and how much of it."""

    output: Path | None = None
    only: tuple[str, ...] = ()
    quick: bool = False
    listing: bool = False
    side_sms: int | None = None
    budget_s: float | None = None
    collectives: bool = False
    gpus: int | None = None
    sizes: str | None = None
    backend: str | None = None
    soak: float | None = None
    side: str = "spin"
    framework: bool = False
    mix: tuple[str, ...] = ()
    step: bool = False
    layers: int = 4
    way: str | None = None
    eager: bool = False
    small: bool = False
    traces: Path | None = None


@dataclass(frozen=True)
class ValidateRequest:
    """Of `netsim validate`: which published sets, or rows of a file, or how many errors fall inside their intervals."""

    only: tuple[str, ...] = ()
    output: Path | None = None
    rows: tuple[Path, ...] = ()
    sets: str = "all"
    jobs: int = 2
    coverage: bool = False
