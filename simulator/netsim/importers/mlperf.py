"""MLPerf Training: a submission's `config_*.sh` (the plan), and `:::MLLOG` lines (batch, sequence, measured steps).

A configuration is read, not run: exports, defaults in `${NAME:-value}` and sums in `$((...))` of what was set before.
`MINIBS` is the batch of a data-parallel replica. The model is that of --workload.

Source: mlcommons/training_results, NVIDIA's implementations; mlcommons/logging.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable
from statistics import median
from typing import Any

from netsim.importers.bench import host_of
from netsim.importers.job import make_job
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source

_SET = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*?)\s*(?:\s#.*)?$")
_UNSET = re.compile(r'^\s*:\s+"?\$\{([A-Z][A-Z0-9_]*):?=(.*?)\}"?\s*(?:\s#.*)?$')
_DEFAULT = re.compile(r"\$\{([A-Z][A-Z0-9_]*):?[-=]([^${}]*)\}")
_NAME = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)\}?")
_ARGUMENTS = {
    "TENSOR_MODEL_PARALLEL": "tensor_model_parallel_size", "PIPELINE_MODEL_PARALLEL": "pipeline_model_parallel_size",
    "CONTEXT_PARALLEL": "context_parallel_size", "EXPERT_MODEL_PARALLEL": "expert_model_parallel_size",
    "EXPERT_PARALLEL": "expert_model_parallel_size", "INTERLEAVED_PIPELINE": "virtual_pipeline_model_parallel_size",
    "MICRO_BATCH_SIZE": "micro_batch_size", "SEQ_LENGTH": "seq_length", "TP_COMM_OVERLAP": "tp_comm_overlap",
    "EXPERT_TENSOR_PARALLEL": "expert_tensor_parallel_size", "GLOBAL_BATCH_SIZE": "global_batch_size",
    "PIPELINE_MODEL_PARALLEL_LAYOUT": "pipeline_model_parallel_layout", "MAX_SEQ_LEN": "seq_length",
}  # fmt: skip
_QUIET = re.compile(
    r"WALLTIME|DGX|LR|WARMUP|VAL_|NVTE|UB_|TE_|NCCL|SLURM|CUDA|MLPERF|HANG|SEED|CHECK|LOAD|SKIP|LOG|DATA"
)
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


def is_config(source: Source) -> bool:
    return "DGXNNODES" in source.text and "=" in source.head


def is_log(source: Source) -> bool:
    return ":::MLLOG" in source.text


def read_config(source: Source, wanted: Wanted) -> Imported:
    """Raises NetsimError for a configuration without the number of nodes."""
    notes, strange = Notes(), []
    values: dict[str, str] = {}
    for number, line in enumerate(source.lines, start=1):
        text = line.strip()
        if not text or text.startswith("#") or text.startswith("source "):
            if text.startswith("source "):
                strange.append(text[:60])
            continue
        if match := _UNSET.match(line):
            values.setdefault(match[1], _value(match[2], values))
        elif match := _SET.match(line):
            values[match[1]] = _value(match[2], values)
        else:
            strange.append(f"line {number}: {text[:40]}")
    notes.many("lines (other files and shell code are not run)", strange)
    given: dict[str, Any] = {}
    for theirs, ours in _ARGUMENTS.items():
        if theirs in values and values[theirs] not in ("null", "None", ""):
            given[ours] = _number(values[theirs])
    for name in ("FP8", "FP4"):
        if str(values.get(name, "False")).lower() in ("true", "1"):
            given[name.lower()] = "hybrid"
            given["fp8_recipe"] = str(values.get("FP8_RECIPE", "delayed"))
    given["virtual_pipeline_model_parallel_size"] = given.get("virtual_pipeline_model_parallel_size") or None
    nodes, each = _number(values.get("DGXNNODES", "")), _number(values.get("DGXNGPU", "8"))
    if not isinstance(nodes, int) or not isinstance(each, int):
        raise source.fail(
            f"DGXNNODES = {values.get('DGXNNODES')!r}, DGXNGPU = {values.get('DGXNGPU')!r}: must be numbers"
        )
    given["world_size"] = nodes * each
    minibs = _number(values.get("MINIBS", ""))
    model = [given.get(f"{name}_parallel_size", 1) for name in ("tensor_model", "pipeline_model", "context")]
    if isinstance(minibs, int) and all(isinstance(size, int) and size > 0 for size in model):
        given.setdefault("global_batch_size", minibs * nodes * each // (model[0] * model[1] * model[2]))
    given |= {"use_distributed_optimizer": True, "overlap_grad_reduce": True, "overlap_param_gather": True}
    notes.assumed.append(
        "distributed optimizer, gradients and parameters beside compute, as these submissions run"
    )
    read = sorted(name for name in values if name not in _ARGUMENTS and not _QUIET.search(name))
    notes.many("settings", [name for name in read if name not in ("MINIBS", "FP8", "FP4", "FP8_RECIPE")])
    system = str(values.get("DGXSYSTEM", "")) + source.path.name
    return make_job(
        "mlperf-config", source, given, notes, wanted, framework="nemo-25.01", host=host_of(system)
    )


def _value(text: str, known: dict[str, str]) -> str:
    """A value with names and sums replaced by what they stand for, as far as it is known."""
    text = text.strip().strip("\"'")
    text = _DEFAULT.sub(lambda match: known.get(match[1], match[2]), text)
    text = _NAME.sub(lambda match: known.get(match[1], match[0]), text)
    if match := re.fullmatch(r"\$\(\((.{1,200})\)\)", text):
        try:
            return str(_sum(ast.parse(match[1].strip(), mode="eval").body))
        except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, OverflowError):
            return text
    return text


def _sum(node: ast.AST) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_sum(node.left), _sum(node.right))
    raise ValueError("no sum of numbers")


def _number(text: str) -> Any:
    if str(text).lower() in ("true", "false"):
        return str(text).lower() == "true"
    return int(text) if re.fullmatch(r"\d{1,15}", str(text)) else text


def read_log(source: Source, wanted: Wanted) -> Imported:
    """`:::MLLOG` lines; the plan is that of --workload."""
    notes, strange = Notes(), []
    values: dict[str, Any] = {}
    steps: list[float] = []
    for number, line in enumerate(source.lines, start=1):
        _, mark, text = line.partition(":::MLLOG")
        if not mark:
            continue
        try:
            entry = json.loads(text)
            key, value = entry["key"], entry.get("value")
        except (ValueError, KeyError, TypeError, RecursionError):
            strange.append(f"line {number}")
            continue
        if key == "tracked_stats" and isinstance(value, dict):
            step = value.get("train_step_time")
            steps += [float(step)] if isinstance(step, int | float) and step > 0 else []
        elif not isinstance(value, dict):
            values.setdefault(str(key), value)
    notes.many("lines", strange)
    if not values:
        raise source.fail("no line of :::MLLOG with a key")
    if wanted.workload is None:
        raise source.fail("an MLPerf log has no plan: name the job with --workload, and --gpus")
    step_s = median(steps[len(steps) // 5 :]) if steps else None
    notes.read.append(f"{len(values)} keys, {len(steps)} step times")
    given = {
        "global_batch_size": values.get("global_batch_size"), "seq_length": values.get("max_sequence_length"),
        "use_distributed_optimizer": True,
    }  # fmt: skip
    return make_job(
        "mlperf-log", source, given, notes, wanted, framework="nemo-25.01", step_s=step_s,
        host=host_of(str(values.get("submission_platform", ""))),
        extra={"benchmark": values.get("submission_benchmark")},
    )  # fmt: skip
