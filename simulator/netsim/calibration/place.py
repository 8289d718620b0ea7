"""Where each kernel of any trace belongs: class, phase, step and layer.

    class   the first kernel rule that knows its name; workspaces go with the longest kernel of their operator; products
            of phase W are weight gradients
    phase   opt inside an optimizer's annotation; B under an operator of the autograd engine, or from its thread; W
            where a product of the backward contracts over the tokens (`shapes.is_weight_gradient`); F the rest of a
            trace that recorded operators. Kernels between backward and optimizer without a product or attention
            (clipping) are the optimizer's
    step    ProfilerStep where there is one; else a new one begins with the first forward after an optimizer
    layer   the number of its module where modules were recorded, else the repeating part of a pass (`repeats`); layers
            of a backward pass count down

A kernel is assigned when it has a class and a phase; kernels outside all layers (embedding, head, loss, optimizer)
belong to none.

Left out: phases of kernels in CUDA graphs, unless an annotation or their name says it; forward and backward launched at
the same time by two threads (their passes are cut where launches alternate).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from netsim.calibration.kineto import ENGINE, Kernel, Trace
from netsim.calibration.repeats import layers_of
from netsim.calibration.rules import KernelRule, Rules
from netsim.calibration.shapes import is_product, is_weight_gradient, weight_gradient_of

_STEP = re.compile(r"^ProfilerStep#(\d+)")
TRANSFERS = ("transfer", "wait")
#: share of a thread's operators that make it the autograd engine's
MOSTLY = 0.5


@dataclass(frozen=True)
class Placed:
    """A kernel and where it belongs; empty or None where that is not known.

    kind : kernel class, or what else a rule says (transfer, wait, ...)
    unit : number of the operator call that launched it, with the kernels of its class
    """

    kernel: Kernel
    rule: KernelRule | None
    kind: str
    phase: str
    step: int
    layer: int | None
    unit: int

    @property
    def complete(self) -> bool:
        """Whether class and phase are known."""
        return bool(self.kind and self.phase)

    @property
    def transfer(self) -> bool:
        """Whether it moves data between GPUs, or waits to."""
        return self.kind in TRANSFERS


def place(trace: Trace, rules: Rules) -> tuple[Placed, ...]:
    """All kernels of a trace, in the order of their launches."""
    kernels = trace.kernels
    matched = [_rule(kernel, rules) for kernel in kernels]
    calls = _calls(kernels)
    kinds = _kinds(kernels, matched, calls)
    phases = _phases(trace, rules, matched, kinds)
    kinds = [
        weight_gradient_of(kind) if phase == "W" else kind for kind, phase in zip(kinds, phases, strict=True)
    ]
    units = _units(calls, kinds, phases)
    steps = _steps(kernels, phases)
    layers = _layers(kernels, rules, kinds, phases, steps, units)
    return tuple(map(Placed, kernels, matched, kinds, phases, steps, layers, units))


def _rule(kernel: Kernel, rules: Rules) -> KernelRule | None:
    return next((rule for rule in rules.kernels if rule.matches(kernel)), None)


def _calls(kernels: Sequence[Kernel]) -> list[int]:
    """Number of the operator call behind each kernel; a kernel without one is its own."""
    seen: dict[int, int] = {}
    return [
        seen.setdefault(id(kernel.call) if kernel.call is not None else -1 - position, len(seen))
        for position, kernel in enumerate(kernels)
    ]


def _kinds(
    kernels: Sequence[Kernel], matched: Sequence[KernelRule | None], calls: Sequence[int]
) -> list[str]:
    longest: dict[int, tuple[float, str]] = {}
    for kernel, rule, call in zip(kernels, matched, calls, strict=True):
        if rule is not None and not rule.helper:
            found = (kernel.duration_us, str(rule.kind or rule.other))
            longest[call] = max(longest.get(call, found), found)
    return [
        "" if rule is None
        else str(rule.kind or rule.other) if not rule.helper
        else longest.get(call, (0.0, "elementwise"))[1]
        for rule, call in zip(matched, calls, strict=True)
    ]  # fmt: skip


def _phases(
    trace: Trace, rules: Rules, matched: Sequence[KernelRule | None], kinds: Sequence[str]
) -> list[str]:
    compiled = [(re.compile(rule.pattern), rule.phase) for rule in rules.phases]
    engine = {thread for thread, share in trace.threads.items() if share >= MOSTLY}
    said: dict[str, str] = {}
    phases = []
    for kernel, rule, kind in zip(trace.kernels, matched, kinds, strict=True):
        noted = [said.setdefault(note, _said(note, compiled)) for note, _ in kernel.annotations]
        backward = any(name.startswith(ENGINE) for name in kernel.outer)
        backward |= kernel.thread in engine and not kernel.graphed
        if "opt" in noted:
            phase = "opt"
        elif backward:
            phase = "B"
        else:
            hint = (rule.phase if rule else None) or ""
            told = trace.threads and not kernel.graphed
            phase = next((p for p in noted if p), "") or hint or ("F" if told else "")
        if phase == "B" and (kind.startswith(("wgrad", "grouped_wgrad")) or is_weight_gradient(kernel.call)):
            phase = "W"
        phases.append(phase)
    return _clipping(phases, kinds)


def _said(note: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    return next((phase for pattern, phase in rules if pattern.search(note)), "")


def _clipping(phases: list[str], kinds: Sequence[str]) -> list[str]:
    """What is launched between a backward and an optimizer without products is the optimizer's."""
    passes = [
        (coarse, list(mine)) for coarse, mine in groupby(range(len(phases)), lambda i: _coarse(phases[i]))
    ]
    found = list(phases)
    for (before, _), (now, mine), (after, _) in zip(passes, passes[1:], passes[2:], strict=False):
        if (before, now, after) == ("B", "F", "opt") and not any(is_product(kinds[i]) for i in mine):
            for i in mine:
                found[i] = "opt"
    return found


def _coarse(phase: str) -> str:
    return "B" if phase == "W" else phase


def _units(calls: Sequence[int], kinds: Sequence[str], phases: Sequence[str]) -> list[int]:
    seen: dict[tuple[int, str, str], int] = {}
    return [seen.setdefault(key, len(seen)) for key in zip(calls, kinds, phases, strict=True)]


def _steps(kernels: Sequence[Kernel], phases: Sequence[str]) -> list[int]:
    marked = [
        next((int(m.group(1)) for note, _ in k.annotations if (m := _STEP.match(note))), None)
        for k in kernels
    ]
    if any(step is not None for step in marked):
        numbers = {step: n for n, step in enumerate(sorted({s for s in marked if s is not None}))}
        last, steps = 0, []
        for step in marked:
            last = numbers[step] if step is not None else last
            steps.append(last)
        return steps
    step, done, steps = 0, False, []
    for phase in phases:
        if phase == "opt":
            done = True
        elif phase == "F" and done:
            step, done = step + 1, False
        steps.append(step)
    return steps


def _layers(
    kernels: Sequence[Kernel],
    rules: Rules,
    kinds: Sequence[str],
    phases: Sequence[str],
    steps: Sequence[int],
    units: Sequence[int],
) -> list[int | None]:
    patterns = [re.compile(pattern) for pattern in rules.modules]
    layers: list[int | None] = [_module_layer(kernel, patterns) for kernel in kernels]
    known: dict[tuple[tuple[str, ...], bool], list[int | None]] = {}
    for (_, phase), mine in groupby(range(len(kernels)), lambda i: (steps[i], _coarse(phases[i]))):
        members = list(mine)
        if phase not in ("F", "B") or any(layers[i] is not None for i in members):
            continue
        # transfers come where buckets are full, not where layers end: they go with what was launched before them
        order = list(dict.fromkeys(units[i] for i in members if kinds[i] not in TRANSFERS))
        first = {units[i]: i for i in reversed(members)}
        keys = tuple(_key(kernels[first[unit]]) for unit in order)
        if (keys, phase == "B") not in known:
            spent: dict[int, float] = dict.fromkeys(order, 0.0)
            for i in members:
                if units[i] in spent:
                    spent[units[i]] += kernels[i].duration_us
            heavy = [is_product(kinds[first[unit]]) for unit in order]
            known[keys, phase == "B"] = _numbered(layers_of(keys, list(spent.values()), heavy), phase == "B")
        by_unit = dict(zip(order, known[keys, phase == "B"], strict=True))
        last = None
        for i in members:
            last = layers[i] = by_unit.get(units[i], last)
    return layers


def _numbered(layers: list[int | None], backward: bool) -> list[int | None]:
    last = max((layer for layer in layers if layer is not None), default=0)
    return [None if layer is None else last - layer for layer in layers] if backward else layers


def _key(kernel: Kernel) -> str:
    """What makes two operator calls the same: the operator, else the kernel."""
    return kernel.operator or kernel.name


def _module_layer(kernel: Kernel, patterns: Sequence[re.Pattern[str]]) -> int | None:
    for name in kernel.module:
        for pattern in patterns:
            if match := pattern.search(name):
                return int(match.group(1))
    return None
