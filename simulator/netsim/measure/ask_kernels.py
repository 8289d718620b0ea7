"""`netsim measure`: timings of the kernels of a training step, as one CSV."""

from __future__ import annotations

from dataclasses import asdict

from netsim.measure import plan as plans
from netsim.measure import provenance
from netsim.measure.audience import Audience, Measured, table_of, tell_outcome
from netsim.measure.plan import Measurement
from netsim.measure.session import GpuBench, measure_all
from netsim.measure.table import Table
from netsim.specs import WorkloadSpec, load
from netsim.specs.question import Question
from netsim.specs.requests import MeasureRequest


def measure_kernels(question: Question, request: MeasureRequest, audience: Audience) -> Measured:
    """Measure what the table lacks, or list what would be measured."""
    plan = _plan(question, request)
    if request.listing:
        names = [each.name for each in plan]
        return Measured({"measurements": names}, tuple(names))
    output = table_of(request.output, "measure", ", or --list")
    bench = GpuBench(question.seed, request.quick)
    with Table(output, bench.gpu_name, bench.torch_version) as table, audience.watch("measuring") as report:
        provenance.add_session(
            output, len(table.done) + 1, bench.gpu.provenance(), question.seed, request.quick
        )
        outcome = measure_all(plan, bench, table, request.budget_s, report)
    tell_outcome(audience, bench.gpu_name, outcome, output)
    record = {"output": str(output), "provenance": bench.gpu.provenance()} | asdict(outcome)
    return Measured(record, wrong=bool(outcome.wrong))


def _plan(question: Question, request: MeasureRequest) -> tuple[Measurement, ...]:
    spec = load(WorkloadSpec, "workload", question.workload)
    if request.framework:
        from netsim.measure.framework import plan_for

        plan = plan_for(request.only)
    else:
        sms = spec.communication.sms if request.side_sms is None else request.side_sms
        plan = plans.make_plan(spec, question.seed, sms, request.only)
    return plans.quick(plan) if request.quick else plan
