"""`netsim measure --collectives`: collectives among the GPUs of this host, as one CSV."""

from __future__ import annotations

from dataclasses import asdict

from netsim.collectives.sizes import parse_sizes
from netsim.measure import collectives_session as session
from netsim.measure.audience import Audience, Measured, table_of, tell_outcome
from netsim.measure.collectives import make_plan
from netsim.measure.collectives_table import Machine, Table, add_session
from netsim.specs.question import Question
from netsim.specs.requests import MeasureRequest


def measure_collectives(question: Question, request: MeasureRequest, audience: Audience) -> Measured:
    """Measure what the table lacks, and say what came of it."""
    output = table_of(request.output, "measure --collectives")
    given = parse_sizes(request.sizes) if request.sizes else None
    torch = session.load_torch()
    library = session.choose_backend(torch, request.backend)
    gpus = session.choose_gpus(torch, library, request.gpus)
    on_gpu = library == "nccl"
    plan = make_plan(gpus, given or parse_sizes("64B:4GiB" if on_gpu else "64B:1MiB"), beside=on_gpu)
    machine = session.machine_of(torch, library)
    _say_what(machine, gpus, request.backend, audience)
    with Table(output, machine) as table, audience.watch("measuring") as report:
        facts = session.provenance(torch, machine, gpus, question.seed)
        add_session(output, len(table.done) + 1, facts, question.seed)
        outcome = session.measure_all(plan, table, question.seed, request.budget_s, report)
    tell_outcome(audience, machine.device, outcome, output)
    return Measured({"output": str(output), "provenance": facts} | asdict(outcome), wrong=bool(outcome.wrong))


def _say_what(machine: Machine, gpus: int, backend: str | None, audience: Audience) -> None:
    if machine.backend == "gloo":
        why = "" if backend else "no CUDA GPU: "
        audience.say(f"{why}gloo among processes of this CPU; says nothing of NVLink")
    if gpus == 1:
        audience.say("one rank: the time of launches and copies, no bandwidth figure")
