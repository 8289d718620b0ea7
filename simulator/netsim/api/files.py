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
from netsim.specs.question import Question

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


def export_traffic(
    form: str,
    what: str,
    question: Question,
    output: str | Path,
    *,
    size: str | None = None,
    algorithm: str | None = None,
    group_size: int | None = None,
    phase: str | None = None,
    protocol: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Write the traffic of a step, of one phase of it, of a collective or an incast for another tool.

    form : as in `netsim.exporters.formats.FORMATS`; what : step, a collective, or incast; phase : a transfer of the
    step, such as dispatch

    Raises NetsimError for an option without effect, and for traffic that the format cannot hold.
    """
    from netsim.collectives.request import make_setup
    from netsim.collectives.sizes import parse_sizes
    from netsim.exporters.formats import export, format_of
    from netsim.exporters.step_traffic import step_exchange
    from netsim.exporters.traffic import collective_exchange

    format_of(form)
    of_collective = {
        "--size": size,
        "--algorithm": algorithm,
        "--group-size": group_size,
        "--protocol": protocol,
    }
    idle = of_collective if what == "step" else {"--phase": phase}
    for option, value in idle.items():
        if value is not None:
            raise NetsimError(f"{option}: has no effect on {what}")
    if what == "step":
        exchange = step_exchange(question, phase)
    else:
        setup = make_setup(
            question.topology, question.gpus, protocol or "nccl", kind=what, algorithm=algorithm or "auto",
            hardware=question.hardware or "h800", routing=question.routing, seed=question.seed,
            overrides=question.overrides,
        )  # fmt: skip
        sizes = parse_sizes(size or "1GiB")
        if len(sizes) != 1:
            raise NetsimError(f"--size {size}: must be one size")
        exchange = collective_exchange(setup, what, sizes[0], algorithm or "auto", group_size)
    return export(form, exchange, Path(output), force)
