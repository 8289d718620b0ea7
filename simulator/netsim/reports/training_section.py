"""The part of the validation page on training steps: targets, ranking, and rows that netsim cannot express."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.validation.row_report import RANKING_TARGET, Summary, not_run, right_share, summaries
from netsim.validation.row_run import Answer, ranking


def training_section(answers: Sequence[Answer]) -> str:
    """Markdown; empty without training steps."""
    if not answers:
        return ""
    title = "## Training steps: predicted rows against their targets"
    return "\n".join([title, "", *_targets(answers), *_ranking(answers), *_left_out(answers), ""])


def _targets(answers: Sequence[Answer]) -> list[str]:
    head = [
        "Calibrated rows are left out. The null model is a line in micro-batches through two rows.",
        "",
        "| rows of | rows | median | target | worst | target | null model, median | |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    return [*head, *map(_line, summaries(answers)), ""]


def _line(group: Summary) -> str:
    words = [
        group.name,
        str(group.rows),
        f"{group.median_pct:.1f} %",
        _percent(group.median_target_pct),
        f"{group.worst_pct:.1f} %",
        _percent(group.worst_target_pct),
        _percent(group.null_median_pct),
        "**missed**" if group.missed else "",
    ]
    return f"| {' | '.join(words)} |"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} %"


def _ranking(answers: Sequence[Answer]) -> list[str]:
    pairs = ranking(answers)
    if not pairs:
        return []
    wrong = [pair for pair in pairs if not pair.right]
    share = 100.0 * (right_share(pairs) or 0.0)
    lines = [
        f"Of {len(pairs)} pairs of plans that one cluster ran with steps more than 5 % apart, netsim puts "
        f"{len(pairs) - len(wrong)} ({share:.0f} %) in the order measured; "
        f"{100.0 * RANKING_TARGET:.0f} % are asked for."
    ]
    if wrong:
        lines += ["", "| faster | slower | measured | simulated |", "|---|---|--:|--:|"]
    for pair in wrong:
        lines.append(
            f"| {pair.faster} | {pair.slower} | {pair.published_ratio:.2f} | {pair.simulated_ratio:.2f} |"
        )
    return [*lines, ""]


def _left_out(answers: Sequence[Answer]) -> list[str]:
    reasons = not_run(answers)
    if not reasons:
        return []
    lines = ["Rows that netsim cannot express:", ""]
    return [*lines, *(f"- {len(ids)} x {reason}: {', '.join(ids)}" for reason, ids in reasons.items())]
