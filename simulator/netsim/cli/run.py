"""`netsim run`: one training step, end to end."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.asking import FIELDS, asking
from netsim.cli.options import Csv, Force, Json, Output, Quiet
from netsim.cli.output import answer, needs_folder, say_written

if TYPE_CHECKING:
    from netsim.specs.question import Question

Strict = Annotated[
    bool, typer.Option("--strict", help="Fail when the plan does not fit, or an operator is extrapolated.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Say where the whole step goes, and where the bubble comes from.")
]


@asking(*FIELDS, spec=True)
def run(
    question: Question,
    strict: Strict = False,
    explain: Explain = False,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate one training step and say how long it takes, what it waits for, and what the network costs."""
    from netsim.analysis.answer import add_explanation
    from netsim.analysis.answer import answer as ask
    from netsim.cli.progress import progress_bar
    from netsim.errors import NetsimError
    from netsim.reports import rundir
    from netsim.reports.terminal.summary import print_summary
    from netsim.specs.idle import FAILOVER

    needs_folder(output, csv=csv, force=force)
    if explain and (question.faults or question.fault_rate is not None):
        raise NetsimError("--explain: explains a step without faults; leave out --fault")
    question.checked_case(*FAILOVER)
    if output is not None:
        rundir.prepare(output, force)
    began = time.perf_counter()
    with progress_bar("simulating", quiet) as report:
        step, result = ask(question, report)
    if explain:
        add_explanation(step, question, result)
    for warning in result["warnings"]:
        print(f"netsim: warning: {warning}", file=sys.stderr)
    if strict:
        _refuse_doubts(step, result)
    result["run"] = {"wall_s": time.perf_counter() - began}
    if output is not None:
        say_written(output, rundir.write_run(output, step, result, csv), quiet)
    answer(result, json, quiet, print_summary)


def _refuse_doubts(step: Any, result: dict[str, Any]) -> None:
    """Under --strict: no plan that does not fit, and no compute time beyond what was measured or modelled."""
    from netsim.errors import DomainError, NetsimError

    if outside := result["uncertainty"]["outside"]:
        raise DomainError(f"--strict: {outside[0]}")
    if beyond := step.timing.missing_classes():
        raise DomainError(f"--strict: {beyond}")
    if result["warnings"]:
        raise NetsimError(f"--strict: {result['warnings'][0]}")
    try:
        step.timing.require_known()
    except DomainError as error:
        beyond = result["provenance"]["compute_origin"]["extrapolated"]
        raise DomainError(f"--strict: {beyond:.1%} of the compute time is extrapolated: {error}") from None
