"""The Perfetto trace: every task is a slice, and it reads back."""

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from netsim.reports.timeline import timeline
from netsim.specs.case import make_case
from netsim.training.simulate import simulate


def test_every_task_is_a_slice_that_ends() -> None:
    step = simulate(make_case(overrides={"parallelism.pipeline": 2, "batch.microbatches": 4}), 128)
    trace = Trace.FromString(timeline(step))
    events = [packet for packet in trace.packet if packet.HasField("track_event")]
    begins = [e for e in events if e.track_event.type == TrackEvent.TYPE_SLICE_BEGIN]
    assert len(begins) * 2 == len(events) == 2 * len(step.program)
    assert {"attn(F)", "mlp(W)", "dispatch", "combine backward", "send forward"} <= {
        e.track_event.name for e in begins
    }
    last_ns = max(e.timestamp for e in events)
    assert abs(last_ns - step.execution.end_s.max() * 1e9) <= 1
    # two ranks of three queues, and their processes
    assert sum(packet.HasField("track_descriptor") for packet in trace.packet) == 2 * (1 + 3)
