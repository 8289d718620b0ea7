"""Two queues and two micro-batches against algebra."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.inference.timeline import COMMUNICATION, COMPUTE, SCHEMES, Layer, run

STAGES = ("attn_0", "attn_1", "shared", "dispatch", "experts", "combine", "merge")
times = st.fixed_dictionaries({stage: st.floats(0.0, 10.0) for stage in STAGES})


def layers(seconds: dict[str, float], count: int) -> list[Layer]:
    return [Layer(str(n), seconds) for n in range(count)]


def length(seconds: dict[str, float], count: int, overlap: str) -> float:
    return run([layers(seconds, count)] * (1 if overlap == "none" else 2), overlap).seconds  # type: ignore[arg-type]


def test_without_overlap_everything_adds_up() -> None:
    seconds = dict(zip(STAGES, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), strict=True))
    found = run([layers(seconds, 3)], "none")
    assert found.seconds == pytest.approx(3 * 28.0)
    assert found.hidden_fraction == pytest.approx(0.0)
    assert found.busy_s(COMMUNICATION) == 3 * 10.0


@pytest.mark.parametrize("overlap", ["three_stage", "five_stage"])
def test_transfers_alone_take_the_sum_of_both_micro_batches(overlap: str) -> None:
    seconds = dict.fromkeys(STAGES, 0.0) | {"dispatch": 4.0, "combine": 6.0}
    assert length(seconds, 61, overlap) == pytest.approx(61 * 2 * 10.0)


@pytest.mark.parametrize("overlap", ["three_stage", "five_stage"])
def test_compute_alone_takes_the_sum_of_both_micro_batches(overlap: str) -> None:
    seconds = dict(zip(STAGES, (1.0, 2.0, 3.0, 0.0, 5.0, 0.0, 7.0), strict=True))
    assert length(seconds, 61, overlap) == pytest.approx(61 * 2 * 18.0)


@given(times)
def test_a_layer_of_five_stages_in_the_steady_state(seconds: dict[str, float]) -> None:
    # the formula of the module: 2 (max(dispatch, shared + merge + attn_0) + experts + max(combine, attn_1))
    s = seconds
    period = 2 * (
        max(s["dispatch"], s["shared"] + s["merge"] + s["attn_0"])
        + s["experts"]
        + max(s["combine"], s["attn_1"])
    )
    assert length(s, 12, "five_stage") - length(s, 8, "five_stage") == pytest.approx(4 * period, abs=1e-9)


def test_overlap_is_the_longer_of_compute_and_transfers_when_they_alternate() -> None:
    # dispatch beside attn_0, combine beside attn_1, nothing else: a layer is 2 (max(3, 5) + max(8, 2)) = 26
    seconds = {"attn_0": 5.0, "attn_1": 2.0, "dispatch": 3.0, "experts": 0.0, "combine": 8.0}
    assert length(seconds, 20, "five_stage") - length(seconds, 10, "five_stage") == pytest.approx(10 * 26.0)


@given(times, st.sampled_from(sorted(SCHEMES)), st.integers(1, 5))
def test_what_must_always_hold(seconds: dict[str, float], overlap: str, count: int) -> None:
    both = [layers(seconds, count)] * (1 if overlap == "none" else 2)
    found = run(both, overlap)  # type: ignore[arg-type]
    compute, moved = found.busy_s(COMPUTE), found.busy_s(COMMUNICATION)
    assert max(compute, moved) <= found.seconds + 1e-9
    assert found.seconds <= compute + moved + 1e-9
    assert -1e-9 <= found.hidden_fraction <= 1.0 + 1e-9
    assert len(found.spans) == len(both) * count * len(STAGES)
    end = {}
    for span in found.spans:  # a micro-batch keeps the order of its stages
        key = (span.microbatch, span.layer)
        end[*key, span.stage] = span.end_s
        before = {"attn_1": "attn_0", "dispatch": "attn_1", "shared": "attn_1", "experts": "dispatch",
                  "combine": "experts", "merge": "combine"}.get(span.stage)  # fmt: skip
        if before:
            assert span.start_s >= end[*key, before] - 1e-9
    for queue in (COMPUTE, COMMUNICATION):  # a queue does one thing at a time, in program order
        mine = [span for span in found.spans if span.queue == queue]
        assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(mine))


def test_a_dense_layer_has_no_transfers() -> None:
    dense = Layer("dense", {"attn_0": 1.0, "attn_1": 1.0, "mlp": 2.0})
    assert run([[dense] * 3] * 2, "five_stage").seconds == pytest.approx(24.0)
    assert run([[dense]], "none").hidden_fraction == 1.0
