"""Traces to operators: reading, rules, blocks, layers, rows; the public H800 trace where it is at hand."""

import csv
import gzip
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.calibration.assign import Assigned, assign, block_busy_us, coverage, covered_us, union_us
from netsim.calibration.kineto import Kernel, read_trace
from netsim.calibration.observe import expert_rows, no_room, observe
from netsim.calibration.rules import evaluate, load_rules
from netsim.errors import NetsimError, SpecError
from netsim.specs import WorkloadSpec, load
from netsim.specs.profile import ProfileSpec
from trace_files import DISPATCH, GEMM, Made, two_layers

EVIDENCE = Path(__file__).parents[1] / "../shared/evidence"
TRACE = EVIDENCE / "h800_train_trace.json"
needs_trace = pytest.mark.skipif(
    not TRACE.is_file(), reason="the public H800 trace is not part of the repository"
)


def kernel(start: float, duration: float) -> Kernel:
    return Kernel("k", start, duration, 0.0, 7, (1, 1, 1), (1, 1, 1), 0, (), "")


# --- reading ---


@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_kernels_find_their_annotation_and_operator(tmp_path: Path, name: str) -> None:
    trace = read_trace(two_layers().write(tmp_path / name))
    assert (trace.device, trace.sms, len(trace.kernels), trace.unlaunched) == ("NVIDIA H800", 132, 14, 0)
    first = trace.kernels[0]
    assert (first.annotations[0][0], first.operator, first.start_us) == ("attn(F)", "LinearFP8", 0.0)
    # launched by another thread inside the annotation of the first
    assert trace.kernels[2].annotations[0][0] == "attn(W)"


def test_an_operator_of_another_thread_is_not_the_kernels(tmp_path: Path) -> None:
    made = two_layers()
    made.events.append(
        {"ph": "X", "cat": "cpu_op", "name": "elsewhere", "ts": 0, "dur": 9999, "tid": 5, "args": {}}
    )
    operators = {k.operator for k in read_trace(made.write(tmp_path / "a.json")).kernels}
    assert operators == {"LinearFP8", ""}


def test_a_kernel_without_a_launch_is_counted(tmp_path: Path) -> None:
    made = two_layers()
    made.events = [e for e in made.events if e["cat"] != "cuda_runtime" or e["args"]["correlation"] != 3]
    assert read_trace(made.write(tmp_path / "a.json")).unlaunched == 1


def test_a_truncated_trace_is_one_line(tmp_path: Path) -> None:
    whole = two_layers().write(tmp_path / "a.json").read_bytes()
    (tmp_path / "cut.json").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NetsimError, match=r"cut.json: not a whole JSON document .*a truncated trace"):
        read_trace(tmp_path / "cut.json")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(whole)[:-30])
    with pytest.raises(NetsimError, match=r"cut.json.gz: .*truncated trace"):
        read_trace(tmp_path / "cut.json.gz")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dur": -1}, r"dur = -1, must be a time of at least 0"),
        ({"dur": math.nan}, r"dur = nan, must be a time of at least 0"),
        ({"ts": "soon"}, r"ts = 'soon', must be a time"),
        ({"args": {"correlation": 1, "device": 3}}, r"kernels of devices 0, 3: calibrate from one at a time"),
    ],
)
def test_a_bad_kernel_is_one_line(tmp_path: Path, change: dict[str, object], words: str) -> None:
    made = two_layers()
    next(event for event in made.events if event["cat"] == "kernel").update(change)
    with pytest.raises(NetsimError, match=words):
        read_trace(made.write(tmp_path / "a.json"))


def test_a_kernel_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    made = two_layers()
    made.events.append(made.events[-1])
    with pytest.raises(NetsimError, match="appears 2 times"):
        read_trace(made.write(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            [{"cat": "cpu_op", "ph": "X"}],
            "no GPU kernels: looked for events of category kernel, .*found cpu_op",
        ),
        ({"traceEvents": []}, "no GPU kernels: .*found none"),
        ({"events": []}, "no traceEvents: looked for the JSON that torch.profiler exports"),
        ("text", "no traceEvents"),
    ],
)
def test_a_trace_with_nothing_usable_says_what_was_looked_for(
    tmp_path: Path, document: object, words: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(NetsimError, match=words):
        read_trace(tmp_path / "a.json")


# --- rules ---


def test_launch_geometry_gives_the_depth() -> None:
    assert evaluate("16 * (shared - 217604)", {"shared": 217700}) == 1536
    for text in ("grid_w", "__import__('os')", "grid_x ** 2", "1.5 * grid_x", "grid_x +"):
        with pytest.raises(NetsimError, match="rules:"):
            evaluate(text, {"grid_x": 2})


def test_rules_of_a_user_come_first(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[[kernels]]\nname = "mine"\npattern = "ptp128c"\nkind = "gemm_bf16"\n')
    rules = load_rules(path)
    assert rules.kernels[0].kind == "gemm_bf16"
    assert len(rules.kernels) == len(load_rules().kernels) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "a"\n[[kernels]]\nname = "x"\npattern = "("\nkind = "norm"', "is not a regular expression"),
        (
            'name = "a"\n[[kernels]]\nname = "x"\npatern = "y"',
            "did you mean 'pattern'|patern|pattern is missing",
        ),
        ('name = "a"\n[[kernels]]\nname = "x"\npattern = "y"\nkind = "gem"', "kernels.0.kind = 'gem'"),
    ],
)
def test_a_bad_rules_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SpecError, match=words):
        load_rules(tmp_path / "a.toml")


# --- assignment ---


def test_layers_count_up_forward_and_down_backward(tmp_path: Path) -> None:
    found = assign(read_trace(two_layers().write(tmp_path / "a.json")), load_rules())
    assert [a.layer for a in found if a.place == "attn(F)"] == [0, 1]
    assert sorted({(a.layer, a.kernel.start_us) for a in found if a.place == "attn(W)"})[0][1] == 1500.0
    assert coverage(found).share == 1.0
    # five weight gradients one after the other, 40 us each
    assert block_busy_us(found)["attn(W)", 0] == 200.0


def test_what_no_rule_knows_is_reported(tmp_path: Path) -> None:
    made = two_layers()
    made.kernel("secret_kernel", 9000, 500)
    made.now += 1000
    made.kernel(GEMM, 9600, 30)
    found = coverage(assign(read_trace(made.write(tmp_path / "a.json")), load_rules()))
    # 201 forward + 600 transfer + 400 weight gradients known; 530 not
    assert found.share == pytest.approx(1201 / 1731)
    assert found.missing[0] == ("secret_kernel (no kernel rule)", 500.0)
    assert found.missing[1][0].endswith("(outside every known block)")


def test_nothing_that_the_rules_know_says_what_was_looked_for(tmp_path: Path) -> None:
    made = Made()
    made.block("forward")
    made.kernel(GEMM, 2000, 10)
    with pytest.raises(NetsimError, match=r"no annotation matches a block rule: looked for .*found forward"):
        assign(read_trace(made.write(tmp_path / "a.json")), load_rules())
    made = Made()
    made.block("attn(F)")
    made.kernel("secret", 2000, 10)
    with pytest.raises(
        NetsimError, match=r"no kernel name matches any of .*'secret': add rules with --rules"
    ):
        assign(read_trace(made.write(tmp_path / "a.json")), load_rules())


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_a_union_is_the_seconds_that_any_covers(spans: list[tuple[int, int]]) -> None:
    ticks = {tick for start, length in spans for tick in range(start, start + length)}
    assert union_us(kernel(*span) for span in spans) == len(ticks)


def test_what_a_transfer_covers() -> None:
    # [10, 20) beside [0, 12) and [18, 40): 2 + 2
    assert covered_us(kernel(10, 10), [kernel(0, 12), kernel(18, 22)]) == 4.0


def test_a_block_finds_no_room_where_registers_are_taken() -> None:
    # norm: 128 x 168 = 21,504; dispatch: 512 x 110 = 56,320; waiting: 320 x 56 = 17,920, of 65,536 on an SM
    def one(threads: int, registers: int) -> Kernel:
        return Kernel("k", 0.0, 1.0, 0.0, 7, (1, 1, 1), (threads, 1, 1), 0, (), "", registers)

    norm, backward, dispatch, waiting = one(128, 168), one(256, 200), one(512, 110), one(320, 56)
    assert no_room(norm, dispatch)
    assert not no_room(norm, waiting)
    assert no_room(backward, waiting)


def test_rows_of_a_made_up_trace(tmp_path: Path) -> None:
    job = load(WorkloadSpec, "workload", "deepseek-v3")
    found = assign(read_trace(two_layers().write(tmp_path / "a.json")), load_rules())
    seen = observe(found, job, ("o_proj_wgrad",))
    rows = {row.name: row for row in seen.rows}
    # the first FP8 GEMM of attn(F) is q_a: 100 and 101 us, wholly beside the dispatch
    assert rows["q_a_proj_fwd"].overlapped == pytest.approx(100.5e-6)
    assert (rows["q_a_proj_fwd"].alone, rows["q_a_proj_fwd"].transport_share) == (None, 1.0)
    assert (rows["o_proj_wgrad"].split, rows["kv_b_wgrad"].split) == ("cal", "val_op")
    assert rows["o_proj_wgrad"].alone == pytest.approx(40e-6)
    assert "flash_attn_fwd" in seen.absent


# --- the public trace ---


@pytest.fixture(scope="module")
def public() -> tuple[Assigned, ...]:
    return assign(read_trace(TRACE), load_rules())


def evidence() -> list[dict[str, str]]:
    with (EVIDENCE / "h800_ops.csv").open() as file:
        return list(csv.DictReader(file))


@needs_trace
def test_the_public_trace_is_assigned(public: tuple[Assigned, ...]) -> None:
    found = coverage(public)
    print(f"{found.share:.2%} of {found.busy_us / 1e3:.1f} ms assigned")
    assert len(public) == 983
    assert found.share >= 0.95
    phases = {a.block.phase for a in public if a.block}
    assert phases == {"F", "B", "W", "communication"}


@needs_trace
def test_block_times_of_the_public_trace(public: tuple[Assigned, ...]) -> None:
    busy = defaultdict(dict)
    for (place, layer), time in block_busy_us(public).items():
        busy[place][layer] = time
    for row in evidence():
        if not row["role"].startswith("block "):
            continue
        place = row["role"].split()[1]
        layers = [busy[place][i] for i in range(4)]
        if place[-2] != "F":
            layers.reverse()  # the table counts pairs of a forward and a backward layer
        assert layers == pytest.approx([float(row[f"d{i}_us"]) for i in range(4)], rel=0.01), place


@needs_trace
def test_operators_of_the_public_trace(public: tuple[Assigned, ...]) -> None:
    """All 145 rows of the shipped profile come out of the trace, with its split and its times."""
    shipped = {row.name: row for row in load(ProfileSpec, "profile", "h800").operators}
    seen = observe(public, load(WorkloadSpec, "workload", "deepseek-v3"), load_rules().fit)
    assert seen.absent == ()
    assert {row.name for row in seen.rows} == set(shipped)
    for row in seen.rows:
        ours = shipped[row.name]
        assert (row.kind, row.shape, row.calls, row.split) == (ours.kind, ours.shape, ours.calls, ours.split)
        assert row.overlapped == pytest.approx(ours.overlapped, rel=0.02), row.name
        assert row.transport_share == pytest.approx(ours.transport_share, abs=0.002), row.name
    assert set(expert_rows(public).values()) >= {31104, 30976, 36864, 34688, 28416}


@needs_trace
def test_the_depth_in_shared_memory_is_the_operators(public: tuple[Assigned, ...]) -> None:
    operators = observe(public, load(WorkloadSpec, "workload", "deepseek-v3"), ()).operators
    checked = [a for a in public if "k" in a.dims and a.role]
    assert len(checked) == 80
    assert all(a.dims["k"] == operators[a.role].shape[2] for a in checked)
    tokens = [a for a in public if a.rule and a.rule.name == "cast" and a.place == "attn(F)"]
    assert {a.dims["rows"] for a in tokens} == {4096}
    assert np.mean([a.rule is not None and a.rule.other == "transfer" for a in public]) > 0
    assert DISPATCH[:20] in {a.kernel.name[:20] for a in public}
