"""A log of Megatron-LM: the block of arguments, and the measured time per iteration, beside the simulated step.

The measured step is the median over iterations behind the first fifth (at least one, which compiles and warms up).
Source: NVIDIA/Megatron-LM, megatron/training/training.py (training_log).
"""

from __future__ import annotations

import ast
import re
from statistics import median
from typing import Any

from netsim.importers.bench import host_of
from netsim.importers.job import make_job
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source

_ARGUMENT = re.compile(r"(?:^|\s)(\w+) \.{2,} ?(.*)$")
_TIME = re.compile(r"iteration\s+(\d+)/\s*\d+.*?elapsed time per iteration \(ms\):\s*([\d.]+)")
_BATCH = re.compile(r"global batch size:\s*(\d+)")
_GPU = re.compile(r"\b(GB300|GB200|B300|B200|H800|H200|H100|A100|MI300X|MI355X)\b")


def is_kind(source: Source) -> bool:
    return bool(re.search(r"-+ arguments -+|\w+_parallel_size \.{4,}", source.text[: 1 << 20])) or bool(
        _TIME.search(source.head)
    )


def value_of(text: str) -> Any:
    """A value as Python prints it: a number, True, None, a list, or a word.

    >>> value_of("8"), value_of("None"), value_of("['core_attn']"), value_of("selective")
    (8, None, ['core_attn'], 'selective')
    """
    text = text.strip()
    try:
        return ast.literal_eval(text) if len(text) < 2000 else text
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def read(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for a log without arguments."""
    notes = Notes()
    given: dict[str, Any] = {}
    times: list[float] = []
    for line in source.lines:
        if argument := _ARGUMENT.search(line):
            given.setdefault(argument[1], value_of(argument[2]))
        elif time := _TIME.search(line):
            times.append(float(time[2]) * 1e-3)
            if batch := _BATCH.search(line):
                given["global_batch_size"] = int(batch[1])
    if not given:
        raise source.fail("no arguments of Megatron-LM: it prints them when it starts")
    settled = times[max(1, len(times) // 5) :] if len(times) > 1 else times
    step_s = median(settled) if settled else None
    if step_s is None:
        notes.not_understood.append("no iteration with its elapsed time: nothing is measured")
    else:
        spread = 100 * (max(settled) - min(settled)) / step_s
        notes.read.append(f"{len(settled)} iterations, median {step_s:.3f} s, they spread by {spread:.1f} %")
    gpu = _GPU.search(source.text)
    notes.read.append(f"{len(given)} arguments")
    return make_job(
        "megatron-log", source, given, notes, wanted, host=host_of(gpu[1]) if gpu else None, step_s=step_s,
        extra={"iterations": len(times)},
    )  # fmt: skip
