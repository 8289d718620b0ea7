"""Host presets: racks of trays, GPUs without FP8, and what must divide what."""

from __future__ import annotations

import pytest

from netsim.errors import SpecError
from netsim.specs import HardwareSpec, catalog, load
from netsim.specs.case import make_case


@pytest.mark.parametrize("name", catalog.names("hardware"))
def test_a_preset_holds_together(name: str) -> None:
    host = load(HardwareSpec, "hardware", name)
    gpu = host.gpu
    # each format is at least as fast as the wider one, and kernels reach no more than the links
    assert gpu.bf16_peak <= (gpu.fp8_peak or gpu.bf16_peak) <= (gpu.fp4_peak or gpu.fp8_peak or gpu.bf16_peak)
    assert host.scale_up.achieved_rate <= host.scale_up.rate
    assert host.pcie.achieved_rate <= host.pcie.rate
    assert {"gpu", "scale_up", "nic", "power"} <= set(host.sources)


@pytest.mark.parametrize(("name", "line_rate"), [("gb200_nvl72", 50e9), ("gb300_nvl72", 100e9)])
def test_a_rack_is_trays_of_four_with_a_nic_a_gpu(name: str, line_rate: float) -> None:
    host = load(HardwareSpec, "hardware", name)
    assert (host.gpus_per_host, host.nics_per_host, host.gpus_per_tray, host.scale_up.size) == (64, 64, 4, 72)
    assert host.nic.line_rate == line_rate
    whole = load(HardwareSpec, "hardware", name, {"gpus_per_host": 72, "nics_per_host": 72})
    assert whole.gpus_per_host == whole.scale_up.size


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"gpus_per_tray": 6}, "gpus_per_tray = 6, must divide gpus_per_host = 64"),
     ({"scale_up.size": 32}, "scale_up.size = 32, must hold gpus_per_host = 64")],
)  # fmt: skip
def test_what_must_fit(change: dict[str, int], rule: str) -> None:
    with pytest.raises(SpecError, match=rule):
        load(HardwareSpec, "hardware", "gb200_nvl72", change)


def test_a_gpu_without_fp8_runs_bf16_alone() -> None:
    with pytest.raises(
        SpecError, match=r"compute\.products = 'fp8', needs a GPU with FP8, NVIDIA A100 has none"
    ):
        make_case(hardware="a100")
    assert make_case(hardware="a100", overrides={"compute.products": "bf16"}).hardware.gpu.fp8_peak is None
