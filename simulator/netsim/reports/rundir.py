"""A run directory: the result, the spec that made it, and its tables, each file written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from netsim.errors import NetsimError
from netsim.specs.borders import write_csv
from netsim.specs.output import begin_folder, claim_folder, release_folder, write_text_whole, write_whole

if TYPE_CHECKING:
    import pandas as pd

    from netsim.training.simulate import Step
from netsim.specs.faults import parse_fault

TABLES = ("tasks", "collectives", "links")
#: tables of a step that is explained
EXPLAINED = ("waterfall", "critical_path", "mean_rank", "ranks", "sensitivities", "operators")


def prepare(folder: Path, force: bool = False) -> None:
    """Make sure that an answer can be written here, and claim the folder, before the work is done.

    Raises NetsimError when the folder cannot be made or written, is being written, or holds an answer already.
    """
    claim_folder(folder, force)


def write_run(folder: Path, step: Step, result: dict[str, Any], csv: bool = False) -> list[Path]:
    """Write result.json, spec.toml, the tables, a timeline for Perfetto, a picture and a page; returns the files.

    Raises NetsimError when a file cannot be written.
    """
    import pandas as pd

    from netsim.reports.gantt import gantt, save
    from netsim.reports.page import render
    from netsim.reports.run_page import run_document
    from netsim.reports.timeline import timeline
    from netsim.training.tables import collectives_table, links_table, tasks_table

    _clear(folder)
    asked = {"run": {"gpus": step.plan.gpus, "scaling": step.plan.scaling, "seed": step.seed}}
    written = write_files(folder, {"spec.toml": tomli_w.dumps(asked | step.case.as_tables())})
    if "faults" in result:  # as `--fault` reads them
        faults = [parse_fault(row["fault"]).as_table() for row in result["faults"]["each"]]
        written += write_files(folder, {"faults.toml": tomli_w.dumps({"faults": faults})})
    tables = {"tasks": tasks_table(step), "collectives": collectives_table(step), "links": links_table(step)}
    tables |= {name: pd.DataFrame(result["explain"][name]) for name in EXPLAINED if "explain" in result}
    for name, table in tables.items():
        written += write_frame(folder, name, table, csv)
    written.append(write_whole(folder / "timeline.perfetto-trace", lambda p: p.write_bytes(timeline(step))))
    written.append(write_whole(folder / "gantt.svg", lambda p: save(gantt(step), p, "svg")))
    page = render(run_document(step, result))
    written.append(write_whole(folder / "report.html", lambda p: p.write_text(page, "utf-8")))
    # last: a folder with a result is whole
    written = [*write_files(folder, {"result.json": to_json(result)}), *written]
    release_folder(folder)
    return written


def _clear(folder: Path) -> None:
    """Take away what a run before left, the result first, and its CSVs, which this one may not write again."""
    begin_folder(folder)
    stale = [
        folder / "faults.toml",
        *(folder / f"{name}.csv" for name in (*TABLES, *EXPLAINED)),
        *(folder / f"{name}.parquet" for name in EXPLAINED),
    ]
    try:
        for path in stale:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise NetsimError(f"{path}: cannot be removed: {error.strerror}") from None


def write_frame(folder: Path, name: str, frame: pd.DataFrame, csv: bool) -> list[Path]:
    """Write a table as Parquet, and as CSV too if asked; returns the files.

    Raises NetsimError when a file cannot be written.
    """
    written = [write_whole(folder / f"{name}.parquet", lambda p: frame.to_parquet(p, index=False))]
    if csv:
        written.append(write_whole(folder / f"{name}.csv", lambda p: write_csv(frame, p)))
    return written


def write_files(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts into files of a folder; returns the files.

    Raises NetsimError when a file cannot be written.
    """
    return [write_text_whole(folder / name, text) for name, text in texts.items()]


def to_json(result: dict[str, Any]) -> str:
    """The record as text, keys in the order of the contract."""
    return json.dumps(result, indent=1, allow_nan=False) + "\n"
