"""The power limit: the SM clock at which the mean power of what a GPU runs meets its cap.

    power of products     static + V(f)^2 (per_flop x rate + active x f_in / f_in(reference))
    power of the rest     static + per_byte x byte rate (x V(f)^2 where the SMs bound it: `vector`)
    V(f)                  1 + voltage_slope (f / reference - 1), f the clock that the driver reports
    clock in a kernel     f_in = min(inside x f, rested_clock); memory-bound kernels do not ask, HBM has its own
    the steady clock      the highest f up to boost at which the power that the limit sees is at most the cap:
                          (1 - pause) x mean over everything + pause x mean over busy time

Two limits act. The slow one holds the mean over many milliseconds at the cap and lowers the reported clock for all
kernels alike. The fast one acts within a kernel: products on a rested GPU run at 1.6 GHz (BF16) or 1.5 (FP8) though
1.98 is reported, so a kernel measured cool is slower than boost already (`rested_clock`), and slows no further until
the slow limit goes below that.

`slowdown` is what a kernel takes longer than measured on a rested GPU. Left out: temperature and leakage, spread
between cards (two H200 differ by 1 %), how exposed communication cools the GPU (pauses are the pipeline's bubble only),
and time-varying power within a step: the time constant is taken to be longer than a step's phases.

Source: own measurement, workloads/compute/measured/h200_mixes.csv; Chandrakasan et al. 1992, JSSC 27(4) (power of CMOS:
capacity x voltage squared x rate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from netsim.specs.power import DrawSpec, Group, PowerSpec

_STEPS = 40


@dataclass(frozen=True)
class Load:
    """A kind of kernel in a mix: what all its calls do together, and their time on a rested GPU.

    bound : share of the time that goes with the SM clock (1: products; 0: memory-bound)
    rested_hz : clock of the measurement of a kernel without products that the SMs bound all the same
    """

    group: Group
    seconds: float
    flops: float
    bytes: float
    bound: float = 1.0
    rested_hz: float | None = None


@dataclass(frozen=True)
class State:
    """A GPU at a clock: power over everything and over busy time, and busy seconds."""

    clock_hz: float
    mean_w: float
    busy_w: float
    busy_s: float


def group_of(kind: str) -> Group:
    """The group of a kernel class.

    >>> group_of("grouped_wgrad_bf16"), group_of("gemm_fp8_tensor"), group_of("norm"), group_of("attention_bwd_fp8")
    ('bf16', 'fp8', 'memory', 'attention_bwd')
    """
    if kind.startswith("attention"):
        return cast(Group, "_".join(kind.split("_")[:2]))
    if "gemm" not in kind and "wgrad" not in kind:
        return "memory"
    return "bf16" if kind.endswith("bf16") else "fp8"


def _draw(power: PowerSpec, group: Group) -> DrawSpec:
    return power.groups.get(group) or power.groups["memory" if group == "vector" else "bf16"]


def voltage(power: PowerSpec, clock_hz: float) -> float:
    """Relative to that at the reference clock."""
    return 1.0 + power.voltage_slope * (clock_hz / power.reference - 1.0)


def slowdown(power: PowerSpec, load: Load, clock_hz: float) -> float:
    """Time at a reported clock over the time on a rested GPU."""
    rested = _draw(power, load.group).rested_clock
    if rested is None:
        return 1.0 if load.rested_hz is None else load.rested_hz / min(clock_hz, load.rested_hz)
    return 1.0 + load.bound * (rested / min(power.inside * clock_hz, rested) - 1.0)


def energy_j(power: PowerSpec, load: Load, clock_hz: float) -> float:
    """Beside the static power, of all calls of a load."""
    draw = _draw(power, load.group)
    if draw.rested_clock is None:
        squared = voltage(power, clock_hz) ** 2 if load.group == "vector" else 1.0
        return squared * draw.per_byte_pJ * 1e-12 * load.bytes
    inside = min(power.inside * clock_hz, draw.rested_clock)
    squared = voltage(power, inside / power.inside) ** 2
    seconds = load.seconds * slowdown(power, load, clock_hz)
    active = draw.active * seconds * inside / (power.inside * power.reference)
    return squared * (draw.per_flop_pJ * 1e-12 * load.flops + active)


def state(power: PowerSpec, loads: Sequence[Load], idle_s: float, clock_hz: float) -> State:
    """Power of loads one after the other and a pause, at a clock."""
    busy = sum(load.seconds * slowdown(power, load, clock_hz) for load in loads)
    joules = sum(energy_j(power, load, clock_hz) for load in loads)
    if not busy:
        return State(clock_hz, power.static, power.static, 0.0)
    return State(clock_hz, power.static + joules / (busy + idle_s), power.static + joules / busy, busy)


def steady(power: PowerSpec, loads: Sequence[Load], idle_s: float, cap_w: float, boost_hz: float) -> State:
    """The state that the limit settles at; half the reference clock at the lowest.

    Algebra of a case: only memory-bound work below the cap runs at boost.

    >>> product = {"per_flop_pJ": 1.0, "rested_clock": "1.6 GHz"}
    >>> draws = dict.fromkeys(("bf16", "attention_fwd", "attention_bwd"), product) | {"memory": {"per_byte_pJ": 100.0}}
    >>> facts = {"static": "100 W", "reference": "1.5 GHz", "voltage_slope": 0.0, "inside": 1.0, "pause": 0.0}
    >>> spec = PowerSpec.model_validate({**facts, "groups": draws, "source": "made up"})
    >>> steady(spec, [Load("memory", 1.0, 0.0, 4e12)], 0.0, 700.0, 2e9)
    State(clock_hz=2000000000.0, mean_w=500.0, busy_w=500.0, busy_s=1.0)
    """

    def seen(clock_hz: float) -> float:
        found = state(power, loads, idle_s, clock_hz)
        return (1.0 - power.pause) * found.mean_w + power.pause * found.busy_w

    low, high = power.reference / 2.0, boost_hz
    if seen(high) <= cap_w:
        return state(power, loads, idle_s, high)
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if seen(middle) > cap_w else (middle, high)
    return state(power, loads, idle_s, low)
