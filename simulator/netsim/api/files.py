"""Other tools' files: `netsim import` as a function. What a file says is written in netsim's words, and, where it holds
a measured step, the same job is simulated and stands beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError
from netsim.importers.kinds import read
from netsim.importers.report import Imported, Wanted
from netsim.specs.output import write_text_whole

_ENDINGS = (".toml", ".csv")


def import_file(
    path: str | Path,
    kind: str | None = None,
    *,
    wanted: Wanted | None = None,
    output: str | Path | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Read a file of another tool; `netsim import` prints the record that is returned.

    kind : as in `netsim.importers.kinds.KINDS`; None: what it looks like
    output : stem of the names of the files to write; None: nothing is written

    Raises NetsimError for a file that cannot be read, and for files that are there already without `force`.
    """
    imported = read(Path(path), kind, wanted)
    stem = Path(output or "imported")
    stem = stem.with_suffix("") if stem.suffix in _ENDINGS else stem
    record = imported.as_record()
    if output is not None:
        record["files"] = [str(file) for file in _write(imported, stem, force)]
        record["then"] = [line.replace("{stem}", str(stem)) for line in imported.then]
    if imported.step_s is not None:
        with tempfile.TemporaryDirectory() as folder:
            _write(imported, Path(folder, stem.name), True)
            record["step"] = _beside(imported, Path(folder, stem.name))
    return record


def import_network(
    path: Path,
    output: Path,
    topology: str | None,
    hardware: str | None,
    force: bool,
    given: Mapping[str, object],
) -> dict[str, Any]:
    """`netsim calibrate --network`: a benchmark's log as hosts and library; `given` are options that it has no use for.

    Raises NetsimError for one of those, and for a file that is no such log.
    """
    for option, value in given.items():
        if value:
            raise NetsimError(f"{option}: has no effect on --network")
    record = import_file(path, wanted=Wanted(topology, None, hardware), output=output, force=force)
    if "fitted" not in record:
        raise NetsimError(f"{path}: {record['kind']}: no log of a network benchmark")
    return record


def _write(imported: Imported, stem: Path, force: bool) -> list[Path]:
    written = []
    for ending in imported.files:
        path = Path(f"{stem}{ending}")
        if path.exists() and not force:
            raise NetsimError(f"{path}: already there; add --force to overwrite it")
        written.append(path)
    for path, text in zip(written, imported.files.values(), strict=True):
        text = (
            text.replace("{stem}", stem.name).replace("{name}", stem.name).replace("{file}", imported.place)
        )
        write_text_whole(path, text)
    return written


def question_of(imported: Imported, stem: Path) -> dict[str, Any]:
    """Fields of a question, endings of files made into their paths."""
    return {
        key: f"{stem}{value}" if isinstance(value, str) and value in imported.files else value
        for key, value in imported.question.items()
    }


def _beside(imported: Imported, stem: Path) -> dict[str, Any]:
    """The measured step beside the simulated one, and where the simulated one goes."""
    from netsim.analysis.answer import add_explanation
    from netsim.analysis.answer import answer as ask
    from netsim.specs.question import Question

    question, measured_s = Question(**question_of(imported, stem)), imported.step_s
    assert measured_s is not None
    step, result = ask(question)
    add_explanation(step, question, result)
    simulated_s = result["step"]["time_s"]
    return {
        "measured_s": measured_s, "simulated_s": simulated_s, "error_pct": 100 * (simulated_s / measured_s - 1),
        "topology": question.topology, "gpus": question.gpus, "parallelism": result["workload"]["parallelism"],
        "warnings": result["warnings"], "explain": result["explain"],
    }  # fmt: skip
