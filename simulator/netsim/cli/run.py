"""`netsim run`: one training step, end to end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from netsim.cli.asking import FIELDS, asking
from netsim.cli.options import Csv, Force, Json, Output, Quiet
from netsim.cli.output import answer, needs_folder, say_warnings, say_written

if TYPE_CHECKING:
    from netsim.specs.question import Question


@asking(*FIELDS, spec=True)
def run(
    question: Question,
    strict: bool = False,
    explain: bool = False,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate one training step and say how long it takes, what it waits for, and what the network costs."""
    from netsim.analysis.answer import add_explanation, case_of, refuse_doubts
    from netsim.analysis.answer import answer as ask
    from netsim.cli.progress import progress_bar
    from netsim.errors import NetsimError
    from netsim.reports import rundir
    from netsim.reports.terminal.summary import print_summary

    needs_folder(output, csv=csv, force=force)
    if explain and (question.faults or question.fault_rate is not None):
        raise NetsimError("--explain: explains a step without faults; leave out --fault")
    case = case_of(question)
    if output is not None:
        rundir.prepare(output, force)
    began = time.perf_counter()
    with progress_bar("simulating", quiet) as report:
        step, result = ask(question, report, case)
    if explain:
        add_explanation(step, question, result)
    say_warnings(result["warnings"])
    if strict:
        refuse_doubts(step, result)
    result["run"] = {"wall_s": time.perf_counter() - began}
    if output is not None:
        say_written(output, rundir.write_run(output, step, result, csv), quiet)
    answer(result, json, quiet, print_summary)
