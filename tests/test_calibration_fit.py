"""Fits find what they were made from; tables are read or refused in one line; profiles come back as written."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares

from netsim.calibration.about import load_about
from netsim.calibration.build import fit_classes, trace_samples
from netsim.calibration.calibrate import calibrate_table, summary
from netsim.calibration.fit import (
    Sample,
    constant_efficiency,
    cross_validate,
    domain,
    errors,
    fit,
    free_parameters,
    predict,
    spread,
)
from netsim.calibration.least_squares import minimise
from netsim.calibration.report import markdown, write_report
from netsim.calibration.rules import load_rules
from netsim.calibration.tables import read_tables
from netsim.calibration.write import toml, write_profile
from netsim.compute.device import Device
from netsim.errors import NetsimError
from netsim.specs import catalog, load
from netsim.specs.profile import ClassModel, OperatorRow, ProfileSpec
from netsim.workloads import kernels

DEVICE = Device(132, 132, 989e12, 1979e12, 4.8e12, 1.83e9)
TRUTH = ClassModel(source="").model_copy(
    update={
        "efficiency": 0.8,
        "hbm_efficiency": 0.85,
        "tiles": ((128, 128),),
        "tile_overhead": 1.5e-6,
        "call": 3e-6,
    }
)
START = ClassModel(source="").model_copy(update={"tiles": ((128, 128),)})
GEMM_FREE = ("efficiency", "tile_overhead", "hbm_efficiency", "call")


def made_up(count: int, noise: float = 0.0, seed: int = 0) -> list[Sample]:
    """FP8 products of random shapes, timed by the true model."""
    random = np.random.default_rng(seed)
    sizes = np.exp(random.uniform(np.log(128), np.log(12_000), (count, 3))).astype(int)
    ops = [kernels.gemm_fp8(f"g{i}", *map(int, size)) for i, size in enumerate(sizes)]
    clocks = random.uniform(1.4e9, 1.9e9, count)
    truth = TRUTH.model_copy(update={"clock": 1.7e9})
    times = predict(
        [Sample(op, 1.0, 0.0, clock) for op, clock in zip(ops, clocks, strict=True)], truth, DEVICE
    )
    times *= np.exp(random.normal(0.0, noise, count))
    return [Sample(op, float(t), 0.0, float(c), op.name) for op, t, c in zip(ops, times, clocks, strict=True)]


# --- least squares ---


def test_minimise_against_scipy() -> None:
    random = np.random.default_rng(1)
    x = random.uniform(0.1, 3.0, 40)
    y = 2.0 * np.exp(-1.3 * x) + random.normal(0, 0.01, 40)

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.asarray(p[0] * np.exp(p[1] * x) - y)

    theirs = least_squares(residuals, [1.0, -1.0]).x
    assert minimise(residuals, np.array([1.0, -1.0]), scale=1e3) == pytest.approx(theirs, rel=1e-4)


def test_a_row_of_another_kernel_hardly_bends_the_fit() -> None:
    samples = made_up(40)
    samples[3] = Sample(samples[3].op, samples[3].seconds * 3, 0.0, samples[3].clock_hz, "odd")
    start = START.model_copy(update={"clock": 1.7e9})
    assert fit(samples, start, DEVICE, GEMM_FREE).efficiency == pytest.approx(0.8, rel=0.02)


# --- fits ---


def test_a_fit_finds_the_model_that_made_its_samples() -> None:
    # none of these products is bound by HBM, so that efficiency is given
    free = ("efficiency", "tile_overhead", "call")
    start = START.model_copy(update={"clock": 1.7e9, "hbm_efficiency": 0.85})
    found = fit(made_up(60), start, DEVICE, free)
    for name in free:
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), rel=0.02), name


def test_a_stream_is_a_launch_and_a_rate() -> None:
    # 3 us and bytes at 0.8 x 4.8 TB/s
    ops = [kernels.copy("c", rows, 7168) for rows in (64, 512, 4096, 32768, 65536)]
    samples = [Sample(op, 3e-6 + op.bytes / (0.8 * 4.8e12)) for op in ops]
    found = fit(
        samples, ClassModel(source=""), DEVICE, free_parameters("copy", ClassModel(source=""), len(samples))
    )
    assert (found.hbm_efficiency, found.call) == (pytest.approx(0.8, rel=1e-3), pytest.approx(3e-6, rel=1e-3))


def test_cross_validation_judges_by_what_was_not_fitted() -> None:
    samples = made_up(40, noise=0.02)
    crossed = spread(cross_validate(samples, START.model_copy(update={"clock": 1.7e9}), DEVICE, GEMM_FREE))
    assert 0.005 < crossed.median < 0.03
    # a model with no freedom to follow one odd sample misses it by all of its oddity
    odd = [*samples[:-1], Sample(samples[-1].op, 2 * samples[-1].seconds, 0.0, samples[-1].clock_hz, "odd")]
    assert cross_validate(odd, START.model_copy(update={"clock": 1.7e9}), DEVICE, GEMM_FREE)[
        -1
    ] == pytest.approx(-0.5, abs=0.05)


def test_each_fold_is_judged_by_the_others() -> None:
    # two launches of 2 and 8 us, a fold each: the one predicts the other, 8/2 - 1 and 2/8 - 1
    samples = [Sample(kernels.small("s", 1, 1), seconds) for seconds in (2e-6, 8e-6)]
    start = ClassModel(source="").model_copy(update={"call": 3e-6})
    found = cross_validate(samples, start, DEVICE, ("call",), folds=2)
    assert found == pytest.approx([3.0, -0.75], rel=1e-3)


def test_waves_beat_a_constant_efficiency_where_there_are_waves() -> None:
    samples = made_up(60)
    plain = constant_efficiency(samples[:40], DEVICE)
    waves = fit(samples[:40], START.model_copy(update={"clock": 1.7e9}), DEVICE, GEMM_FREE)
    assert (
        spread(errors(samples[40:], waves, DEVICE)).p90
        < 0.2 * spread(errors(samples[40:], plain, DEVICE)).p90
    )


def test_efficiencies_stay_below_the_peaks() -> None:
    impossible = [Sample(s.op, s.seconds / 10, 0.0, s.clock_hz, s.name) for s in made_up(20)]
    found = fit(impossible, START.model_copy(update={"clock": 1.7e9}), DEVICE, GEMM_FREE)
    assert found.efficiency is not None
    assert 0 < found.efficiency <= 1
    assert 0 < found.hbm_efficiency <= 1
    for sample, seconds in zip(impossible, predict(impossible, found, DEVICE), strict=True):
        assert seconds >= sample.op.flops / DEVICE.peak("gemm_fp8", sample.clock_hz) * (1 - 1e-12)


@pytest.mark.parametrize(("count", "names"), [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3), (100, 4)])
def test_few_samples_free_few_parameters(count: int, names: int) -> None:
    assert free_parameters("gemm_bf16", START, count) == GEMM_FREE[:names]


def test_a_class_without_samples_is_not_fitted() -> None:
    about = load_about(catalog.folder("profile") / "measured/h200_deepgemm.toml")
    held_out = [Sample(s.op, s.seconds, held_out=True) for s in made_up(4)]
    assert fit_classes({"gemm_fp8": held_out}, {"gemm_fp8": START}, about, {}) == {}


def test_the_domain_is_the_box_of_what_was_fitted() -> None:
    samples = [Sample(kernels.gemm_fp8("a", m, 256, k), 1e-5) for m, k in ((64, 512), (4096, 128))]
    assert domain(samples, "gemm_fp8") == {"m": (64.0, 4096.0), "n": (256.0, 256.0), "k": (128.0, 512.0)}
    assert domain([Sample(kernels.copy("a", 10, 10), 1e-6)], "copy") == {"bytes": (400.0, 400.0)}


def test_contexts_of_a_persistent_kernel_are_two_samples() -> None:
    profile = load(ProfileSpec, "profile", "h800")
    row = next(r for r in profile.operators if r.name == "ffn_norm_fwd")
    op = kernels.norm("ffn_norm_fwd", 4096, 7168, tensors=4)
    samples = trace_samples([row], {"ffn_norm_fwd": op})["norm"]
    assert [(s.seconds, s.share) for s in samples] == [(row.alone, 0.0), (row.beside, 1.0)]


# --- tables ---


def frame(**changes: Any) -> pd.DataFrame:
    """Forty products and five norms of a made-up GPU, in the columns of netsim measure."""
    rows = [
        {"kernel": "gemm", "dtype": "fp8_block", "m": s.op.shape[0], "n": s.op.shape[1], "k": s.op.shape[2],
         "time_us": s.seconds * 1e6, "sm_clock_GHz": (s.clock_hz or 0) / 1e9, "mode": "cool", "side": "",
         "set": "holdout" if i % 4 == 0 else "random", "gpu": "NVIDIA H800"}
        for i, s in enumerate(made_up(40))
    ]  # fmt: skip
    rows += [
        {"kernel": "rmsnorm", "dtype": "bf16", "m": m, "n": 7168, "k": 0, "time_us": 3 + m / 100,
         "bytes": 4.0 * m * 7168, "sm_clock_GHz": 1.8, "mode": "cool", "side": "", "set": "random",
         "gpu": "NVIDIA H800"}
        for m in (64, 256, 1024, 4096, 8192)
    ]  # fmt: skip
    made = pd.DataFrame(rows)
    for name, value in changes.items():
        made[name] = value
    return made


def test_a_table_is_read_by_flavour_with_its_holdout(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    table = read_tables([tmp_path / "a.csv"], load_rules().flavours)
    assert (table.device, table.flavours["gemm_fp8"]) == ("NVIDIA H800", "gemm:fp8_block")
    assert [s.held_out for s in table.samples["gemm_fp8"]].count(True) == 10
    assert table.samples["gemm_fp8"][0].op.shape == tuple(frame().loc[0, ["m", "n", "k"]])
    assert table.unused == {}


def test_other_names_and_parquet(tmp_path: Path) -> None:
    other = frame().rename(columns={"time_us": "duration", "m": "rows"})
    other.to_parquet(tmp_path / "a.parquet")
    table = read_tables([tmp_path / "a.parquet"], load_rules().flavours, {"time_us": "duration", "m": "rows"})
    assert len(table.samples["norm"]) == 5


def test_only_the_asked_protocol_counts_and_a_resident_copy_makes_the_slow_down(tmp_path: Path) -> None:
    beside = frame()[lambda f: f.kernel == "gemm"].assign(side="copy", time_us=lambda f: 1.3 * f.time_us)
    hot = frame().assign(mode="hot")
    pd.concat([frame(), beside, hot]).to_csv(tmp_path / "a.csv", index=False)
    table = read_tables([tmp_path / "a.csv"], load_rules().flavours)
    assert len(table.samples["gemm_fp8"]) == 40
    assert table.slowdown == {"gemm_fp8": pytest.approx(0.3)}
    assert table.unused == {"mode other than cool, or beside a resident kernel": 85}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_us": math.nan}, r"a.csv: line 2: time_us = .*nan.*, must be a positive number"),
        ({"time_us": -3.0}, r"a.csv: line 2: time_us = .*-3.0.*, must be a positive number"),
        ({"time_us": 0.0}, r"must be a positive number"),
        ({"m": "many"}, r"line 2: m = 'many', must be a whole number of at least 0"),
        (
            {"gpu": ["NVIDIA H800"] * 44 + ["NVIDIA H200"]},
            r"rows of several devices \(NVIDIA H200, NVIDIA H800\)",
        ),
        ({"n": 64.5}, r"line 2: n = 64.5, must be a whole number of at least 0"),
        ({"bytes": "many"}, r"line 2: bytes = 'many', must be a number of at least 0"),
        ({"sm_clock_GHz": "fast"}, r"line 2: sm_clock_GHz = 'fast', must be a number"),
        ({"batch": "two"}, r"line 2: batch = 'two', must be a whole number"),
        ({"k": 0}, r"gemm:fp8_block .*: m, n, k, groups and v_dim must be at least 1 in class gemm_fp8"),
        ({"mode": "hot"}, r"no rows of mode 'cool' without a resident kernel; modes there: hot"),
        ({"kernel": "mine"}, r"no row belongs to a kernel class: looked for "),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    frame(**change).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(NetsimError, match=words) as error:
        read_tables([tmp_path / "a.csv"], load_rules().flavours)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_a_missing_column_and_a_wrong_mapping(tmp_path: Path) -> None:
    frame().drop(columns="time_us").to_csv(tmp_path / "a.csv", index=False)
    flavours = load_rules().flavours
    with pytest.raises(NetsimError, match=r"no column 'time_us': .*--column time_us=NAME"):
        read_tables([tmp_path / "a.csv"], flavours)
    with pytest.raises(NetsimError, match=r"no column 'tme' \(for time_us\)"):
        read_tables([tmp_path / "a.csv"], flavours, {"time_us": "tme"})
    with pytest.raises(
        NetsimError, match=r"--column time=m: a kernel table has no such column: did you mean 'time_us'"
    ):
        read_tables([tmp_path / "a.csv"], flavours, {"time": "m"})
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(NetsimError, match="cannot be read as a table"):
        read_tables([tmp_path / "empty.csv"], flavours)


# --- profiles ---


def test_a_profile_from_a_table_is_a_profile(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    found = calibrate_table([tmp_path / "a.csv"], name="mine")
    model = found.profile.classes["gemm_fp8"]
    # the made-up GPU has H200's memory: 4.8 of 3.35 TB/s, which the fit must not exceed
    assert model.efficiency == pytest.approx(0.8 * 1.0, rel=0.15)
    assert found.profile.classes["optimizer"].source.startswith("not measured: as profile h800")
    assert found.profile.classes["gemm_fp8"].source.startswith(
        "gemm:fp8_block, 30 samples; fitted: efficiency"
    )
    read = write_profile(found.profile, tmp_path / "mine.toml")
    assert read.classes["gemm_fp8"].efficiency == pytest.approx(model.efficiency, rel=1e-3)
    assert len(read.operators) == 30
    assert summary(found)["classes"][0]["held_out"]["samples"] == 10


def test_the_shipped_profiles_are_written_as_they_are_read(tmp_path: Path) -> None:
    for name in ("h800", "h200"):
        profile = load(ProfileSpec, "profile", name)
        assert toml(write_profile(profile, tmp_path / "a.toml")) == toml(profile)


def test_short_times_keep_four_digits(tmp_path: Path) -> None:
    profile = load(ProfileSpec, "profile", "h800")
    index = profile.classes["index"].model_copy(update={"row": 16.637e-9, "call": 2.3456e-6})
    written = profile.model_copy(update={"classes": {**profile.classes, "index": index}})
    read = write_profile(written, tmp_path / "a.toml").classes["index"]
    assert (read.row, read.call) == (pytest.approx(16.64e-9), pytest.approx(2.346e-6))


def test_a_table_of_another_device_needs_its_facts(tmp_path: Path) -> None:
    frame(gpu="NVIDIA B200").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(
        NetsimError, match=r"measured on NVIDIA B200, and base profile h800 is of NVIDIA H800: .*--about"
    ):
        calibrate_table([tmp_path / "a.csv"], "h800")
    frame(gpu="NVIDIA Z1").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(NetsimError, match=r"measured on NVIDIA Z1, and no profile is of it .*--about"):
        calibrate_table([tmp_path / "a.csv"])
    frame(gpu="").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(
        NetsimError, match=r"names no device \(column gpu\): say which with --base or --about"
    ):
        calibrate_table([tmp_path / "a.csv"])
    assert calibrate_table([tmp_path / "a.csv"], "h800").profile.device == "NVIDIA H800"


def test_a_report_says_what_was_and_was_not_used(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    found = calibrate_table([tmp_path / "a.csv"], name="mine")
    text, picture = write_report(found, tmp_path / "out")
    assert picture.stat().st_size > 10_000
    assert "| `gemm_fp8` | gemm:fp8_block | 40 |" in text.read_text()
    assert markdown(found).count("held out |") > 0


def test_rows_without_a_job_answer_for_their_shape() -> None:
    row = next(r for r in load(ProfileSpec, "profile", "h200").operators if r.kind == "gemm_fp8")
    assert isinstance(row, OperatorRow)
    assert (row.block, row.phase, row.split) == ("", None, "cal")
