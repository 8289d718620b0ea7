"""Events of a trace, checked one by one where they come in: what is read of each, and nothing else.

Three kinds count: what ran on the GPU, the calls that launched it, and the spans of the host around those calls
(operators, annotations, modules). Everything else (flows, counters, metadata) is dropped. A value that is read
must be of its type; an event that breaks a rule is named by its number.

Source: github.com/pytorch/kineto, libkineto/src/output_json.cpp.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netsim.calibration.json_stream import DEFAULT_LIMIT, read_stream
from netsim.errors import NetsimError

GPU_CATEGORIES = ("kernel", "gpu_memcpy", "gpu_memset")
LAUNCH_CATEGORIES = ("cuda_runtime", "cuda_driver", "hip_runtime")
OPERATOR, ANNOTATION, MODULE = "cpu_op", "user_annotation", "python_function"
#: a Python function of a trace that is kept: the call of a module
MODULE_MARK = "nn.Module: "
#: microseconds, and any whole number of an event: beyond every clock, short of what floats hold exactly enough
MOST = 10.0**18
#: argument -> what it must be where it is there
_WHOLE = ("stream", "device", "correlation", "registers per thread", "shared memory", "External id")
_TRIPLES = ("grid", "block")

#: arguments of the host's spans that are kept
_KEPT = frozenset({
    "External id", "Input Dims", "Input type", "Input Strides", "Concrete Inputs", "Collective name", "dtype",
    "In msg nelems", "Out msg nelems", "Group size", "Process Group Name", "Process Group Description",
    "Process Group Ranks", "Global rank stride", "Python id",
})  # fmt: skip

Event = dict[str, Any]


class Span(NamedTuple):
    """A span of the host: an operator, an annotation, a module or a launch. Microseconds as the file writes them."""

    name: str
    start_us: float
    duration_us: float
    thread: object
    args: Mapping[str, Any]

    @property
    def end_us(self) -> float:
        """When it ended."""
        return self.start_us + self.duration_us


class Events(NamedTuple):
    """What was kept of a file. `found` are GPU events as they were written, `launches` by correlation; `header` is
    what stands beside the events."""

    header: Mapping[str, Any]
    found: list[Event]
    launches: dict[int, Span]
    operators: list[Span]
    annotations: list[Span]
    modules: list[Span]


def read_events(path: Path, limit_bytes: int = DEFAULT_LIMIT) -> Events:
    """The events of a trace file that say what ran on the GPU, and why.

    Raises NetsimError when the file is no trace, holds no GPU kernels, or an event that breaks a rule.
    """
    intake = _Intake(path)
    header = read_stream(path, "traceEvents", intake.take, limit_bytes)
    if header is None:
        raise NetsimError(f"{path}: no traceEvents: looked for the JSON that torch.profiler exports")
    if not intake.kept.found:
        seen = ", ".join(sorted(intake.categories)) or "none"
        raise NetsimError(
            f"{path}: no GPU kernels: looked for events of category {', '.join(GPU_CATEGORIES)}; found {seen}"
        )
    if intake.complaint:
        raise intake.complaint
    return intake.kept._replace(header=header)


class _Intake:
    """Takes events in the order of the file; the first complaint about the host's waits until the file is read, so
    that a file without kernels says that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = Events({}, [], {}, [], [], [])
        self.categories: set[str] = set()
        self.complaint: NetsimError | None = None

    def take(self, number: int, event: Any) -> None:
        """Check an event and keep what counts."""
        if not isinstance(event, dict):
            raise NetsimError(f"{self.path}: event {number} = {_short(event)}, must be an object")
        category = event.get("cat")
        if category is None:
            return
        if not isinstance(category, str):
            raise self._wrong(number, event, "cat", category, "must be text")
        if len(self.categories) < 100:
            self.categories.add(category[:40])
        if event.get("ph") != "X":
            return
        if category in GPU_CATEGORIES:
            self._gpu(number, event)
            return
        try:
            self._host(number, event, category)
        except NetsimError as error:
            self.complaint = self.complaint or error

    def _gpu(self, number: int, event: Event) -> None:
        self._timed(number, event)
        args = self._args(number, event)
        for key in _WHOLE:
            if key in args:
                self._whole(number, event, key, args[key])
        for key in _TRIPLES:
            value = args.get(key)
            if value is not None and not _triple(value):
                raise self._wrong(number, event, key, value, "must be three whole numbers")
        self.kept.found.append(event)

    def _host(self, number: int, event: Event, category: str) -> None:
        if category in LAUNCH_CATEGORIES:
            correlation = self._args(number, event).get("correlation")
            if correlation is not None:
                self._whole(number, event, "correlation", correlation)
                self.kept.launches[correlation] = self._span(number, event)
        elif category == OPERATOR:
            self.kept.operators.append(self._span(number, event))
        elif category == ANNOTATION:
            self.kept.annotations.append(self._span(number, event))
        elif category == MODULE and str(event.get("name")).startswith(MODULE_MARK):
            self.kept.modules.append(self._span(number, event))

    def _span(self, number: int, event: Event) -> Span:
        self._timed(number, event, {"dur": 0, **event})
        thread = event.get("tid")
        if not isinstance(thread, int | str | None):
            raise self._wrong(number, event, "tid", thread, "must be a number or text")
        args = self._args(number, event)
        if "External id" in args:
            self._whole(number, event, "External id", args["External id"])
        kept = {key: value for key, value in args.items() if key in _KEPT}
        return Span(event["name"], event["ts"], event.get("dur", 0), thread, kept)

    def _timed(self, number: int, event: Event, values: Mapping[str, Any] | None = None) -> None:
        if not isinstance(event.get("name"), str):
            raise self._wrong(number, event, "name", event.get("name"), "must be text")
        for key in ("ts", "dur"):
            value = (values or event).get(key)
            if not _number(value) or not 0 <= value < MOST:  # type: ignore[operator]
                raise self._wrong(number, event, key, value, "must be a time of at least 0")

    def _args(self, number: int, event: Event) -> Mapping[str, Any]:
        args = event.get("args")
        if args is None:
            return {}
        if not isinstance(args, dict):
            raise self._wrong(number, event, "args", args, "must be an object")
        return args

    def _whole(self, number: int, event: Event, key: str, value: Any) -> None:
        if not _whole(value):
            raise self._wrong(number, event, key, value, "must be a whole number")

    def _wrong(self, number: int, event: Event, key: str, value: Any, rule: str) -> NetsimError:
        name, kind = event.get("name", "?"), event.get("cat")
        what = "kernel" if kind in GPU_CATEGORIES else "event"
        return NetsimError(
            f"{self.path}: event {number}, {what} {_short(name)}: {key} = {_short(value)}, {rule}"
        )


def _number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= MOST
        and math.isfinite(value)
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST


def _triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_whole(v) and 0 <= v < 2**32 for v in value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "deeply nested values"
    return text if len(text) <= 80 else f"{text[:77]}..."


def shown(text: object, most: int = 80) -> str:
    """Text of a file as a message may hold it: one line, no control characters, not endless."""
    clean = "".join(c if c.isprintable() else "?" for c in str(text)[: most + 1])
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."


def check_repeats(path: Path, found: list[Event]) -> None:
    """Raise NetsimError when a kernel is there twice."""
    counts = Counter(
        (e["ts"], e["dur"], e["name"], argument(e, "stream"), argument(e, "correlation")) for e in found
    )
    (twice, count), *_ = counts.most_common(1)
    if count > 1:
        raise NetsimError(
            f"{path}: kernel {shown(twice[2])!r} at {twice[0]} us appears {count} times: a duplicated trace?"
        )


def argument(event: Event, key: str) -> Any:
    """An argument of an event, None where there is none."""
    return (event.get("args") or {}).get(key)
