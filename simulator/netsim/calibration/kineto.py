"""A PyTorch profiler (Kineto) trace: GPU kernels with the annotation and operator that launched them.

A kernel carries the correlation of its launch call; the launch lies inside user annotations (of any thread:
the autograd engine launches from its own) and inside an operator of its own thread. Read: JSON and gzipped
JSON, one device. Left out: flows between streams, CPU time.

Source: github.com/pytorch/kineto, the "Chrome trace" output of torch.profiler.
"""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError

GPU_CATEGORIES = ("kernel", "gpu_memcpy", "gpu_memset")
LAUNCH_CATEGORIES = ("cuda_runtime", "cuda_driver", "hip_runtime")

Event = dict[str, Any]


@dataclass(frozen=True)
class Kernel:
    """A kernel, copy or fill on the GPU. Times in microseconds from the first one.

    registers : of one thread
    annotations : the user annotations around its launch, innermost first
    operator : the innermost framework operator around its launch, if any
    dims : input dimensions of that operator, where they were recorded
    """

    name: str
    start_us: float
    duration_us: float
    launch_us: float
    stream: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    annotations: tuple[tuple[str, int], ...]
    operator: str
    registers: int = 0
    dims: tuple[tuple[int, ...], ...] = ()

    @property
    def block_registers(self) -> int:
        """Registers that one of its blocks takes of an SM."""
        return self.registers * math.prod(self.block)

    @property
    def end_us(self) -> float:
        """When it ended."""
        return self.start_us + self.duration_us


@dataclass(frozen=True)
class Trace:
    """What a trace says of one GPU. Kernels are in the order of their launches."""

    source: str
    device: str
    sms: int | None
    kernels: tuple[Kernel, ...]
    unlaunched: int


def read_trace(path: Path) -> Trace:
    """A trace file.

    Raises NetsimError when it is not a whole JSON document, holds no GPU kernels, kernels of several devices,
    a kernel twice, or a time that is negative or not a number.
    """
    document = _parse(path)
    events = document.get("traceEvents") if isinstance(document, dict) else document
    if not isinstance(events, list):
        raise NetsimError(f"{path}: no traceEvents: looked for the JSON that torch.profiler exports")
    found = [event for event in events if event.get("cat") in GPU_CATEGORIES and event.get("ph") == "X"]
    if not found:
        seen = ", ".join(sorted({str(event.get("cat")) for event in events if event.get("cat")})) or "none"
        raise NetsimError(
            f"{path}: no GPU kernels: looked for events of category {', '.join(GPU_CATEGORIES)}; found {seen}"
        )
    _check(path, found)
    device, sms = _device(path, document, found)
    return _assemble(path, device, sms, events, found)


def _parse(path: Path) -> Any:
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return json.loads(text)
    except OSError as error:
        raise NetsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    except EOFError:
        raise NetsimError(f"{path}: the gzip stream ends early: a truncated trace") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise NetsimError(f"{path}: not a whole JSON document ({error}): a truncated trace?") from None


def _check(path: Path, found: list[Event]) -> None:
    for event in found:
        for key in ("ts", "dur"):
            value = event.get(key)
            if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise NetsimError(
                    f"{path}: kernel {event.get('name', '?')!r}: {key} = {value!r}, must be a time of at least 0"
                )
    counts = Counter(
        (e["ts"], e["dur"], e.get("name"), _argument(e, "stream"), _argument(e, "correlation")) for e in found
    )
    (twice, count), *_ = counts.most_common(1)
    if count > 1:
        raise NetsimError(
            f"{path}: kernel {twice[2]!r} at {twice[0]} us appears {count} times: a duplicated trace?"
        )


def _device(path: Path, document: Any, found: list[Event]) -> tuple[str, int | None]:
    ids = sorted({_argument(event, "device") for event in found if _argument(event, "device") is not None})
    if len(ids) > 1:
        raise NetsimError(
            f"{path}: kernels of devices {', '.join(map(str, ids))}: calibrate from one at a time"
        )
    properties = document.get("deviceProperties", []) if isinstance(document, dict) else []
    for entry in properties:
        if not ids or entry.get("id") == ids[0]:
            return str(entry.get("name", "unknown GPU")), entry.get("numSms")
    return "unknown GPU", None


def _argument(event: Event, key: str) -> Any:
    return event.get("args", {}).get(key)


def _assemble(path: Path, device: str, sms: int | None, events: list[Event], found: list[Event]) -> Trace:
    launches = {
        _argument(event, "correlation"): event for event in events if event.get("cat") in LAUNCH_CATEGORIES
    }
    known = [
        (launches[_argument(e, "correlation")], e) for e in found if _argument(e, "correlation") in launches
    ]
    known.sort(key=lambda pair: (pair[0]["ts"], pair[1]["ts"]))
    moments = [launch for launch, _ in known]
    annotations = list(
        _around(moments, [e for e in events if e.get("cat") == "user_annotation"], same_thread=False)
    )
    operators = list(_around(moments, [e for e in events if e.get("cat") == "cpu_op"], same_thread=True))
    origin = min(event["ts"] for event in found)
    kernels = tuple(
        _kernel(event, launch, origin, notes, calls)
        for (launch, event), notes, calls in zip(known, annotations, operators, strict=True)
    )
    return Trace(str(path), device, sms, kernels, len(found) - len(known))


def _around(moments: Sequence[Event], spans: list[Event], same_thread: bool) -> Iterator[list[Event]]:
    """For launches in order of time: the spans around each, innermost first."""
    waiting = sorted(spans, key=lambda span: span["ts"], reverse=True)
    active: list[Event] = []
    for moment in moments:
        while waiting and waiting[-1]["ts"] <= moment["ts"]:
            active.append(waiting.pop())
        active = [span for span in active if span["ts"] + span.get("dur", 0) >= moment["ts"]]
        yield [s for s in reversed(active) if not same_thread or s.get("tid") == moment.get("tid")]


def _kernel(event: Event, launch: Event, origin: float, notes: Iterable[Event], calls: list[Event]) -> Kernel:
    grid, block = (tuple(_argument(event, key) or (0, 0, 0)) for key in ("grid", "block"))
    dims = (_argument(calls[0], "Input Dims") or ()) if calls else ()
    return Kernel(
        name=str(event.get("name", "")),
        start_us=float(event["ts"] - origin),
        duration_us=float(event["dur"]),
        launch_us=float(launch["ts"] - origin),
        stream=int(_argument(event, "stream") or 0),
        grid=grid,
        block=block,
        shared_bytes=int(_argument(event, "shared memory") or 0),
        annotations=tuple((str(note["name"]), int(note["ts"])) for note in notes),
        operator=str(calls[0]["name"]) if calls else "",
        registers=int(_argument(event, "registers per thread") or 0),
        dims=tuple(tuple(d) for d in dims if isinstance(d, list) and all(isinstance(x, int) for x in d)),
    )
