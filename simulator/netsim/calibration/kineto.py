"""A PyTorch profiler (Kineto) trace: GPU kernels with the annotations and operators that launched them.

A kernel carries the correlation of its launch call; the launch lies inside user annotations (of any thread:
the autograd engine launches from its own) and inside operators of its own thread. A kernel whose launch call is
missing still carries the External id of its operator, which then stands for the launch. Read: JSON and gzipped
JSON, one device. Left out: flows between streams, CPU time.

Source: github.com/pytorch/kineto, the "Chrome trace" output of torch.profiler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netsim.calibration.json_stream import DEFAULT_LIMIT
from netsim.calibration.trace_events import Event, Events, Span, argument, check_repeats, read_events, shown
from netsim.errors import NetsimError

__all__ = ["DEFAULT_LIMIT", "Kernel", "Span", "Trace", "read_trace"]


@dataclass(frozen=True)
class Kernel:
    """A kernel, copy or fill on the GPU. Times in microseconds from the first one.

    registers : of one thread
    annotations : the user annotations around its launch, innermost first, with their start in the file's clock
    operator : the innermost framework operator around its launch, if any
    dims : input dimensions of that operator, where they were recorded
    call : that operator's span; where the launch is missing, the one that its External id names
    outer : names of the operators around the launch, innermost first
    module : the modules around the launch, innermost first
    moment_us : start of the launch in the file's clock; thread : of the launch
    graphed : whether a CUDA graph launched it: then nothing of the host says what it belongs to
    message : what the kernel itself says of a collective
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
    call: Span | None = None
    outer: tuple[str, ...] = ()
    module: tuple[str, ...] = ()
    moment_us: float = 0.0
    thread: object = None
    graphed: bool = False
    message: Mapping[str, Any] = field(default_factory=dict)

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
    """What a trace says of one GPU. Kernels are in the order of their launches.

    facts : the GPU's properties as the file has them
    annotations : all of them, in the file's clock; threads : (thread, share of its outermost operators that are the
    autograd engine's) of each thread with operators
    shapes : whether input dimensions were recorded
    world : ranks of the job, where the trace says it
    """

    source: str
    device: str
    sms: int | None
    kernels: tuple[Kernel, ...]
    unlaunched: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    annotations: tuple[Span, ...] = ()
    threads: Mapping[object, float] = field(default_factory=dict)
    shapes: bool = False
    world: int | None = None


ENGINE = "autograd::engine::evaluate_function"


def read_trace(path: Path, limit_bytes: int = DEFAULT_LIMIT) -> Trace:
    """A trace file.

    limit_bytes : most that it may hold once decompressed

    Raises NetsimError when it is not a whole JSON document, holds no GPU kernels, kernels of several devices,
    a kernel twice, or an event that breaks a rule.
    """
    events = read_events(path, limit_bytes)
    check_repeats(path, events.found)
    facts = _facts(path, events)
    name, sms = facts.get("name", "unknown GPU"), facts.get("numSms")
    if not isinstance(name, str) or not (sms is None or (type(sms) is int and 0 < sms < 2**20)):
        raise NetsimError(
            f"{path}: deviceProperties: name = {shown(name)}, numSms = {shown(sms)}, must be text and a number"
        )
    # a name goes into files and onto terminals
    return _assemble(path, shown(name, 200), sms, facts, events)


def _facts(path: Path, events: Events) -> Mapping[str, Any]:
    ids = sorted(
        {argument(event, "device") for event in events.found if argument(event, "device") is not None}
    )
    if len(ids) > 1:
        raise NetsimError(
            f"{path}: kernels of devices {', '.join(map(str, ids[:8]))}: calibrate from one at a time"
        )
    properties = events.header.get("deviceProperties")
    for entry in properties if isinstance(properties, list) else []:
        if isinstance(entry, dict) and (not ids or entry.get("id") == ids[0]):
            return entry
    return {}


def _assemble(path: Path, device: str, sms: int | None, facts: Mapping[str, Any], events: Events) -> Trace:
    known = sorted(_launched(events), key=lambda pair: (pair[0].start_us, pair[1]["ts"]))
    moments = [launch for launch, _ in known]
    annotations = _around(moments, events.annotations, same_thread=False)
    operators = _around(moments, events.operators, same_thread=True)
    modules = _around(moments, events.modules, same_thread=True)
    origin = min(event["ts"] for event in events.found)
    kernels = tuple(
        _kernel(event, launch, origin, *around)
        for (launch, event), *around in zip(known, annotations, operators, modules, strict=True)
    )
    return Trace(
        str(path), device, sms, kernels, len(events.found) - len(known), facts, tuple(events.annotations),
        _threads(events.operators), any("Input Dims" in span.args for span in events.operators),
        _world(events),
    )  # fmt: skip


def _world(events: Events) -> int | None:
    """Ranks of the job by `distributedInfo`."""
    told = events.header.get("distributedInfo")
    size = told.get("world_size") if isinstance(told, dict) else None
    return size if type(size) is int and 0 < size < 2**24 else None


def _launched(events: Events) -> Iterator[tuple[Span, Event]]:
    """Kernels with their launch, or the operator that they name where the launch is missing."""
    by_id = {span.args["External id"]: span for span in events.operators if "External id" in span.args}
    for event in events.found:
        launch = events.launches.get(argument(event, "correlation"))
        if launch is None:
            # older traces number launches and operators apart: an operator that starts later did not launch it
            named = by_id.get(argument(event, "External id"))
            launch = named if named and named.start_us <= event["ts"] else None
        if launch is not None:
            yield launch, event


def _around(moments: Sequence[Span], spans: list[Span], same_thread: bool) -> Iterator[list[Span]]:
    """For launches in order of time: the spans around each, innermost first."""
    waiting = sorted(spans, key=lambda span: span.start_us, reverse=True)
    active: list[Span] = []
    for moment in moments:
        while waiting and waiting[-1].start_us <= moment.start_us:
            active.append(waiting.pop())
        active = [span for span in active if span.start_us + span.duration_us >= moment.start_us]
        yield [s for s in reversed(active) if not same_thread or s.thread == moment.thread]


def _threads(operators: Sequence[Span]) -> dict[object, float]:
    """Share of the outermost operators of each thread that are the autograd engine's."""
    counts: dict[object, list[int]] = {}
    ends: dict[object, float] = {}
    for span in sorted(operators, key=lambda span: (span.start_us, -span.duration_us)):
        if span.start_us >= ends.get(span.thread, -math.inf):
            ends[span.thread] = span.end_us
            engine, all_of_them = counts.get(span.thread, [0, 0])
            counts[span.thread] = [engine + span.name.startswith(ENGINE), all_of_them + 1]
    return {thread: engine / every for thread, (engine, every) in counts.items()}


def _kernel(
    event: Event, launch: Span, origin: float, notes: list[Span], calls: list[Span], modules: list[Span]
) -> Kernel:
    grid, block = (tuple(argument(event, key) or (0, 0, 0)) for key in ("grid", "block"))
    dims = calls[0].args.get("Input Dims") or () if calls else ()
    graphed = "GraphLaunch" in launch.name
    return Kernel(
        name=event["name"],
        start_us=float(event["ts"] - origin),
        duration_us=float(event["dur"]),
        launch_us=float(launch.start_us - origin),
        stream=int(argument(event, "stream") or 0),
        grid=grid,
        block=block,
        shared_bytes=int(argument(event, "shared memory") or 0),
        annotations=tuple((note.name, int(note.start_us)) for note in notes),
        operator=calls[0].name if calls else "",
        registers=int(argument(event, "registers per thread") or 0),
        dims=tuple(
            tuple(d)
            for d in (dims if isinstance(dims, list) else ())
            if isinstance(d, list) and all(isinstance(x, int) for x in d)
        ),
        call=calls[0] if calls and not graphed else None,
        outer=() if graphed else tuple(span.name for span in calls),
        module=tuple(span.name for span in modules),
        moment_us=launch.start_us,
        thread=launch.thread,
        graphed=graphed,
        message={k: v for k, v in (event.get("args") or {}).items() if k in _MESSAGE},
    )


_MESSAGE = frozenset({
    "Collective name", "dtype", "In msg nelems", "Out msg nelems", "Group size", "Process Group Name",
    "Process Group Description", "Process Group Ranks", "Global rank stride",
})  # fmt: skip
