"""`netsim calibrate`: a compute profile from kernels that really ran."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netsim.cli.options import Force, Json, Quiet

if TYPE_CHECKING:
    from netsim.calibration.calibrate import Calibration

Trace = Annotated[
    Path | None, typer.Option("--trace", help="PyTorch profiler (Kineto) trace, JSON or JSON.gz.")
]
Tables = Annotated[
    list[Path] | None,
    typer.Option("--table", help="Kernel table: what netsim measure wrote, CSV or Parquet. Repeatable."),
]
Profile = Annotated[Path, typer.Option("-o", "--output", help="The profile to write, a TOML.")]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="Profile that lends what was not measured. [default: that of the device; h800 for annotated blocks]",
    ),
]
Workload = Annotated[
    str | None,
    typer.Option("--workload", "-w", help="Job whose blocks a trace annotates. [default: deepseek-v3]"),
]
Checks = Annotated[
    list[Path] | None,
    typer.Option("--check", help="Another trace of the same GPU: predict its kernel time. Repeatable."),
]
Layout = Annotated[
    str,
    typer.Option("--layout", help="How a table is written: netsim, aiconfigurator, deepgemm or vidur."),
]
Unit = Annotated[
    str | None,
    typer.Option("--unit", help="Unit of a table's time where its column does not say it: ns, us, ms or s."),
]
Fabric = Annotated[
    str | None,
    typer.Option(
        "--topology", "-t", help="Fabric: time the collectives of a trace on it, beside how they ran."
    ),
]
Host = Annotated[
    str | None,
    typer.Option("--hardware", help="Hosts of that fabric. [default: the preset with the trace's GPU]"),
]
About = Annotated[
    Path | None, typer.Option("--about", help="TOML with the facts of the device and the measurement.")
]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="TOML with more rules, tried before the shipped ones.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="OURS=THEIRS", help="Column of a table by another name. Repeatable."),
]
Mode = Annotated[
    str | None, typer.Option("--mode", help="Clock protocol of a table's rows to use. [default: cool]")
]
FitAll = Annotated[bool, typer.Option("--fit-all", help="Fit to every operator of a trace; hold none out.")]
MaxSize = Annotated[
    str | None,
    typer.Option("--max-size", help="Most that a trace may hold once decompressed. [default: 1 GiB]"),
]
Network = Annotated[
    Path | None,
    typer.Option(
        "--network", help="Log of nccl-tests, DeepEP or NCCL Inspector: write hosts and library instead."
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", help="Write residuals and pictures into this folder.")
]


def calibrate(
    trace: Trace = None,
    table: Tables = None,
    output: Profile = Path("profile.toml"),
    base: Base = None,
    workload: Workload = None,
    about: About = None,
    rules: RulesFile = None,
    column: Columns = None,
    mode: Mode = None,
    layout: Layout = "netsim",
    unit: Unit = None,
    fit_all: FitAll = False,
    max_size: MaxSize = None,
    check: Checks = None,
    topology: Fabric = None,
    hardware: Host = None,
    network: Network = None,
    report: Report = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a compute profile from a profiler trace or a table of kernel timings, and say how far to trust it."""
    from netsim.calibration.calibrate import summary
    from netsim.calibration.report import write_report
    from netsim.errors import NetsimError

    if network is not None:
        from netsim.api.files import import_network
        from netsim.cli.output import answer
        from netsim.reports.terminal.imports import print_import

        given = {"--trace": trace, "--table": table, "--base": base, "--workload": workload, "--about": about,
                 "--rules": rules, "--column": column, "--check": check, "--report": report}  # fmt: skip
        answer(import_network(network, output, topology, hardware, force, given), json, quiet, print_import)
        return
    if output.exists() and not force:
        raise NetsimError(f"{output}: already there; add --force to overwrite it")
    found = _calibrate(
        trace,
        table,
        output.stem,
        base,
        workload,
        about,
        rules,
        column,
        (mode, layout, unit),
        fit_all,
        max_size,
        (check, topology, hardware),
    )
    files = _write(found, output)
    files += write_report(found, report) if report else []
    if json:
        from netsim.reports.rundir import to_json

        sys.stdout.write(to_json(summary(found)))
    elif not quiet:
        from netsim.calibration.report import markdown

        print(markdown(found))
    if not quiet:
        print(f"wrote {', '.join(map(str, files))}", file=sys.stderr)


def _write(found: Calibration, output: Path) -> list[Path]:
    """The profile, where anything was fitted, and the tables of a job's trace beside it."""
    from netsim.calibration.job_tables import check_rows, tables, write_tables
    from netsim.calibration.write import write_profile

    if found.writes_profile:
        write_profile(found.profile, output)
    files = [output] if found.writes_profile else []
    if found.job is not None:
        checks = [row for check in found.checks for row in check_rows(check)]
        rows = {**tables(found.job), "checks": checks}
        rows["collectives"] = [dict(row) for row in found.collectives] or rows["collectives"]
        files += write_tables(rows, output)
    return files


def _calibrate(
    trace: Path | None,
    table: list[Path] | None,
    name: str,
    base: str | None,
    workload: str | None,
    about: Path | None,
    rules: Path | None,
    column: list[str] | None,
    written: tuple[str | None, str, str | None],
    fit_all: bool,
    max_size: str | None,
    more: tuple[list[Path] | None, str | None, str | None],
) -> Calibration:
    from netsim.calibration.calibrate import Asked, calibrate_table, calibrate_trace
    from netsim.errors import NetsimError

    if (trace is None) == (not table):
        raise NetsimError("netsim calibrate: give either --trace or --table")
    if trace is not None:
        if column or written != (None, "netsim", None):
            raise NetsimError("--column, --mode, --layout, --unit: only for --table")
        return calibrate_trace(
            trace,
            base,
            workload,
            rules,
            about,
            name,
            fit_all,
            _limit(max_size),
            Asked(tuple(more[0] or ()), *more[1:]),
        )
    for option, given in (
        ("--max-size", max_size),
        ("--check", more[0]),
        ("--topology", more[1]),
        ("--hardware", more[2]),
        ("--workload", workload),
    ):
        if given:
            raise NetsimError(f"{option}: only for --trace")
    if fit_all:
        raise NetsimError("--fit-all: only for --trace; rows of the set holdout of a table are never fitted")
    return calibrate_table(table or [], base, rules, about, name, _mapping(column or []), *written)


def _mapping(pairs: list[str]) -> dict[str, str]:
    from netsim.errors import NetsimError

    found = {}
    for pair in pairs:
        ours, mark, theirs = pair.partition("=")
        if not (ours and mark and theirs):
            raise NetsimError(f"--column {pair}: must be OURS=THEIRS")
        found[ours] = theirs
    return found


def _limit(max_size: str | None) -> int:
    from netsim.calibration.json_stream import DEFAULT_LIMIT
    from netsim.errors import SpecError
    from netsim.units import size

    if max_size is None:
        return DEFAULT_LIMIT
    try:
        limit = size(max_size)
    except ValueError as error:
        raise SpecError("netsim calibrate", "--max-size", max_size, str(error)) from None
    if not 1 <= limit < 2**50:
        raise SpecError("netsim calibrate", "--max-size", max_size, "must be at least 1 byte and below 1 PiB")
    return int(limit)
