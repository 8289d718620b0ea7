"""Blackwell profiles beside the rows of public kernel tables that they were not fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.compute import ComputeModel
from netsim.specs import HardwareSpec, load
from netsim.specs.profile import ProfileSpec
from netsim.validation.experiments_kernels import held_out_errors, kernel_tables
from netsim.workloads import kernels

GPUS = {"gb200": "gb200_nvl72", "gb300": "gb300_nvl72", "b200": "b200", "b300": "b300"}


def test_errors_are_small_in_the_middle_of_every_class() -> None:
    errors = held_out_errors()
    assert {gpu for gpu, _ in errors} == set(GPUS)
    for (gpu, kind), mine in errors.items():
        if "gemm" in kind or "attention" in kind:
            # a class that is off as a whole would be biased, not only scattered
            assert abs(np.median(mine)) < 15.0, (gpu, kind)
            assert np.median(np.abs(mine)) < 15.0, (gpu, kind)


def test_a_class_without_rows_has_no_figure() -> None:
    assert kernel_tables([{"gpu": "gb200", "class": "index", "percentile": 50}]) == [None]


@pytest.mark.parametrize(("name", "host"), GPUS.items())
def test_a_profile_is_of_the_gpu_of_its_host(name: str, host: str) -> None:
    profile, hardware = load(ProfileSpec, "profile", name), load(HardwareSpec, "hardware", host)
    assert profile.device == hardware.gpu.name
    model = ComputeModel(profile, hardware)
    for word in ("bf16", "fp8_tensor", "mxfp8", "nvfp4"):
        time = model.operator_time(kernels.gemm("x", 8192, 8192, 8192, word), False)  # type: ignore[arg-type]
        assert time.origin == "model"


@pytest.mark.parametrize("name", GPUS)
def test_what_was_transferred_says_so_and_is_extrapolated(name: str) -> None:
    profile = load(ProfileSpec, "profile", name)
    told = {kind for kind, model in profile.classes.items() if model.source.startswith("transferred")}
    assert {"permute", "index", "optimizer", "wgrad_mxfp8", "grouped_gemm_mxfp8"} <= told
    assert not told & {"gemm_bf16", "gemm_mxfp8", "gemm_nvfp4", "quant", "norm"}
