"""Kernel tables as others write them: layouts, units, repeats, and times that no device could do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from netsim.calibration.calibrate import calibrate_table
from netsim.calibration.layouts import LAYOUTS, guess
from netsim.calibration.rules import load_rules
from netsim.calibration.table_file import read_frame, unit_of
from netsim.calibration.tables import read_tables
from netsim.calibration.write import write_profile
from netsim.errors import NetsimError

#: (m, n, k) at 700 of the 989 TFLOPS of an H100
SHAPES = [(m, n, k) for m in (2048, 4096, 8192) for n, k in ((4096, 4096), (14336, 4096), (4096, 14336))]


def products(factor: float = 1.0, column: str = "time_us") -> pd.DataFrame:
    """BF16 products of an H100, times in microseconds over `factor`."""
    rows = [
        {"kernel": "gemm", "dtype": "bf16", "m": m, "n": n, "k": k, column: 2.0 * m * n * k / 700e6 / factor}
        for m, n, k in SHAPES
    ]
    return pd.DataFrame(rows).assign(gpu="NVIDIA H100 80GB HBM3")


@pytest.mark.parametrize(("unit", "factor"), [("ns", 1e-3), ("us", 1.0), ("ms", 1e3), ("s", 1e6)])
def test_a_unit_in_the_name_or_asked_is_the_same_profile(tmp_path: Path, unit: str, factor: float) -> None:
    products().to_csv(tmp_path / "us.csv", index=False)
    products(factor, f"latency_{unit}").to_csv(tmp_path / "named.csv", index=False)
    products(factor, "latency").to_csv(tmp_path / "asked.csv", index=False)
    (straight,) = (calibrate_table([tmp_path / "us.csv"], name="mine").profile,)
    for name, column, asked in (("named", f"latency_{unit}", None), ("asked", "latency", unit)):
        found = calibrate_table(
            [tmp_path / f"{name}.csv"], name="mine", columns={"time_us": column}, unit=asked
        )
        mine, theirs = (p.classes["gemm_bf16"].efficiency for p in (straight, found.profile))
        assert theirs == pytest.approx(mine, rel=1e-6)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1e3, r"gemm:bf16 2048x4096x4096 in 0.09817 us, 700,000 TFLOPS, 708 times the peak of NVIDIA H100"),
     (1e-3, r"the fastest row is gemm:bf16 .* 0.7 TFLOPS, 0.00071 of the peak")],
)  # fmt: skip
def test_a_unit_off_by_a_thousand_is_refused_with_the_row(tmp_path: Path, factor: float, words: str) -> None:
    products(factor, "latency").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(NetsimError, match=words + ".*is the time in another unit"):
        calibrate_table([tmp_path / "a.csv"], columns={"time_us": "latency"})


def test_memory_bound_rows_are_held_to_the_memory(tmp_path: Path) -> None:
    # 16,384 x 7,168 BF16 in and out are 470 MB: 140 us at 3.35 TB/s, not 0.14
    frame = pd.DataFrame([{"kernel": "rmsnorm", "dtype": "bf16", "m": 16384, "n": 7168, "time_us": 0.14}])
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(NetsimError, match=r"rmsnorm:bf16 16384x7168x0 in 0.14 us, .* GB/s, .*the peak"):
        calibrate_table([tmp_path / "a.csv"], "h100")


def test_bytes_follow_from_the_shape_or_are_asked_for(tmp_path: Path) -> None:
    rows = [
        {"kernel": "rmsnorm", "dtype": "bf16", "m": m, "n": 7168, "time_us": 2 + m / 100}
        for m in (1024, 4096)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    table = read_tables([tmp_path / "a.csv"], load_rules().flavours)
    assert [s.op.bytes for s in table.samples["norm"]] == [4.0 * m * 7168 for m in (1024, 4096)]
    pd.DataFrame(rows).assign(kernel="mine").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(
        NetsimError, match=r"b.csv: mine:bf16 1024x7168x0: how many bytes .* add a column bytes"
    ):
        read_tables([tmp_path / "b.csv"], {"norm": ("mine:bf16",)})


def test_repeats_count_by_their_median(tmp_path: Path) -> None:
    rows = [
        {"kernel": "gemm", "dtype": "bf16", "m": 64, "n": 64, "k": 64, "time_us": t} for t in (3.0, 90.0, 5.0)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    frame, repeats = read_frame(tmp_path / "a.csv", {})
    assert (list(frame["time_us"]), repeats) == ([5.0], 2)
    table = read_tables([tmp_path / "a.csv"], load_rules().flavours)
    assert table.unused == {"repeats of a row, which counts by the median": 2}


def test_one_column_may_stand_for_two_of_ours(tmp_path: Path) -> None:
    pd.DataFrame([{"op": "attn_fwd", "isl": 4096, "heads": 32, "d": 128, "us": 300.0}]).to_csv(
        tmp_path / "a.csv"
    )
    mapping = {"kernel": "op", "m": "isl", "n": "heads", "k": "d", "v_dim": "d", "time_us": "us"}
    frame, _ = read_frame(tmp_path / "a.csv", mapping)
    assert (frame["k"][0], frame["v_dim"][0]) == (128, 128)


# --- layouts ---


def test_aiconfigurator(tmp_path: Path) -> None:
    header = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n"
    lines = [f"TRTLLM,1.3,NVIDIA B200,gemm,torch_flow,{d},1024,4096,4096,{t}"
             for d, t in (("bfloat16", 0.03), ("fp8", 0.02), ("fp8_block", 0.021), ("nvfp4", 0.012))]  # fmt: skip
    (tmp_path / "gemm_perf.txt").write_text(header + "\n".join(lines))
    frame, _ = read_frame(tmp_path / "gemm_perf.txt", {}, "aiconfigurator")
    assert list(frame["dtype"]) == ["bf16", "fp8_tensor", "fp8_block", "nvfp4"]
    assert list(frame["time_us"]) == pytest.approx([30, 20, 21, 12])
    assert set(frame["gpu"]) == {"NVIDIA B200"}
    with pytest.raises(NetsimError, match=r"no column 'kernel': .*or --layout aiconfigurator"):
        read_frame(tmp_path / "gemm_perf.txt", {})
    with pytest.raises(NetsimError, match="have no effect on layout aiconfigurator"):
        read_frame(tmp_path / "gemm_perf.txt", {}, "aiconfigurator", "ms")


def test_aiconfigurator_attention_tells_windows_apart(tmp_path: Path) -> None:
    header = ("framework,version,device,op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,"
              "beam_width,attn_dtype,kv_cache_dtype,step,window_size,latency\n")  # fmt: skip
    rows = [f"VLLM,0.24,NVIDIA B200,context_attention,fa,2,4096,32,8,128,1,bfloat16,{cache},0,{window},0.2"
            for cache, window in (("bfloat16", 0), ("bfloat16", 128), ("fp8", 0))]  # fmt: skip
    (tmp_path / "a.csv").write_text(header + "\n".join(rows))
    frame, _ = read_frame(tmp_path / "a.csv", {}, "aiconfigurator")
    assert list(frame["dtype"]) == ["bf16", "bf16+window", "bf16+fp8_cache"]
    table = read_tables([tmp_path / "a.csv"], load_rules().flavours, layout="aiconfigurator")
    assert [s.op.shape for s in table.samples["attention_fwd"]] == [(2, 32, 4096, 128, 128)]


def test_deepgemm(tmp_path: Path) -> None:
    text = """Testing GEMM:
 > Perf (m=  4096, n=  2112, k=  7168, 1D2D, layout=NT, BF16, acc=0):  110.0 us | 1120 TFLOPS | 600 GB/s | 1.0x cuBLAS
 > Perf (m=  4096, n=  7168, k=  2048, 1D1D, layout=NT, FP32, acc=1):    0.2 ms | 600 TFLOPS | 600 GB/s
 > Perf (m=  4096, n=  7168, k=  2048, layout=NT, BF16, acc=0):  200 us | 600 TFLOPS | 600 GB/s
Testing grouped contiguous GEMM:
 > Perf (num_groups=4, expected_m_per_group=8192, n=4096, k=7168): 1500 us | throughput: 1283 TFLOPS, 700 GB/s
"""
    (tmp_path / "a.txt").write_text(text)
    frame, _ = read_frame(tmp_path / "a.txt", {}, "deepgemm")
    assert list(frame["kernel"]) == ["dg_gemm", "dg_gemm_wgrad", "dg_gemm", "dg_grouped_contig"]
    assert list(frame["dtype"]) == ["fp8_block", "fp8_block", "bf16", "fp8_block"]
    assert list(frame["time_us"]) == [110.0, 200.0, 200.0, 1500.0]
    assert (frame["m"][3], frame["groups"][3]) == (32768, 4)
    (tmp_path / "b.txt").write_text("nothing here")
    with pytest.raises(NetsimError, match=r"holds no line 'Perf \(m="):
        read_frame(tmp_path / "b.txt", {}, "deepgemm")


def test_vidur(tmp_path: Path) -> None:
    names = [
        "input_layernorm",
        "attn_pre_proj",
        "attn_post_proj",
        "mlp_up_proj",
        "mlp_act",
        "mlp_down_proj",
        "add",
    ]
    row = {f"time_stats.{name}.median": 0.5 for name in names}
    row |= {"n_head": 32, "n_kv_head": 8, "n_embd": 4096, "n_expanded_embd": 14336, "use_gated_mlp": True,
            "num_tokens": 4096, "num_tensor_parallel_workers": 2}  # fmt: skip
    pd.DataFrame([row]).to_csv(tmp_path / "mlp.csv", index=False)
    assert guess(list(pd.read_csv(tmp_path / "mlp.csv").columns)) == "vidur"
    frame, _ = read_frame(tmp_path / "mlp.csv", {}, "vidur")
    shapes = {tuple(r[c] for c in ("kernel", "m", "n", "k")) for r in frame.to_dict("records")}
    # two ranks: 16 heads of queries and 4 + 4 of keys and values, 128 wide; half of the FFN
    assert shapes == {
        ("rmsnorm", 4096, 4096, 0), ("gemm", 4096, 24 * 128, 4096), ("gemm", 4096, 4096, 2048),
        ("gemm", 4096, 14336, 4096), ("swiglu", 4096, 7168, 0), ("gemm", 4096, 4096, 7168),
        ("residual_add", 4096, 4096, 0),
    }  # fmt: skip
    assert set(frame["time_us"]) == {500.0}


def test_a_layout_that_is_none(tmp_path: Path) -> None:
    products().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(NetsimError, match="--layout vidour: did you mean 'vidur'"):
        read_frame(tmp_path / "a.csv", {}, "vidour")
    assert set(LAYOUTS) == {"netsim", "aiconfigurator", "deepgemm", "vidur"}


@pytest.mark.parametrize(
    ("column", "unit"),
    [("latency_ms", "ms"), ("Time (us)", "us"), ("dur [ns]", "ns"), ("latency", None), ("rows", None), ("sms", None),
     ("Duration(µs)", "us")],
)  # fmt: skip
def test_the_unit_of_a_name(column: str, unit: str | None) -> None:
    assert unit_of(column) == unit


def test_a_step_too_short_to_write_is_none(tmp_path: Path) -> None:
    products().to_csv(tmp_path / "a.csv", index=False)
    profile = calibrate_table([tmp_path / "a.csv"], name="mine").profile
    tiny = profile.classes["gemm_bf16"].model_copy(update={"step": 1.122e-16})
    changed = profile.model_copy(update={"classes": {**profile.classes, "gemm_bf16": tiny}})
    assert write_profile(changed, tmp_path / "mine.toml").classes["gemm_bf16"].step == 0.0
