"""`netsim calibrate`: a request to a calibration, and its files; what has no effect on its input is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from netsim.calibration.calibrate import Asked, Calibration, calibrate_table, calibrate_trace
from netsim.calibration.job_tables import check_rows, tables, write_tables
from netsim.calibration.json_stream import DEFAULT_LIMIT
from netsim.calibration.report import write_report
from netsim.calibration.write import write_profile
from netsim.errors import NetsimError, SpecError
from netsim.specs.requests import CalibrateRequest
from netsim.units import size


def calibrate(request: CalibrateRequest) -> Calibration:
    """A profile from a trace, or from tables.

    Raises NetsimError for both or neither, for an option without effect, and as the two do.
    """
    name = request.output.stem
    if (request.trace is None) == (not request.table):
        raise NetsimError("netsim calibrate: give either --trace or --table")
    if request.trace is not None:
        if request.column or (request.mode, request.layout, request.unit) != (None, "netsim", None):
            raise NetsimError("--column, --mode, --layout, --unit: only for --table")
        asked = Asked(request.check, request.topology, request.hardware)
        return calibrate_trace(
            request.trace, request.base, request.workload, request.rules, request.about, name, request.fit_all,
            _limit(request.max_size), asked,
        )  # fmt: skip
    _refuse_of_traces(request)
    return calibrate_table(
        request.table, request.base, request.rules, request.about, name, _mapping(request.column), request.mode,
        request.layout, request.unit,
    )  # fmt: skip


def beside_network(request: CalibrateRequest) -> dict[str, object]:
    """Options that mean nothing beside a log of collectives, and what they hold."""
    fields = ("trace", "table", "base", "workload", "about", "rules", "column", "check", "report")
    return {f"--{name}": getattr(request, name) for name in fields}


def write(found: Calibration, request: CalibrateRequest) -> list[Path]:
    """The profile, where anything was fitted, the tables of a job's trace beside it, and the report if asked for."""
    output = request.output
    if found.writes_profile:
        write_profile(found.profile, output)
    files = [output] if found.writes_profile else []
    if found.job is not None:
        checks = [row for check in found.checks for row in check_rows(check)]
        rows = {**tables(found.job), "checks": checks}
        rows["collectives"] = [dict(row) for row in found.collectives] or rows["collectives"]
        files += write_tables(rows, output)
    return files + (write_report(found, request.report) if request.report else [])


def _refuse_of_traces(request: CalibrateRequest) -> None:
    for option, given in (
        ("--max-size", request.max_size),
        ("--check", request.check),
        ("--topology", request.topology),
        ("--hardware", request.hardware),
        ("--workload", request.workload),
    ):
        if given:
            raise NetsimError(f"{option}: only for --trace")
    if request.fit_all:
        raise NetsimError("--fit-all: only for --trace; rows of the set holdout of a table are never fitted")


def _mapping(pairs: Iterable[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        ours, mark, theirs = pair.partition("=")
        if not (ours and mark and theirs):
            raise NetsimError(f"--column {pair}: must be OURS=THEIRS")
        found[ours] = theirs
    return found


def _limit(max_size: str | None) -> int:
    if max_size is None:
        return DEFAULT_LIMIT
    try:
        limit = size(max_size)
    except ValueError as error:
        raise SpecError("netsim calibrate", "--max-size", max_size, str(error)) from None
    if not 1 <= limit < 2**50:
        raise SpecError("netsim calibrate", "--max-size", max_size, "must be at least 1 byte and below 1 PiB")
    return int(limit)
