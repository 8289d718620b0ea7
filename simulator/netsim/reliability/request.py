"""A question about goodput from names and values, checked before anything is simulated."""

from __future__ import annotations

from netsim.errors import NetsimError
from netsim.reliability.study import GoodputRequest, Policy
from netsim.specs import load
from netsim.specs.case import sort_overrides
from netsim.specs.idle import refuse, refuse_idle, refuse_unread
from netsim.specs.question import Question
from netsim.specs.reliability import ReliabilitySpec
from netsim.units import bounded

#: failure rates where a question names none
DEFAULT_TABLE = "llama3"


def make_request(
    question: Question,
    *,
    days: int = 30,
    checkpoint_interval: str = "auto",
    checkpoint_time: str | None = None,
    restart: str = "10min",
    spares: int = 0,
    runs: int = 1000,
) -> GoodputRequest:
    """The case of the question and the policy that the values stand for.

    Keys `reliability....` of the overrides are the table's.

    Times are texts with their unit. Raises NetsimError for what is wrong, or has no effect on goodput.
    """
    for name, value, least in (("days", days, 1), ("runs", runs, 2), ("spares", spares, 0)):
        if value < least:
            raise NetsimError(f"{name} = {value}, must be at least {least}")
    given = dict(question.overrides)
    own = {key.partition(".")[2]: given.pop(key) for key in list(given) if key.startswith("reliability.")}
    table = load(ReliabilitySpec, "reliability", question.reliability or DEFAULT_TABLE, own)
    refuse_idle(given, question.scaling, ["failover.forwarding"])
    refuse_unread(sort_overrides(given), ["prices."], "goodput")
    case = question.changed(overrides=given).case()
    refuse(case.idle)
    interval = None if checkpoint_interval == "auto" else _time("--checkpoint-interval", checkpoint_interval)
    write = None if checkpoint_time is None else _time("--checkpoint-time", checkpoint_time, zero=True)
    policy = Policy(interval, write, _time("--restart", restart, zero=True), spares)
    return GoodputRequest(case, question.gpus, table, policy, days, runs, question.seed, question.scaling)


def _time(option: str, text: str, zero: bool = False) -> float:
    """Seconds of a text with its unit: more than 0, or at least 0 with `zero`."""
    try:
        seconds = bounded(text, "seconds")
    except ValueError as error:
        raise NetsimError(f"{option} {text}: {error}") from None
    if not (seconds >= 0 if zero else seconds > 0) or seconds == float("inf"):
        raise NetsimError(f"{option} {text}: must be {'at least' if zero else 'more than'} 0 s, and finite")
    return seconds
