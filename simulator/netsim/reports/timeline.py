"""The step as a trace for the Perfetto UI (ui.perfetto.dev): a process a rank, a track a queue, a slice a task.

Ranks that shared an execution appear once. Colours come from the names: the same block has the same colour everywhere.

Source: Perfetto, synthetic track events (perfetto.dev/docs/reference/synthetic-track-event).
"""

from __future__ import annotations

import numpy as np
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket, TrackEvent
from perfetto.trace_builder.proto_builder import TraceProtoBuilder

from netsim.training.simulate import Step
from netsim.workloads.tasks import EXCHANGES, JOINT, QUEUES, SENDS, Work

_SEQUENCE = 1
_NS = 1e9


def timeline(step: Step) -> bytes:
    """The trace as protobuf, ready for a file that ends in `.perfetto-trace`."""
    builder = TraceProtoBuilder()
    tracks = _describe(builder, step)
    names = [slice_name(work) for work in step.graph.works]
    actor, queue, task = step.instances.actor, step.program.queue, step.instances.task
    begin = np.rint(step.execution.start_s * _NS).astype(np.int64)
    end = np.rint(step.execution.end_s * _NS).astype(np.int64)
    graph = step.graph
    for n in range(len(step.program)):
        uuid, t = tracks[int(actor[n]), int(queue[n])], int(task[n])
        event = _event(builder, int(begin[n]), uuid)
        event.type = TrackEvent.TYPE_SLICE_BEGIN
        event.name = names[graph.work[t]]
        for key, value in (
            ("micro-batch", graph.microbatch[t]),
            ("layer", graph.layer[t]),
            ("stage", graph.stage[t]),
        ):
            note = event.debug_annotations.add()
            note.name, note.int_value = key, value
        _event(builder, int(end[n]), uuid).type = TrackEvent.TYPE_SLICE_END
    return bytes(builder.serialize())


def slice_name(work: Work) -> str:
    """What a slice is called: `attn(F)` for a block of a layer, the collective's name for a transfer.

    >>> slice_name(Work("moe", "attn", "F")), slice_name(Work("send_forward", phase="F", step=1))
    ('attn(F)', 'send forward')
    """
    if work.name in EXCHANGES + SENDS + JOINT:
        return f"{work.name.replace('_', ' ')} {work.block}".rstrip()
    return f"{work.block}({work.phase})" if work.block else work.name


def _describe(builder: TraceProtoBuilder, step: Step) -> dict[tuple[int, int], int]:
    """Name the processes and tracks; returns the track of each (actor class, queue)."""
    tracks = {}
    used = np.unique(step.program.queue).tolist()
    for actor, (rank, _) in enumerate(step.traffic.representative.tolist()):
        groups = int(step.traffic.multiplicity[actor])
        process = _packet(builder).track_descriptor
        process.uuid = 10 * (actor + 1)
        process.process.pid = actor + 1
        process.process.process_name = f"rank {rank}, {groups} stage group{'s' if groups > 1 else ''}"
        for queue in used:
            track = _packet(builder).track_descriptor
            track.uuid = process.uuid + queue + 1
            track.parent_uuid = process.uuid
            track.name = QUEUES[queue]
            tracks[actor, queue] = track.uuid
    return tracks


def _packet(builder: TraceProtoBuilder) -> TracePacket:
    packet = builder.add_packet()
    packet.trusted_packet_sequence_id = _SEQUENCE
    return packet


def _event(builder: TraceProtoBuilder, timestamp_ns: int, uuid: int) -> TrackEvent:
    packet = _packet(builder)
    packet.timestamp = timestamp_ns
    packet.track_event.track_uuid = uuid
    return packet.track_event
