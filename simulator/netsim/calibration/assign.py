"""Every kernel of a trace to a class, block, phase, layer and operator; what could not be is counted.

Layers are told from the order in which a block's annotation comes back; backward blocks visit the layers in
reverse. A kernel is *assigned* when it has a class (or is known to belong to a transfer) and a block with its
phase. Busy time is that of the union of kernels, so what two streams run at once counts once.

Left out: micro-batches (a trace of several repeats its blocks, and each repetition counts as a layer).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netsim.calibration.kineto import Kernel, Trace
from netsim.calibration.rules import BlockRule, KernelRule, Rules
from netsim.calibration.trace_events import shown
from netsim.errors import NetsimError


@dataclass(frozen=True)
class Assigned:
    """A kernel and what is known of it; `role` is the name of an operator, empty where the rules name none."""

    kernel: Kernel
    rule: KernelRule | None
    block: BlockRule | None
    layer: int | None
    role: str = ""
    dims: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether class, phase and layer are known."""
        return self.rule is not None and self.block is not None and self.layer is not None

    @property
    def place(self) -> str:
        """Block and phase as annotations write them; transfers by their direction."""
        if self.block is None:
            return ""
        if self.block.phase == "communication":
            return f"{self.block.block}({'B' if self.block.backward else 'F'})"
        return f"{self.block.block}({self.block.phase})"


def assign(trace: Trace, rules: Rules) -> tuple[Assigned, ...]:
    """All kernels of a trace, in the order of their launches.

    Raises NetsimError when no annotation or no kernel name matches any rule, saying what was looked for.
    """
    annotated = [_block(kernel, rules) for kernel in trace.kernels]
    if not any(block for block, _ in annotated):
        names = sorted({note for kernel in trace.kernels for note, _ in kernel.annotations}) or ["none"]
        raise NetsimError(
            f"{trace.source}: no annotation matches a block rule: looked for "
            f"{', '.join(rule.pattern for rule in rules.blocks)}; found {', '.join(shown(name) for name in names[:8])}"
        )
    matched = [next((rule for rule in rules.kernels if rule.matches(k)), None) for k in trace.kernels]
    if not any(rule for rule in matched):
        raise NetsimError(
            f"{trace.source}: no kernel name matches any of {len(rules.kernels)} kernel rules; the longest is "
            f"{shown(max(trace.kernels, key=lambda k: k.duration_us).name)!r}: add rules with --rules"
        )
    layers = _layers(annotated)
    roles = _roles(matched, annotated, rules)
    return tuple(
        Assigned(
            kernel,
            rule,
            block,
            layers.get(note) if note else None,
            role,
            rule.dimensions(kernel) if rule else {},
        )
        for kernel, rule, (block, note), role in zip(trace.kernels, matched, annotated, roles, strict=True)
    )


def has_blocks(trace: Trace, rules: Rules) -> bool:
    """Whether any annotation around a launch is a block of the rules: what `assign` needs."""
    names = {note for kernel in trace.kernels for note, _ in kernel.annotations}
    return any(re.search(rule.pattern, name) for name in names for rule in rules.blocks)


Note = tuple[str, int]


def _block(kernel: Kernel, rules: Rules) -> tuple[BlockRule | None, Note | None]:
    """The innermost annotation that a block rule knows."""
    for note in kernel.annotations:
        for rule in rules.blocks:
            if re.search(rule.pattern, note[0]):
                return rule, note
    return None, None


def _layers(annotated: Iterable[tuple[BlockRule | None, Note | None]]) -> dict[Note, int]:
    seen: dict[str, set[Note]] = defaultdict(set)
    backward: dict[str, bool] = {}
    for block, note in annotated:
        if block and note:
            seen[note[0]].add(note)
            backward[note[0]] = block.backward or block.phase in ("B", "W")
    layers: dict[Note, int] = {}
    for name, notes in seen.items():
        ordered = sorted(notes, key=lambda note: note[1], reverse=backward[name])
        layers |= {note: index for index, note in enumerate(ordered)}
    return layers


def _roles(
    matched: Sequence[KernelRule | None],
    annotated: Sequence[tuple[BlockRule | None, Note | None]],
    rules: Rules,
) -> list[str]:
    """Names of operators: the n-th kernel of a rule in one run of a block is the n-th of the rule's order."""
    count: Counter[tuple[Note, str]] = Counter()
    roles = []
    for rule, (block, note) in zip(matched, annotated, strict=True):
        if rule is None or block is None or note is None:
            roles.append("")
            continue
        order = expand(rules.order.get(f"{block.block}({block.phase})", {}).get(rule.name, ()))
        position = count[note, rule.name]
        count[note, rule.name] += 1
        roles.append(order[position] if position < len(order) else "")
    return roles


def expand(order: Sequence[str]) -> list[str]:
    """Repetitions written out.

    >>> expand(("a", "b*2"))
    ['a', 'b', 'b']
    """
    names: list[str] = []
    for entry in order:
        name, _, times = entry.partition("*")
        names += [name] * int(times or 1)
    return names


def union_us(kernels: Iterable[Kernel]) -> float:
    """Time that at least one of them runs.

    Kernels that touch or overlap count once: [0, 3] and [2, 5] are 5.
    """
    total, end = 0.0, float("-inf")
    for kernel in sorted(kernels, key=lambda k: k.start_us):
        if kernel.end_us > end:
            total += kernel.end_us - max(kernel.start_us, end)
            end = kernel.end_us
    return total


def covered_us(kernel: Kernel, others: Sequence[Kernel]) -> float:
    """Part of a kernel's time during which one of the others runs."""
    parts = (min(kernel.end_us, o.end_us) - max(kernel.start_us, o.start_us) for o in others)
    return min(kernel.duration_us, sum(part for part in parts if part > 0))


@dataclass(frozen=True)
class Coverage:
    """How much of the GPU's kernel time was assigned; `missing` names the rest, longest first."""

    busy_us: float
    assigned_us: float
    missing: tuple[tuple[str, float], ...]

    @property
    def share(self) -> float:
        """Assigned part of the kernel time."""
        return self.assigned_us / self.busy_us if self.busy_us else 0.0


def coverage(found: Sequence[Assigned]) -> Coverage:
    """Kernel time summed over streams, and what of it has class, phase and layer."""
    missing: Counter[str] = Counter()
    for a in found:
        if not a.complete:
            why = "no kernel rule" if a.rule is None else "outside every known block"
            missing[f"{shown(a.kernel.name[:100], 100)} ({why})"] += a.kernel.duration_us  # type: ignore[assignment]
    busy = sum(a.kernel.duration_us for a in found)
    return Coverage(
        busy, busy - sum(missing.values()), tuple((n, float(t)) for n, t in missing.most_common())
    )


def block_busy_us(found: Sequence[Assigned]) -> dict[tuple[str, int], float]:
    """(block with phase, layer) -> time its kernels keep the compute streams busy; transfers left out."""
    groups: dict[tuple[str, int], list[Kernel]] = defaultdict(list)
    for a in found:
        if a.block is not None and a.layer is not None and a.block.phase != "communication":
            groups[a.place, a.layer].append(a.kernel)
    return {key: union_us(kernels) for key, kernels in sorted(groups.items())}
