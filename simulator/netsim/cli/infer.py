"""`netsim infer`: prefill and decode of a served model, and the requests that they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.cli.asking import asking
from netsim.cli.options import Force, Json, Output, Quiet
from netsim.cli.output import answer, needs_folder, say_warnings, say_written
from netsim.specs.requests import ServeRequest

if TYPE_CHECKING:
    from netsim.specs.question import Question


@asking(
    "model", "topology", "hardware", "profile", "routing", "seed", "overrides", request=ServeRequest,
)  # fmt: skip
def infer(
    question: Question,
    request: ServeRequest,
    strict: bool = False,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve a model: time per token, time to the first token, tokens a second, and what bounds them."""
    from netsim.analysis.serving import answer as ask
    from netsim.inference.serve import deployment_of, refuse_doubts
    from netsim.reports import inference_files
    from netsim.reports.rundir import prepare
    from netsim.reports.terminal.infer_summary import print_inference

    needs_folder(output, force=force)
    deployment = deployment_of(question, request)
    if output is not None:
        prepare(output, force)
    found = ask(deployment, request)
    say_warnings(found.record["warnings"])
    if strict:
        refuse_doubts(found.record)
    if output is not None:
        say_written(output, inference_files.write(output, found), quiet)
    answer(found.record, json, quiet, print_inference)
