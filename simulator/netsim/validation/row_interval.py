"""The interval of a published row's answer, and whether the published step falls inside."""

from __future__ import annotations

from collections.abc import Sequence

from netsim.analysis.uncertainty.evidence import FILE, evidence
from netsim.analysis.uncertainty.factors import from_worth
from netsim.analysis.uncertainty.interval import Sure, sure_of
from netsim.specs import load
from netsim.specs.catalog import root
from netsim.specs.profile import ProfileSpec
from netsim.validation.row_run import Answer


def row_sure(answer: Answer) -> Sure | None:
    """How sure the answer to a row is; None without an answer, and before the first errors were written."""
    if answer.simulated_s is None or answer.kind is None or not (root() / FILE).is_file():
        return None
    made = from_worth(answer.worth, evidence(), load(ProfileSpec, "profile", answer.profile))
    return sure_of(answer.kind, answer.row.gpus, tuple(made))


def interval_s(answer: Answer) -> list[float] | None:
    """Seconds at both ends of the interval."""
    sure = row_sure(answer)
    return None if sure is None or answer.simulated_s is None else sure.of(answer.simulated_s)


def is_inside(answer: Answer) -> bool | None:
    """Whether what was measured falls inside; None where nothing can be said."""
    ends = interval_s(answer)
    return None if ends is None or answer.published_s is None else ends[0] <= answer.published_s <= ends[1]


def inside_words(answers: Sequence[Answer]) -> str:
    """How many predicted rows fall inside, in words; empty where there are none."""
    known = [inside for a in answers if not a.row.sets_constant and (inside := is_inside(a)) is not None]
    if not known:
        return ""
    share = f"{sum(known)} of {len(known)} predicted rows ({100.0 * sum(known) / len(known):.0f} %)"
    return f"{share} inside their 80 % intervals"
