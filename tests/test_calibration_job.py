"""Traces of any job: class, phase, layer and step of every kernel; tables; profiles; and what they predict."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from netsim.calibration.beside import collectives_beside, groups_of
from netsim.calibration.calibrate import Asked, calibrate_trace
from netsim.calibration.check import check
from netsim.calibration.facts import base_profile, facts_of
from netsim.calibration.idle import phase_times, usual_gap_s
from netsim.calibration.job import Job as Read
from netsim.calibration.job import calibrate_job, read_job
from netsim.calibration.job_tables import job_coverage, said, tables
from netsim.calibration.kineto import Kernel, Span, read_trace
from netsim.calibration.repeats import layers_of, runs
from netsim.calibration.rules import load_rules
from netsim.calibration.seen_collectives import collectives_of, message_of
from netsim.calibration.shapes import is_weight_gradient, operator_of_call
from netsim.cli.app import run_app
from netsim.collectives.request import collective_rows, make_setup
from netsim.errors import NetsimError
from netsim.specs import load
from netsim.specs.profile import ProfileSpec
from trace_job import ENGINE, HIDDEN, MESSAGE, TOKENS, VOCABULARY, Job

STEPS = Path(__file__).parents[1] / "../shared/evidence/turn2/real_steps"
REAL = ("llama8b_l8_s8k", "llama70b_l8_s8k_tp2", "mixtral_l2_s4k")
needs_steps = pytest.mark.skipif(
    not STEPS.is_dir(), reason="the traces of steps measured on two H200 are not part of the repository"
)
RULES = load_rules(general=True)


def read(made: Job, folder: Path) -> Read:
    return read_job(read_trace(made.write(folder / "job.json")), RULES)


def kernel(name: str, call: Span | None = None, grid: int = 1) -> Kernel:
    return Kernel(name, 0.0, 1.0, 0.0, 7, (grid, 1, 1), (1, 1, 1), 0, (), "", call=call)


def call(name: str, dims: list[list[int]], types: list[str], **more: object) -> Span:
    return Span(name, 0.0, 1.0, 1, {"Input Dims": dims, "Input type": types, **more})


# --- where kernels belong ---


@pytest.mark.parametrize("marked", [False, True])
def test_every_kernel_has_class_phase_step_and_layer(tmp_path: Path, marked: bool) -> None:
    job = read(Job(layers=3, steps=2, marked=marked), tmp_path)
    assert job_coverage(job.placed).share == 1.0
    assert job.steps == 2
    found = defaultdict(int)
    for p in job.placed:
        found[p.kind, p.phase, p.layer] += 1
    # two steps of: a memset and a product each, two products a layer
    assert found["gemm_bf16", "F", 0] == 8
    assert found["gemm_bf16", "B", 2] == found["wgrad_bf16", "W", 2] == 4
    assert found["attention_bwd", "B", 1] == 4
    assert found["transfer", "F", 1] == 2
    # head forward (with its memset) and backward are outside all layers, as embedding, loss, clipping and optimizer are
    assert found["gemm_bf16", "F", None] == 4
    assert (found["gemm_bf16", "B", None], found["wgrad_bf16", "W", None]) == (2, 2)
    assert (found["elementwise", "opt", None], found["optimizer", "opt", None]) == (2, 2)
    assert {layer for _, _, layer in found} == {0, 1, 2, None}


def test_backward_counts_layers_down(tmp_path: Path) -> None:
    job = read(Job(layers=3, steps=1), tmp_path)
    order = [p.layer for p in job.placed if p.kind == "attention_bwd"]
    assert order == [2, 2, 1, 1, 0, 0]


def test_numbers_of_modules_come_before_the_pattern(tmp_path: Path) -> None:
    made = Job(layers=2, steps=1)
    first = next(e for e in made.events if e["name"] == "aten::rms_norm")
    made.span("python_function", "nn.Module: DecoderLayer_17", first["ts"] - 0.1, first["dur"] + 0.2, 100)
    job = read(made, tmp_path)
    assert next(p.layer for p in job.placed if p.kind == "norm") == 17


def test_a_trace_of_kernels_alone_has_classes(tmp_path: Path) -> None:
    job = read(Job(operators=False), tmp_path)
    assert {p.phase for p in job.placed} == {"", "B", "opt"}  # what names alone say
    assert all(p.kind for p in job.placed if not p.kernel.name.startswith("lpnorm"))
    assert "no operators of the host" in " ".join(said(job))


def test_a_kernel_without_launch_goes_by_its_operator(tmp_path: Path) -> None:
    made = Job(steps=1)
    lost = next(e for e in made.events if e["cat"] == "kernel" and "bprop" in e["name"])
    made.events = [
        e for e in made.events
        if e["cat"] != "cuda_runtime" or e["args"]["correlation"] != lost["args"]["correlation"]
    ]  # fmt: skip
    job = read(made, tmp_path)
    assert job.trace.unlaunched == 0
    assert [p.phase for p in job.placed if "bprop" in p.kernel.name] == ["B"] * 3


def test_buckets_of_gradients_do_not_hide_layers(tmp_path: Path) -> None:
    """Data parallel all-reduces come where a bucket is full: between two layers, then in the middle of one."""
    made = Job(layers=4, steps=1)
    backward = [e for e in made.events if e["cat"] == "kernel" and e["ts"] > 0 and "bprop" in e["name"]]
    for number, place in enumerate((0, 2, 3)):
        near = next(
            e for e in made.events
            if e["cat"] == "cuda_runtime" and e["args"]["correlation"] == backward[place]["args"]["correlation"]
        )  # fmt: skip
        made.span(
            "cuda_runtime", "cudaLaunchKernel", near["ts"] + 0.2, 0.1, ENGINE, {"correlation": 9000 + number}
        )
        made.span("kernel", "ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 9e5 + number, 1.0, 20, {
            "correlation": 9000 + number, "stream": 20, **MESSAGE})  # fmt: skip
    job = read(made, tmp_path)
    assert {p.layer for p in job.placed if p.kind == "attention_bwd"} == {0, 1, 2, 3}
    assert {p.layer for p in job.placed if p.kind == "transfer" and p.phase == "B"} == {3, 1, 0}


def test_kernels_of_a_graph_have_classes_alone(tmp_path: Path) -> None:
    made = Job(steps=1)
    for event in made.events:
        if event["cat"] == "cuda_runtime":
            event["name"] = "cudaGraphLaunch"
    job = read(made, tmp_path)
    assert {p.phase for p in job.placed if p.kind == "gemm_bf16"} == {""}
    assert all(call.op is None for call in job.calls if call.kind == "gemm_bf16")
    assert f"{len(job.placed)} kernels ran in CUDA graphs" in " ".join(said(job))


def test_a_rule_of_a_user_comes_first(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\n[[kernels]]\nname = "my_norm"\npattern = "rms_norm"\nkind = "act"\n'
        '[[phases]]\npattern = "^Optimizer"\nphase = "B"\n'
    )
    rules = load_rules(tmp_path / "mine.toml", general=True)
    job = read_job(read_trace(Job(steps=1).write(tmp_path / "a.json")), rules)
    assert {p.kind for p in job.placed if "rms_norm" in p.kernel.name} == {"act"}
    (tmp_path / "bad.toml").write_text('name = "bad"\n[[kernels]]\nname = "x"\npattern = "y"\n')
    with pytest.raises(NetsimError, match=r"kernel rule x: must have exactly one of kind, other and helper"):
        load_rules(tmp_path / "bad.toml", general=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_sm90_qqtst_128x256_64x4_2x1_v_bz_coopA_TNT", "gemm_fp8_tensor"),
        ("void deep_gemm::sm90_fp8_gemm_1d2d_impl<0u, 7168u, 1u, (deep_gemm::GemmType)0>", "gemm_fp8"),
        (
            "void deep_gemm::sm90_fp8_gemm_1d2d_impl<0u, 7168u, 1u, (deep_gemm::GemmType)1>",
            "grouped_gemm_fp8",
        ),
        ("ampere_bf16_s16816gemm_bf16_128x256_ldg8_f2f_stages_64x3_tn", "gemm_bf16"),
        ("void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16>", "gemm_bf16"),
        ("void flash_fwd_kernel<Flash_fwd_kernel_traits<128>>", "attention_fwd"),
        ("void cutlass::device_kernel<flash::enable_sm90<flash::FlashAttnBwdSm90<bf16>>>", "attention_bwd"),
        ("triton_poi_fused_mul_silu_4", "act"),
        ("triton_red_fused__to_copy_add_mean_mul_pow_rsqrt_0", "norm"),
        ("triton_tem_fused_mm_3", "gemm_bf16"),
        ("void transformer_engine::cast_transpose_fused_kernel<true>", "cast_transpose"),
        ("void transformer_engine::normalization::rmsnorm_fwd_tuned_kernel", "norm"),
        ("void transformer_engine::fused_rope_forward_kernel", "rope"),
        ("void multi_tensor_apply_kernel<TensorListMetadata<4>, AdamFunctor<float>>", "optimizer"),
        ("ncclDevKernel_ReduceScatter_Sum_bf16_RING_SIMPLE", "transfer"),
        ("void deep_ep::internode::dispatch<false, 8>", "transfer"),
        ("void deep_ep::internode::notify_dispatch<false, 8>", "wait"),
        ("void at::native::bfloat16_copy_kernel_cuda", "copy"),
        ("void at::native::sbtopk::gatherTopK<float>", "index"),
        ("void at::native::(anonymous namespace)::cunn_SoftMaxForward<4>", "elementwise"),
    ],
)
def test_names_of_kernels(name: str, kind: str) -> None:
    rule = next(rule for rule in RULES.kernels if rule.matches(kernel(name)))
    assert str(rule.kind or rule.other) == kind


def test_two_sorts_of_layers() -> None:
    # three of one sort, then two of another, between other work
    keys = list("x" + "abcd" * 3 + "y" + "efgh" * 2 + "z")
    layers = layers_of(keys, [1.0] * len(keys), [True] * len(keys))
    assert layers == [None, *[0] * 4, *[1] * 4, *[2] * 4, None, *[3] * 4, *[4] * 4, None]
    nothing = np.zeros(0)
    assert runs(nothing.astype(int), nothing, nothing.astype(bool)) == []


# --- dimensions ---


def test_a_weight_gradient_reads_its_first_factor_transposed() -> None:
    halves = ["c10::BFloat16"] * 2
    dims = [[4096, 8192], [8192, 1024]]
    assert is_weight_gradient(call("aten::mm", dims, halves, **{"Input Strides": [[1, 4096], [1024, 1]]}))
    assert not is_weight_gradient(call("aten::mm", dims, halves, **{"Input Strides": [[8192, 1], [1024, 1]]}))
    assert is_weight_gradient(call("aten::_grouped_mm", dims, halves))
    assert not is_weight_gradient(call("aten::_grouped_mm", [[64, 32], [4, 32, 16]], halves))


def test_operators_of_calls() -> None:
    halves = ["c10::BFloat16"] * 3
    op = operator_of_call([kernel("g", call("aten::mm", [[64, 32], [32, 16]], halves))], "gemm_bf16", {})
    assert op is not None
    assert (op.shape, op.flops, op.bytes) == (
        (64, 16, 32),
        2 * 64 * 16 * 32,
        2 * (64 * 32 + 32 * 16 + 64 * 16),
    )
    op = operator_of_call(
        [kernel("g", call("aten::addmm", [[16], [64, 32], [32, 16]], halves))], "gemm_bf16", {}
    )
    assert op is not None
    assert op.shape == (64, 16, 32)
    op = operator_of_call(
        [kernel("g", call("aten::bmm", [[6, 64, 32], [6, 32, 16]], halves))], "gemm_bf16", {}
    )
    assert op is not None
    assert (op.shape, op.calls, op.flops) == ((64, 16, 32), 6, 6 * 2 * 64 * 16 * 32)
    fp8 = ["c10::Float8_e4m3fn"] * 2
    op = operator_of_call(
        [kernel("g", call("aten::_scaled_mm", [[64, 32], [32, 16]], fp8))], "gemm_fp8_tensor", {}
    )
    assert op is not None
    assert (op.kind, op.bytes) == ("gemm_fp8_tensor", 64 * 32 + 32 * 16 + 2 * 64 * 16)
    grouped = call("aten::_grouped_mm", [[64, 32], [4, 32, 16]], halves)
    op = operator_of_call([kernel("g", grouped)], "grouped_gemm_bf16", {})
    assert op is not None
    assert op.shape == (64, 16, 32, 4)
    gradient = call("aten::_grouped_mm", [[32, 64], [64, 16]], halves)
    op = operator_of_call([kernel("g", gradient)], "grouped_wgrad_bf16", {(32, 16): 4})
    assert op is not None
    # four matrices of 32 x 16 written in BF16, both factors read
    assert (op.shape, op.bytes) == ((64, 32, 16, 4), 2 * (64 * 48) + 2 * 4 * 32 * 16)
    assert (
        operator_of_call(
            [kernel("g", call("aten::mm", [[64, 32], [32, 16]], ["float"] * 2))], "gemm_bf16", {}
        )
        is None
    )


def test_bytes_of_calls() -> None:
    def moved(name: str, dims: list[list[int]], types: list[str], **more: object) -> float:
        op = operator_of_call([kernel("k", call(name, dims, types, **more))], "elementwise", {})
        assert op is not None
        return op.bytes

    half, single, whole = "c10::BFloat16", "float", "long int"
    assert moved("aten::copy_", [[8, 4], [8, 4]], [half, single]) == 32 * 6
    assert moved("aten::mul", [[8, 4], [4]], [half, half]) == 2 * (32 + 4 + 32)
    assert moved("aten::sum", [[8, 4]], [single]) == 128
    assert moved("aten::fill_", [[8, 4]], [half]) == 64
    assert moved("aten::index_select", [[1000, 4], [8]], [half, whole]) == 2 * 8 * 4 * 2
    # a fusion reads and writes what its loop of 32 covers, also of the table of 4,000
    words = {"Concrete Inputs": ["", "", "", "32"]}
    assert (
        moved("triton_poi_fused_add_0", [[1000, 4], [8, 4], [8, 4], []], [half] * 3 + ["Scalar"], **words)
        == 192
    )
    lists = kernel(
        "multi_tensor_apply_kernel<FusedOptimizerTensorListMetadata<4>, FusedAdamMathFunctor<float>>", grid=3
    )
    op = operator_of_call([lists, lists], "optimizer", {})
    assert op is not None
    # six blocks; parameter and two moments read and written, the gradient read
    assert op.bytes == 6 * 65536 * 4 * 7


# --- time ---


def test_idle_time_and_exposed_transfers(tmp_path: Path) -> None:
    job = read(Job(layers=3, steps=1, late_us=4500.0), tmp_path)
    times = phase_times(job.placed)
    # an all-reduce of 30 us has 10 to itself, and gaps of 2 before norm, memset and product; the last one all 30: the
    # host is late
    assert times["F"].transfer_s == pytest.approx(90e-6)
    assert times["F"].exposed_s == pytest.approx((2 * 16 + 30) * 1e-6)
    # the host comes back after the GPU ran dry, once
    assert times["F"].host_s > 200e-6
    assert sum(t.host_s for t in times.values()) == times["F"].host_s
    # no gap of 2 us where the transfer covers it or the host is late; six products and more of the backward
    assert times["W"].queued_s == pytest.approx(7 * 2e-6)
    assert usual_gap_s(job.placed) == pytest.approx(2e-6)
    busy = sum(t.compute_s + t.exposed_s + t.host_s + t.queued_s for t in times.values())
    last = max(p.kernel.end_us for p in job.placed)
    assert busy == pytest.approx(last * 1e-6)


def test_collectives_by_group_and_size(tmp_path: Path) -> None:
    job = read(Job(layers=3, steps=2), tmp_path)
    (row,), lost_s, lost = collectives_of(job.placed)
    cells = row.cells()
    assert (cells["collective"], cells["gpus"], cells["size_bytes"], cells["runs"]) == (
        "all_reduce", 4, 2 * TOKENS * HIDDEN, 6,
    )  # fmt: skip
    assert cells["algbw_GBps"] == pytest.approx(2 * TOKENS * HIDDEN / 30e-6 / 1e9)
    assert cells["busbw_GBps"] == pytest.approx(1.5 * cells["algbw_GBps"])
    assert (cells["group"], lost_s, lost) == ("tp", 0.0, 0)


def test_collectives_beside_a_fabric(tmp_path: Path) -> None:
    """The same as `netsim collective` says of four contiguous ranks; and of four that are two apart."""
    job = read(Job(layers=3, steps=1), tmp_path)
    rows, _, _ = collectives_of(job.placed)
    (found,) = collectives_beside(rows, "mpft", "h200", 8)
    setup = make_setup("mpft", 8, "nccl", kind="all_reduce", hardware="h200")
    (alone,) = collective_rows(setup, "all_reduce", sizes=[2 * TOKENS * HIDDEN], group_size=4)
    assert found["netsim_us"] == alone["time_us"]
    assert found["error_of_least_pct"] == pytest.approx(100 * (alone["time_us"] / 30 - 1))
    assert groups_of(8, 4, 2).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert groups_of(6, 4, 1).tolist() == [[0, 1, 2, 3]]  # do not tile the job: the one that was seen
    assert groups_of(8, 1, 1) is None
    with pytest.raises(NetsimError, match="no transfer of the trace names its message"):
        collectives_beside((), "mpft", "h200", 8)


def test_the_stride_of_a_group() -> None:
    args = {"Collective name": "_reduce_scatter_base", "dtype": "Float", "In msg nelems": 64, "Out msg nelems": 8,
            "Group size": 8, "Process Group Ranks": "[0, 8, 16, ...]"}  # fmt: skip
    message = message_of(args)
    assert message is not None
    assert (message.collective, message.size_bytes, message.stride) == ("reduce_scatter", 256, 8)


def test_tables_add_up(tmp_path: Path) -> None:
    job = read(Job(), tmp_path)
    found = tables(job)
    busy = sum(p.kernel.duration_us for p in job.placed) / 1e3 / job.steps
    assert sum(row["busy_ms"] for row in found["classes"]) == pytest.approx(busy)
    assert sum(row["busy_ms"] for row in found["layers"]) == pytest.approx(busy)
    assert sum(row["share_pct"] for row in found["classes"]) == pytest.approx(100)
    head = next(row for row in found["operators"] if row["shape"] == f"{TOKENS}x{VOCABULARY}x{HIDDEN}")
    took = 2 * TOKENS * VOCABULARY * HIDDEN / 600e12 + 1e-6  # and its memset
    assert head["mean_us"] == pytest.approx(took * 1e6)
    assert found["unassigned"] == []


# --- profiles ---


def test_a_profile_predicts_another_trace(tmp_path: Path) -> None:
    """Products at one rate, others at their bytes: twice as many layers are the same kernels; slower ones show."""
    job, more, slow = (read(made, tmp_path) for made in (Job(), Job(layers=6, steps=1), Job(scale=1.25)))
    profile, _, results = calibrate_job(job, RULES, None, None, "mine")
    assert (profile.device, profile.sms, profile.sustained) == ("NVIDIA H200", 132, None)
    assert {"gemm_bf16", "wgrad_bf16", "attention_fwd", "attention_bwd", "norm"} <= set(results)
    assert check(profile, "more", more.calls).total.error == pytest.approx(0.0, abs=0.05)
    found = check(profile, "slow", slow.calls).total.error
    assert found == pytest.approx(1 / 1.25 - 1, abs=0.05)
    rows = {(row.kind, row.shape) for row in profile.operators}
    assert ("gemm_bf16", (TOKENS, 3 * HIDDEN, HIDDEN)) in rows
    assert ("wgrad_bf16", (3 * HIDDEN, HIDDEN, TOKENS)) in rows


def test_facts_of_a_foreign_gpu(tmp_path: Path) -> None:
    job = read(Job(device="NVIDIA A100-SXM4-80GB", sms=108), tmp_path)
    profile, facts, _ = calibrate_job(job, RULES, None, None, "mine")
    assert (profile.sms, profile.bf16_peak, profile.hbm_rate) == (108, 312e12, pytest.approx(2.039e12))
    assert facts.sources["facts"].endswith("from the trace; peaks and memory rate: hardware preset a100")
    # what is lent keeps its share of the peak clock: 1.41 GHz here, 1.83 GHz on the H200
    lent, own = load(ProfileSpec, "profile", "h200"), profile.classes["gemm_fp8"]
    assert own.clock == pytest.approx(lent.classes["gemm_fp8"].clock * 1.41 / 1.83)
    unknown = read(Job(device="Riva TNT2"), tmp_path)
    with pytest.raises(NetsimError, match=r"'Riva TNT2', of which its peaks are not known: .* --about"):
        calibrate_job(unknown, RULES, None, None, "mine")
    about = tmp_path / "about.toml"
    about.write_text(
        'name = "tnt"\ndevice = "Riva TNT2"\nsms = 2\ngemm_sms = 2\nbf16_peak = "2 PFLOPS"\nfp8_peak = "2 PFLOPS"\n'
        'hbm_rate = "9 TB/s"\nclock = "hot"\ntransport_share = 0.0\ngap = "1 us"\n'
    )
    assert calibrate_job(unknown, RULES, None, about, "mine")[0].sms == 2


@pytest.mark.parametrize(
    ("name", "bf16"),
    [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA B200", 2250e12),
     ("NVIDIA GB200", 2500e12), ("AMD Instinct MI300X", 1307.4e12), ("NVIDIA H20", 148e12),
     ("NVIDIA A100-SXM4-40GB", 312e12), ("NVIDIA GH200 480GB", 989e12), ("NVIDIA L40S", 362e12)],
)  # fmt: skip
def test_peaks_by_the_name_that_a_driver_gives(tmp_path: Path, name: str, bf16: float) -> None:
    trace = read_trace(Job(steps=1, layers=1, device=name).write(tmp_path / "a.json"))
    facts = facts_of(trace, base_profile(name, None), "mine", None)
    assert facts.bf16_peak == pytest.approx(bf16)
    assert facts.device == name


def test_a_trace_without_dimensions_gives_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = Job(shapes=False).write(tmp_path / "job.json")
    output = tmp_path / "p.toml"
    assert run_app(["calibrate", "--trace", str(trace), "-o", str(output)]) == 0
    text = capsys.readouterr().out
    assert "no input dimensions" in text
    assert not output.exists()
    assert (tmp_path / "p_classes.csv").is_file()


def test_the_command_writes_profile_tables_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, other = Job().write(tmp_path / "a.json.gz"), Job(layers=5).write(tmp_path / "b.json")
    output = tmp_path / "p.toml"
    arguments = [
        "calibrate",
        "--trace",
        str(trace),
        "--check",
        str(other),
        "-o",
        str(output),
        "--json",
        "-t",
        "mpft",
    ]
    assert run_app(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["coverage"]["assigned"] == 1.0
    assert data["job"]["steps"] == 2
    assert {row["class"] for row in data["job"]["classes"]} >= {"gemm_bf16", "transfer", "optimizer"}
    assert abs(data["checks"][0][0]["error_pct"]) < 5
    assert load(ProfileSpec, "profile", str(output)).device == "NVIDIA H200"
    with (tmp_path / "p_collectives.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["collective"] == "all_reduce"
    assert float(row["netsim_us"]) == pytest.approx(data["job"]["collectives"][0]["netsim_us"], rel=1e-5)
    assert {path.name for path in tmp_path.glob("p_*.csv")} >= {"p_time.csv", "p_layers.csv", "p_checks.csv"}
    again = [*arguments, "--force"]
    assert run_app(again) == 0
    assert json.loads(capsys.readouterr().out) == data


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--workload", "deepseek-v3"], "--workload has no effect"),
        (["--fit-all"], "--fit-all has no effect"),
        (["--hardware", "h200"], "--hardware has no effect without --topology"),
    ],
)
def test_options_without_effect_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    trace = Job(steps=1).write(tmp_path / "a.json")
    assert run_app(["calibrate", "--trace", str(trace), "-o", str(tmp_path / "p.toml"), *more]) == 2
    assert words in capsys.readouterr().err


def test_a_check_on_another_gpu_is_refused(tmp_path: Path) -> None:
    trace = Job(steps=1).write(tmp_path / "a.json")
    other = Job(steps=1, device="NVIDIA H100 80GB HBM3").write(tmp_path / "b.json")
    with pytest.raises(
        NetsimError, match="measured on NVIDIA H100 80GB HBM3, and the profile is of NVIDIA H200"
    ):
        calibrate_trace(trace, asked=Asked((other,)))


# --- steps measured on two H200 ---


@pytest.fixture(scope="module")
def real() -> dict[str, Read]:
    return {name: read_job(read_trace(STEPS / f"{name}.json.gz"), RULES) for name in REAL}


@needs_steps
@pytest.mark.parametrize(("name", "layers"), list(zip(REAL, (8, 8, 2), strict=True)))
def test_real_steps_are_assigned(real: dict[str, Read], name: str, layers: int) -> None:
    job = real[name]
    share = job_coverage(job.placed).share
    print(f"{name}: {share:.4%} assigned")
    assert share >= 0.97
    assert job.steps == 2
    for phase in ("F", "B", "W"):
        assert {p.layer for p in job.placed if p.phase == phase} == {None, *range(layers)}


@needs_steps
@pytest.mark.parametrize("name", REAL)
def test_phases_of_real_steps_are_those_of_their_events(real: dict[str, Read], name: str) -> None:
    """Against CUDA events around forward, backward and optimizer of the same job, hot: within 6 %, 1.5 ms."""
    lines = (STEPS / "real_steps.jsonl").read_text().splitlines()
    measured = next(case["hot_ms"] for case in map(json.loads, lines) if case["case"] == name)
    job = real[name]
    times = phase_times(job.placed)
    each = {
        phase: (t.compute_s + t.exposed_s + t.host_s + t.queued_s) * 1e3 / job.steps
        for phase, t in times.items()
    }
    found = {"fwd": each["F"], "bwd": each["B"] + each["W"], "opt": each["opt"]}
    print(name, found, measured)
    for phase, value in found.items():
        assert value == pytest.approx(measured[phase], rel=0.06, abs=1.5), phase


@needs_steps
@pytest.mark.parametrize("name", REAL)
def test_one_real_step_predicts_the_others(real: dict[str, Read], name: str) -> None:
    """Kernel time of the other two traces of the same GPU, within 6 %."""
    profile, _, _ = calibrate_job(real[name], RULES, None, None, name)
    errors = {other: check(profile, other, real[other].calls).total.error for other in REAL if other != name}
    print(name, {other: f"{error:+.2%}" for other, error in errors.items()})
    assert all(abs(error) <= 0.06 for error in errors.values())


@needs_steps
def test_the_all_reduces_of_a_real_step(real: dict[str, Read]) -> None:
    (row,), _, lost = collectives_of(real["llama70b_l8_s8k_tp2"].placed)
    assert (row.message.collective, row.message.gpus, row.message.size_bytes) == (
        "all_reduce",
        2,
        8192 * 8192 * 2,
    )
    assert (len(row.seconds), lost) == (112, 0)
