"""What a calibration is worth, to read: a Markdown table of residuals and one picture a class.

Left out: judgement; the tables show what was fitted, what was held out, and a constant efficiency beside it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from netsim.calibration.build import ClassResult, device_of
from netsim.calibration.calibrate import Calibration
from netsim.calibration.fit import Spread, predict
from netsim.calibration.job_report import check_lines, job_lines
from netsim.calibration.job_tables import tables
from netsim.errors import NetsimError
from netsim.specs.output import write_text_whole, write_whole

WORST = 12
#: errors beyond it are drawn at the edge, percent
LIMIT = 60


def write_report(found: Calibration, folder: Path, plots: bool = True) -> list[Path]:
    """`<profile>.md` and pictures of measured against predicted times in a folder.

    Raises NetsimError when the folder cannot be written.
    """
    name = re.sub(r"\W+", "_", found.profile.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NetsimError(f"{folder}: cannot be written: {error.strerror}") from None
    files = [write_text_whole(folder / f"{name}.md", markdown(found, f"{name}.png" if plots else ""))]
    if plots:
        files.append(write_whole(folder / f"{name}.png", lambda path: _picture(found, path)))
    return files


def markdown(found: Calibration, picture: str = "") -> str:
    """The report as text."""
    about = found.about
    lines = [
        f"# Calibration `{found.profile.name}`",
        "",
        f"{about.device}, from {_names(found.source)}; clock: {about.clock}. Errors are of predicted over "
        "measured time, in percent: median / 90th percentile / worst (rows). *Held out* rows were never fitted; "
        "*constant* is a roofline with one efficiency of each peak and a launch, fitted to the same rows and judged on "
        "the held-out ones.",
        "",
        "| class | kernels | rows | fitted | cross-validated | held out | constant |",
        "|---|---|---|---|---|---|---|",
        *(_class_line(kind, r) for kind, r in found.classes.items()),
        "",
        *_coverage(found),
        *_worst(found),
    ]
    if picture:
        lines += [f"![measured against predicted]({picture})", ""]
    return "\n".join(lines)


def _names(source: str) -> str:
    return ", ".join(f"`{Path(part).name}`" for part in source.split(", "))


def _class_line(kind: str, r: ClassResult) -> str:
    cells = (_cell(r.fitted), _cell(r.crossed), _cell(r.held_out), _cell(r.constant))
    return f"| `{kind}` | {r.flavour} | {len(r.samples)} | {' | '.join(cells)} |"


def _cell(spread: Spread | None) -> str:
    if spread is None or not spread.samples:
        return "-"
    return f"{100 * spread.median:.1f} / {100 * spread.p90:.1f} / {100 * spread.worst:.1f} ({spread.samples})"


def _coverage(found: Calibration) -> list[str]:
    if found.job is not None:
        checks = [line for check in found.checks for line in check_lines(check)]
        rows = tables(found.job)
        rows["collectives"] = [dict(row) for row in found.collectives] or rows["collectives"]
        return [*job_lines(found.job, rows), *checks]
    if found.coverage is None:
        lost = [f"- {count} rows: {why}" for why, count in (found.unused or {}).items()]
        return ["Rows that were not used:", "", *lost, ""] if lost else []
    lines = [
        f"{100 * found.coverage.share:.2f} % of {found.coverage.busy_us / 1e3:.1f} ms of kernel time has class, phase "
        "and layer.",
        "",
        *(f"- not assigned: {us / 1e3:.3f} ms {name}" for name, us in found.coverage.missing[:WORST]),
        "| block | busy ms by layer |",
        "|---|---|",
    ]
    places = sorted({place for place, _ in found.blocks_us or {}})
    for place in places:
        times = [us for (at, _), us in (found.blocks_us or {}).items() if at == place]
        lines.append(f"| {place} | {', '.join(f'{us / 1e3:.3f}' for us in times)} |")
    return [*lines, ""]


def _worst(found: Calibration) -> list[str]:
    device, rows = device_of(found.about), []
    for result in found.classes.values():
        predicted = predict(result.samples, result.model, device)
        for sample, seconds, error in zip(result.samples, predicted, result.relative, strict=True):
            rows.append((abs(error), sample.name, sample.seconds, seconds, error, sample.held_out))
    rows.sort(reverse=True, key=lambda row: row[0])
    lines = [
        f"The {WORST} largest errors:",
        "",
        "| kernel | measured us | predicted us | error % | |",
        "|---|---|---|---|---|",
    ]
    for _, name, measured, seconds, error, held_out in rows[:WORST]:
        lines.append(
            f"| `{name}` | {measured * 1e6:.1f} | {seconds * 1e6:.1f} | {100 * error:+.1f} | "
            f"{'held out' if held_out else 'fitted'} |"
        )
    return [*lines, ""]


def _picture(found: Calibration, path: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    results = [r for r in found.classes.values() if len(r.samples) > 1]
    columns = 4
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 2.9 * rows), squeeze=False)
    for axis, result in zip(axes.flat, results, strict=False):
        measured = np.array([s.seconds for s in result.samples]) * 1e6
        error = np.clip(100 * result.relative, -LIMIT, LIMIT)
        for hidden, colour, label in ((False, "0.6", "fitted"), (True, "tab:red", "held out")):
            mask = np.array([s.held_out == hidden for s in result.samples])
            if mask.any():
                axis.plot(
                    measured[mask], error[mask], "o", ms=3.5, color=colour, label=f"{label} ({mask.sum()})"
                )
        axis.axhline(0, lw=0.8, color="black")
        axis.axhspan(-15, 15, color="tab:green", alpha=0.08)
        axis.set_xscale("log")
        axis.set_xlim(measured.min() / 1.5, measured.max() * 1.5)
        axis.xaxis.set_major_locator(
            LogLocator(subs=(1.0,) if measured.max() > 20 * measured.min() else (1.0, 2.0, 5.0))
        )
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_ylim(-LIMIT - 3, LIMIT + 3)
        axis.set_title(result.kind, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=6, loc="lower right")
    for axis in axes.flat[len(results) :]:
        axis.axis("off")
    figure.supxlabel("measured time, us", fontsize=9)
    figure.supylabel("predicted over measured - 1, %", fontsize=9)
    figure.suptitle(f"{found.profile.name}: band of 15 %, errors beyond {LIMIT} % at the edge", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path
