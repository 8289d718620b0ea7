"""`netsim validate --rows FILE.csv`: training steps that anyone published, beside what netsim says of them."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def validate_rows(paths: Sequence[Path], jobs: int, json: bool, quiet: bool) -> int:
    """Print every row, the summary and the ranking; 1 when a target is missed."""
    from netsim.reports.terminal.rows import print_rows
    from netsim.validation.row_csv import read_rows
    from netsim.validation.row_report import RANKING_TARGET, record, right_share, summaries, table
    from netsim.validation.row_run import ranking, run_rows

    rows = [row for path in paths for row in read_rows(path)]
    show = None if quiet or not sys.stderr.isatty() else _progress
    answers = run_rows(rows, jobs, show)
    groups, pairs = summaries(answers), ranking(answers)
    if json:
        print(jsonlib.dumps([record(answer) for answer in answers], indent=1))
    elif not quiet:
        print_rows(table(answers), left=1)
        print_steps(answers)
    share = right_share(pairs)
    return int(any(group.missed for group in groups) or (share is not None and share < RANKING_TARGET))


def _progress(done: int, every: int) -> None:
    print(f"\r{done} of {every} questions", end="\n" if done == every else "", file=sys.stderr, flush=True)


def print_steps(answers: Sequence[Any]) -> None:
    """What could not run and why, the summary with its targets, and the ranking."""
    from netsim.reports.terminal.rows import print_rows
    from netsim.validation.row_interval import inside_words
    from netsim.validation.row_report import RANKING_TARGET, not_run, right_share, summaries
    from netsim.validation.row_run import ranking

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
