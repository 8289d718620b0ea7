"""The tables of a job's trace to read: Markdown with what the trace lacks said first.

Left out: pictures; `report` draws the fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netsim.calibration.check import Check
from netsim.calibration.job import Job
from netsim.calibration.job_tables import Row, check_rows, job_coverage, said
from netsim.calibration.trace_events import shown

MOST = 12
_COLLECTIVE = (
    "collective", "gpus", "size_bytes", "dtype", "group", "phases", "runs", "time_us", "min_us", "busbw_GBps",
)  # fmt: skip
_BESIDE = ("netsim_us", "error_pct", "error_of_least_pct", "algorithm")
_PHASE = {
    "F": "forward",
    "B": "backward, inputs",
    "W": "backward, weights",
    "opt": "optimizer",
    "": "unknown",
}


def job_lines(job: Job, found: Mapping[str, Sequence[Row]]) -> list[str]:
    """The sections of a job in a calibration's report."""
    coverage = job_coverage(job.placed)
    lines = [
        f"{100 * coverage.share:.2f} % of {coverage.busy_us / 1e3:.1f} ms of kernel time in {job.steps} "
        f"{'step' if job.steps == 1 else 'steps'} has a class and a phase.",
        *(f"- {note}" for note in said(job)),
        *(f"- not assigned: {us / 1e3:.3f} ms {name}" for name, us in coverage.missing[:MOST]),
        "",
        *table(found["classes"][:30], ("class", "phase", "kernels", "busy_ms", "share_pct", "mean_us")),
        *table(found["time"]),
        *table(
            [row for row in found["layers"] if row["layer"] != ""], ("layer", "phase", "busy_ms", "kernels")
        ),
    ]
    if found["collectives"]:
        more = (
            ("netsim_us", "error_pct", "error_of_least_pct", "algorithm")
            if "netsim_us" in found["collectives"][0]
            else ()
        )
        lines += table(found["collectives"], (*_COLLECTIVE, *more))
    return lines


def check_lines(found: Check) -> list[str]:
    """A trace under the profile, in one section."""
    rows = check_rows(found)
    left = f"; {found.left_out_s * 1e3:.3f} ms without dimensions left out" if found.left_out_s else ""
    return [
        f"`{shown(rows[0]['trace'])}` predicted by this profile: {rows[0]['predicted_ms']:.1f} ms of kernels, measured "
        f"{rows[0]['measured_ms']:.1f} ms ({rows[0]['error_pct']:+.1f} %){left}.",
        "",
        *table(
            rows[1:],
            ("of", "name", "calls", "measured_ms", "predicted_ms", "error_pct", "from_measured_rows_pct"),
        ),
    ]


def table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> list[str]:
    """Rows as Markdown; nothing for none."""
    if not rows:
        return []
    names = columns or list(rows[0])
    return [
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        *(f"| {' | '.join(_cell(name, row[name]) for name in names)} |" for row in rows),
        "",
    ]


def _cell(name: str, value: object) -> str:
    if name == "phase":
        return _PHASE.get(str(value), str(value))
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
