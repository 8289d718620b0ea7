"""Published training rows from CSV files of three layouts, recognised by their columns.

    MLPerf Training   a line a run; runs of one submission row are merged (median of their medians)
    Megatron-Bridge   a line a published figure, step time derived from tokens/s
    other             torchtitan, Megatron MoE model zoo, SimuMax, AWS: a line a figure

`reports/published/README.md` lists the columns. Columns that are not known here are ignored: they are the source's
notes. A line without a GPU count stays in the list and says so.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from netsim.errors import NetsimError
from netsim.validation.training_row import TrainingRow

Line = Mapping[str, str]
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "none")


class _Line(dict[str, str]):
    """A line of a CSV; a column that is missing or cut off is empty."""

    def __init__(self, cells: Mapping[str, str | None]) -> None:
        super().__init__({key: value or "" for key, value in cells.items() if isinstance(key, str)})

    def __missing__(self, key: str) -> str:
        return ""


def read_rows(path: Path) -> list[TrainingRow]:
    """The rows of a CSV, in the order of their first lines.

    Raises NetsimError for a file that cannot be read or has the columns of no known layout.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, lines = set(reader.fieldnames or ()), [_Line(line) for line in reader]
    except OSError as error:
        raise NetsimError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise NetsimError(f"{path}: not a CSV in UTF-8: {error}") from None
    for needed, parse in LAYOUTS.items():
        if set(needed) <= columns:
            return parse(lines)
    layouts = "; ".join(", ".join(needed) for needed in LAYOUTS)
    raise NetsimError(f"{path}: columns of no known layout; a layout has at least: {layouts}")


def _mlperf(lines: Iterable[Line]) -> list[TrainingRow]:
    groups: dict[tuple[str, ...], list[Line]] = {}
    keys = ("round", "submitter", "system", "model", "gpus", "global_batch", "precision")
    for line in lines:
        groups.setdefault(tuple(line[key] for key in keys), []).append(line)
    return [_mlperf_row(runs) for runs in groups.values()]


def _mlperf_row(runs: list[Line]) -> TrainingRow:
    line = runs[0]
    measured = [value for run in runs if (value := _number(run["step_time_s"]))]
    lost = line["plan_source"].startswith("unknown")
    return TrainingRow(
        id=f"{line['round']} {line['submitter']} {line['system']} {line['model']}",
        source=line["source"],
        cluster=f"{line['submitter']} {line['system']}",
        framework=line["framework"],
        **_machine(line, "nics_per_node", "nic_gbps"),
        model=line["model"],
        precision=line["precision"],
        attention_precision=line["attention_precision"] or None,
        **_plan(line, {}),
        layout=line["pipeline_layout"] or None,
        recompute=line["recompute"] or None,
        sequence_parallel=_flag(line["sequence_parallel"]),
        tp_overlap=_flag(line["tp_comm_overlap"]),
        gradient_overlap=_flag(line["overlap_grad_reduce"]),
        parameter_overlap=_flag(line["overlap_param_gather"]),
        pipeline_overlap=_flag(line["p2p_overlap"]),
        expert_overlap=_flag(line["ep_overlap"]),
        delayed_wgrad=_flag(line["delayed_wgrad"]),
        distributed_optimizer=_flag(line["distributed_optimizer"]),
        cuda_graph=line["cuda_graph"] or None,
        dispatcher=line["moe"] or None,
        nvls=_flag(line["nvls"]),
        note=line["tp_pp_dp_mapping"],
        set_aside=line["role"] == "calibrate",
        step_s=median(measured) if measured else None,
        runs=len(runs),
        within_pct=_spread(runs),
        between_pct=_between(measured),
        unpublished=_unpublished(line, "the plan: " + line["plan_source"] if lost else ""),
    )


def _spread(runs: Iterable[Line]) -> float | None:
    found = []
    for run in runs:
        low, middle, high = (_number(run[f"step_time{part}_s"]) for part in ("_p5", "", "_p95"))
        if low and middle and high:
            found.append(100.0 * (high - low) / middle)
    return median(found) if found else None


def _between(measured: list[float]) -> float | None:
    return 100.0 * (max(measured) - min(measured)) / median(measured) if len(measured) > 1 else None


def _bridge(lines: Iterable[Line]) -> list[TrainingRow]:
    return [_bridge_row(line) for line in lines]


def _bridge_row(line: Line) -> TrainingRow:
    kind, model = line["kind"], line["model"]
    if kind and kind != "Pre-Training":
        model = f"{model} {kind}"
    notes = [f"router: {line['router']}"] if line["router"] else []
    where = f"{line['container']} {model} {line['gpus']}x{line['gpu']} {line['precision']}"
    return TrainingRow(
        id=f"{where} tp{line['tp']} pp{line['pp']} cp{line['cp']} ep{line['ep']} mb{line['micro_batch']}",
        source=line["source"],
        cluster=f"NVIDIA {line['gpu']}",
        framework=f"Megatron-Bridge {line['container']}",
        **_machine(line, "", ""),
        model=model,
        precision=line["precision"],
        **_plan(line, {}),
        layout=line["pipeline_layout"] or None,
        recompute=line["recompute"] or None,
        tp_overlap=_flag(line["tp_comm_overlap"]),
        gradient_overlap=_flag(line["overlap_grad_reduce"]),
        parameter_overlap=_flag(line["overlap_param_gather"]),
        expert_overlap=_flag(line["ep_overlap"]),
        delayed_wgrad=_flag(line["delayed_wgrad"]),
        cuda_graph=line["cuda_graph"] or None,
        dispatcher=line["dispatcher"] or None,
        note="; ".join(notes),
        step_s=_number(line["step_time_s_derived"]),
        unpublished=_unpublished(line),
    )


def _other(lines: Iterable[Line]) -> list[TrainingRow]:
    return [_other_row(line) for line in lines]


def _other_row(line: Line) -> TrainingRow:
    upper = {key: key.upper() for key in ("tp", "pp", "cp", "ep", "etp", "vp", "fsdp")}
    details = [line[key] for key in ("precision", "comm_library", "overlap") if line[key]]
    overlap = line["overlap"].lower()
    nics, _, rate = line["nics_per_node_x_Gbps"].partition("x")
    plan = _plan(line, upper)
    batch = _whole(line["local_batch_per_dp_rank"])
    if plan["micro_batch"] is None and (plan["pp"] or 1) == 1:
        plan["micro_batch"] = batch
    return TrainingRow(
        id=" ".join([line["group"], *details, f"seq{line['sequence_length']}", f"gb{line['global_batch']}"]
                    + [line["schedule"]] * bool(line["schedule"])),
        source=line["source"],
        cluster=f"{line['framework']} {line['gpu']}",
        framework=line["framework"],
        **_machine({**line, "nics": nics, "rate": rate}, "nics", "rate"),
        model=line["model"],
        precision=line["precision"],
        **plan,
        schedule=line["schedule"] or None,
        recompute=line["recompute"] or None,
        tp_overlap=None if "tp" not in overlap else "async" in overlap,
        expert_overlap=True if "all-to-all overlap" in overlap else None,
        dispatcher=line["comm_library"] or None,
        note="; ".join(text for text in (line["overlap"], line["what"]) if text),
        step_s=_number(line["step_time_s"]),
        tflops=_number(line["tflops_per_gpu_reported"]),
        unpublished=_unpublished(line),
    )  # fmt: skip


def _unpublished(line: Line, plan: str = "") -> str:
    return plan if _whole(line["gpus"]) else "how many GPUs"


def _machine(line: Line, nics: str, rate: str) -> dict[str, Any]:
    return {
        "gpu": line["gpu"],
        "gpus": _whole(line["gpus"]) or 1,
        "gpus_per_host": _whole(line["gpus_per_node"]),
        "nics_per_host": _whole(line[nics]) if nics else None,
        "nic_gbps": _number(line[rate]) if rate else None,
    }


def _plan(line: Line, names: Mapping[str, str]) -> dict[str, Any]:
    keys = ("sequence_length", "global_batch", "micro_batch", "tp", "pp", "cp", "ep", "etp", "vp", "fsdp")
    return {key: _whole(line.get(names.get(key, key), "")) for key in keys}


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0.0 < value < float("inf") else None


def _whole(text: str | None) -> int | None:
    value = _number(text)
    return None if value is None or value != int(value) else int(value)


def _flag(text: str) -> bool | None:
    word = text.strip().lower().split(" ")[0] if text.strip() else ""
    return True if word in _TRUE else False if word in _FALSE else None


#: columns that tell a layout from the others -> its reader
LAYOUTS: dict[tuple[str, ...], Callable[[Iterable[Line]], list[TrainingRow]]] = {
    ("round", "submitter", "system", "model", "gpus", "step_time_s", "plan_source"): _mlperf,
    ("container", "kind", "model", "gpus", "step_time_s_derived"): _bridge,
    ("group", "framework", "model", "gpus", "step_time_s", "local_batch_per_dp_rank"): _other,
}
