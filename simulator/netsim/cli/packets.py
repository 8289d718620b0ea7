"""`netsim packets`: congestion packet by packet, where the fluid answer is not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.cli.asking import asking
from netsim.cli.options import Force, Json, Output, Quiet
from netsim.cli.output import answer, needs_folder, say_written
from netsim.specs.requests import PacketsRequest

if TYPE_CHECKING:
    from netsim.specs.question import Question


@asking(
    "topology", "gpus", "host", "seed", "overrides", request=PacketsRequest, topology="ft2", gpus=64,
)  # fmt: skip
def packets(
    question: Question,
    request: PacketsRequest,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send messages packet by packet over a fabric: completion times, queues, marks, pauses and losses."""
    from netsim.congestion.request import answer as ask
    from netsim.reports import packets as report
    from netsim.reports.terminal.packets_tables import print_packets

    needs_folder(output, force=force)
    if output is not None:
        report.prepare(output, force)
    result = ask(question, request, sampled=output is not None)
    if output is not None:
        say_written(output, report.write(output, result), quiet)
    answer(report.answer(result), json, quiet, print_packets)
