"""`netsim validate` for a person at a terminal: the scorecard with every miss, and what became of training steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netsim.reports.terminal.rows import print_rows
from netsim.validation.row_interval import inside_words
from netsim.validation.row_report import RANKING_TARGET, not_run, right_share, summaries, table
from netsim.validation.row_run import ranking
from netsim.validation.validate import percent, score


def print_scores(found: list[Any], checks: list[Any]) -> None:
    """The scorecard, and every miss."""
    head = "published rows calibrated checked missed median worst median_of_all worst_of_all"
    rows = [head.split()]
    for spec, mine in found:
        s = score(spec, mine)
        errors = map(percent, (s.median_pct, s.worst_pct, s.median_all_pct, s.worst_all_pct))
        rows.append([s.name, str(s.rows), str(s.calibrated), str(s.checked), str(s.missed), *errors])
    print_rows(rows, left=1)
    for check in checks:
        if check.ok is False:
            print(f"missed: {check}")


def print_answers(answers: Sequence[Any]) -> None:
    """Every row, then what `print_steps` says."""
    print_rows(table(answers), left=1)
    print_steps(answers)


def print_steps(answers: Sequence[Any]) -> None:
    """What could not run and why, the summary with its targets, and the ranking."""
    for reason, ids in not_run(answers).items():
        print(f"\nnot run: {reason}")
        print("\n".join(f"  {name}" for name in ids))
    if groups := summaries(answers):
        print()
        print_rows([_HEAD, *map(_group, groups)], left=1)
    if inside := inside_words(answers):
        print(f"\n{inside}")
    if pairs := ranking(answers):
        wrong = [pair for pair in pairs if not pair.right]
        share = 100.0 * (right_share(pairs) or 0.0)
        print(
            f"\nranking: {len(pairs) - len(wrong)} of {len(pairs)} pairs of plans in the order measured",
            end="",
        )
        print(f" ({share:.0f} %; {100.0 * RANKING_TARGET:.0f} % asked for)")
        for pair in wrong:
            print(
                f"  wrong: {pair.faster} before {pair.slower}: measured {pair.published_ratio:.2f}, ", end=""
            )
            print(f"simulated {pair.simulated_ratio:.2f}")


_HEAD = ("predicted rows", "rows", "median_pct", "target", "worst_pct", "target", "null_median_pct", "")


def _group(group: Any) -> tuple[str, ...]:
    return (
        group.name,
        str(group.rows),
        f"{group.median_pct:.1f}",
        "" if group.median_target_pct is None else f"{group.median_target_pct:g}",
        f"{group.worst_pct:.1f}",
        "" if group.worst_target_pct is None else f"{group.worst_target_pct:g}",
        "" if group.null_median_pct is None else f"{group.null_median_pct:.1f}",
        "missed" if group.missed else "",
    )
