"""Every key that may be set changes an answer, is refused, or is listed here with the reason why it need not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import netsim
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.specs import load
from netsim.specs.case import SECTIONS, make_case
from netsim.specs.keys import keys
from netsim.specs.protocol import ProtocolSpec
from netsim.studies.evaluate import simulate_row
from netsim.studies.question import make_point
from netsim.studies.spec import StudySpec
from netsim.studies.sweep import sweep
from netsim.studies.workers import Workers

#: says where a number comes from; printed with it
DOCUMENTATION = ("name", "description", "sources", "source", "date", "status")
#: keys that are left out by default, and values whose neighbours are no choice
EXAMPLES: dict[str, Any] = {
    "topology.oversubscription": [2.0],
    "protocol.exchange.normal": "1 ms",
    "workload.compute.clock": "1.2 GHz",
    "workload.parallelism.stage_layers": [1, 2, 2, 1],
    "workload.parallelism.zero": 3,
    "workload.parallelism.layout": "Ett|tttt",
    "workload.storage.recompute": [],
    "workload.variation.compute_sigma": 0.1,
    "workload.variation.slow": {"0": 2.0},
    "workload.variation.expert_load": "zipf:1",
    "prices.endpoint_link.price": "100 USD",
    "prices.nic.price": "100 USD",
    **{f"prices.{part}.{end}": "1 USD" for part in ("switch", "switch_link", "endpoint_link", "nic")
       for end in ("low", "high")},
}  # fmt: skip
#: read, but one leaf holds all, and no switch link is crossed
ONE_LEAF = {"topology.routing", "topology.oversubscription"}
V3 = {
    "parallelism.pipeline": 2, "parallelism.expert": 16, "batch.microbatches": 4, "model.layers": 6,
    "model.moe.groups": 2, "model.moe.group_limit": 2,
}  # fmt: skip
DENSE = {
    "parallelism.pipeline": 2, "parallelism.tensor": 4, "batch.microbatches": 4, "model.layers": 8,
    "model.dense_layers": 8,
}  # fmt: skip
Answer = Callable[[Mapping[str, Any]], Any]


def others(value: Any, takes: str) -> list[Any]:
    """Values beside one, of the same kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2, max(1, value // 2), value + 1]
    if isinstance(value, float):
        return [value * 0.5, value * 1.3]
    if not isinstance(value, str):
        return []
    number, _, unit = value.partition(" ")
    try:
        return [f"{float(number) * 0.7!r} {unit}", f"{float(number) * 1.3!r} {unit}"]
    except ValueError:
        return [word.strip() for word in takes.split("|") if word.strip() != value]


def silent(answer: Answer, specs: Mapping[str, Any]) -> set[str]:
    """The keys of specs (by section) that change nothing, whatever they are set to, and are not refused."""
    found, before = set(), _text(answer({}))
    for section, spec in specs.items():
        values = spec.model_dump(mode="json")
        for key in keys(type(spec)):
            name = f"{section}.{key.name}"
            if "*" in name or key.name.rpartition(".")[2] in DOCUMENTATION:
                continue
            value = values
            for part in key.name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            tried = [EXAMPLES[name]] if name in EXAMPLES else others(value, key.takes)
            tried = [other for other in tried if other != value]
            outcomes = {_outcome(answer, {name: other}, before) for other in tried}
            if "same" in outcomes and "another" not in outcomes:
                found.add(name)
    return found


def _outcome(answer: Answer, overrides: Mapping[str, Any], before: str) -> str:
    try:
        return "same" if _text(answer(overrides)) == before else "another"
    except NetsimError:
        return "refused"


def _text(record: Any) -> str:
    """What an answer says, but for the fingerprint of its specs."""
    kept = {k: v for k, v in record.items() if k != "provenance"} if isinstance(record, dict) else record
    return json.dumps(kept, sort_keys=True)


def specs_of(case: Any, *sections: str) -> dict[str, Any]:
    return {section: getattr(case, section) for section in sections}


def step(workload: str, base: Mapping[str, Any]) -> Answer:
    def answer(overrides: Mapping[str, Any]) -> Any:
        rest = {key: value for key, value in base.items() if f"workload.{key}" not in overrides}
        return netsim.run("mpft", 32, workload, overrides={**rest, **overrides}).record

    return answer


def test_keys_of_a_step() -> None:
    specs = specs_of(make_case(overrides=V3), "topology", "workload", "hardware", "prices")
    # sends are over before the next exchange is ready, on whichever stream
    assert silent(step("deepseek-v3", V3), specs) == ONE_LEAF | {"workload.overlap.streams"}


def test_keys_of_a_step_of_a_dense_model() -> None:
    specs = specs_of(make_case(workload="qwen2.5-72b", overrides=DENSE), "workload")
    assert silent(step("qwen2.5-72b", DENSE), specs) == set()


def test_keys_of_a_fabric() -> None:
    specs = specs_of(make_case(), *SECTIONS)
    assert silent(lambda given: netsim.topology("mpft", 64, overrides=given).record, specs) == set()


@pytest.mark.slow
def test_keys_of_counts() -> None:
    specs = specs_of(make_case(), *SECTIONS)
    assert silent(lambda given: netsim.workload("deepseek-v3", overrides=given).record, specs) == set()


@pytest.mark.parametrize(
    ("kind", "loose"),
    [
        # the NIC binds, and several peers fill it
        ("all_to_all", {"hardware.scale_up.achieved_rate", "protocol.message.connection"}),
        ("deepep", {"hardware.scale_up.latency"}),
    ],
)
def test_keys_of_collectives(kind: str, loose: set[str]) -> None:
    specs = specs_of(make_case(), "topology", "hardware", "prices")
    specs["protocol"] = load(ProtocolSpec, "protocol", "deepep" if kind == "deepep" else "nccl")
    sizes = None if kind == "deepep" else "8,8KiB,512KiB,64MiB"

    def answer(given: Mapping[str, Any]) -> Any:
        return netsim.collective(kind, gpus=32, sizes=sizes, overrides=given).record

    assert silent(answer, specs) == loose | ONE_LEAF | {"topology.planes", "topology.switch.radix"}


DENSE_JOB = ["--workload", "qwen2.5-72b", "--gpus", "1024"]
LIBRARY = "--set protocol.ring.local_step.simple: has no effect on all_to_all"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", *DENSE_JOB, "--set", "communication.dispatch=fp8"],
         "--set workload.communication.dispatch: has no effect: Qwen2.5 72B has no experts"),
        (["run", *DENSE_JOB, "--set", 'storage.recompute=["moe"]'],
         "--set workload.storage.recompute: moe has no effect: Qwen2.5 72B has no experts"),
        (["run", *DENSE_JOB, "--set", 'storage.recompute=["mla_up"]'],
         "--set workload.storage.recompute: mla_up has no effect: attention of Qwen2.5 72B is gqa"),
        (["goodput", *DENSE_JOB, "--set", "gpu.fp8_peak=1 PFLOPS"],
         "--set hardware.gpu.fp8_peak: has no effect: matrix products run in BF16"),
        (["run", "--set", "prices.group_link.price=1 USD"],
         "--set prices.group_link.price: has no effect: only a dragonfly has links inside groups"),
        (["topology", "torus", "--gpus", "128", "--set", "torus.sides=[4,2]", "--set", "torus.longest=4"],
         "--set topology.torus.longest: has no effect beside torus.sides"),
        (["run", "--hardware", "h200", "--set", "workload.hardware=h100"],
         "--hardware h200: also given by --set workload.hardware"),
        (["topology", "mpft", "--set", "failover.detection=1 s"],
         "--set topology.failover.detection: has no effect on a fabric"),
        (["workload", "deepseek-v3", "--set", "variation.compute_sigma=0.1"],
         "--set workload.variation.compute_sigma: has no effect on a workload"),
        (["collective", "all_to_all", "--set", "failover.detection=1 s"],
         "--set topology.failover.detection: has no effect on a collective"),
        (["collective", "all_to_all", "--set", "protocol.ring.local_step.simple=1 us"], LIBRARY),
        (["collective", "broadcast", "-a", "tree", "--set", "protocol.ring.base.simple=1 us"],
         "--set protocol.ring.base.simple: has no effect on broadcast by tree"),
        (["collective", "deepep", "--set", "protocol.exchange.low_latency=1 us"],
         "--set protocol.exchange.low_latency: has no effect on deepep"),
        (["infer", "--phase", "decode", "--set", "model.moe.group_limit=2"],
         "--set model.moe.group_limit: has no effect on low_latency kernels, which send to each expert"),
        (["infer", "--ideal", "--set", "attention.efficiency=0.5"],
         "--set attention.efficiency: has no effect on the bound, which leaves compute out"),
        (["infer", "--set", "scale_up.rate=1 GB/s"], "has no effect but on the bound (--ideal)"),
        (["infer", "--ideal", "--set", "nic.goodput_fraction=0.5"], "has no effect on the bound, which takes links"),
        (["infer", "--set", "model.tied_embeddings=true"],
         "--set workload.model.tied_embeddings: has no effect on inference"),
        (["optimize", "--set", "prices.gpu_hour.price=3 USD"],
         "--set prices.gpu_hour.price: has no effect on a study: its gpu_usd_per_hour says it"),
        (["infer", "--set", "nic.power=1 W"], "--set hardware.nic.power: has no effect on inference"),
        (["run", "--fault", "nic host0.0 degraded to 50%", "--set", "failover.detection=1 s"],
         "has no effect where no part is down: traffic is not sent around what is slow"),
        (["run", "--fault", "nic host0.0 down", "--set", "failover.detection=1 s"],
         "has no effect on faults that are there from the start and stay"),
        (["run", "--fault", "nic host0.0 down", "--explain"], "--explain: explains a step without faults"),
        (["collective", "all_to_all", "--force"], "--force: is about a folder with results; add -o DIR"),
        (["sweep", "list", "--vary", "gpus=64"], "--vary: has no effect on list"),
        (["topology", "list", "--gpus", "64"], "--gpus: has no effect on list"),
        (["workload", "list", "--batch", "64"], "--batch: has no effect on list"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(arguments) == 2
    complaint = capsys.readouterr().err
    assert line in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("command", ["collective all_to_all --tokens 4", "infer --set requests.count=3",
                                     "workload deepseek-v3 --gpus 17"])  # fmt: skip
def test_a_mistake_leaves_no_folder(command: str, tmp_path: Path) -> None:
    assert run_app([*command.split(), "-o", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_workers_without_dask_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NetsimError, match="--jobs 2: needs Dask"):
        sweep(StudySpec(vary={"gpus": (1024, 2048)}), tmp_path / "study", Workers(2))
    assert not (tmp_path / "study").exists()


def test_of_many_points_it_is_said() -> None:
    settings = {"workload": "qwen2.5-72b", "gpus": 32, "communication.dispatch": "fp8", **DENSE}
    row = simulate_row(make_point(settings), 2.0, 4.0)
    assert "communication.dispatch: has no effect: Qwen2.5 72B has no experts" in row["warnings"]


def test_a_study_reads_what_running_costs() -> None:
    asked = {"gpus": 32, **V3}
    with pytest.raises(NetsimError, match=r"prices\.gpu_hour\.price: has no effect on a study"):
        simulate_row(make_point({**asked, "prices.gpu_hour.price": "3 USD"}), 2.0, 4.0)
    cheap, dear = (
        simulate_row(make_point({**asked, "prices.running.usd_per_kwh": price}), 2.0, 4.0)
        for price in (0.05, 0.5)
    )
    assert dear["usd_per_trillion_tokens"] > cheap["usd_per_trillion_tokens"]


@pytest.mark.parametrize("when", ["1 h", "120%"])
def test_a_fault_after_the_end_is_said(when: str) -> None:
    late = netsim.run(gpus=32, overrides=V3, faults=[f"nic host0.0 down at {when}"])
    assert late.record["warnings"][-1].startswith(f"fault nic host0.0 down at {when}: begins at ")
    assert "after the end of the step" in late.record["warnings"][-1]


def test_presets_may_hold_what_a_model_does_not_read() -> None:
    assert make_case(workload="qwen2.5-72b").idle == ()
