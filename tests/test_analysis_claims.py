"""Where a claim stops being true is where the simulator says so, just before and just behind."""

import json
from dataclasses import replace
from typing import Any

import pytest

from netsim.analysis.codesign import claims as made
from netsim.analysis.codesign.memory_wall import grown, memory_wall, words
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.inference import Deployment, decode_memory, make_deployment
from netsim.inference.inference_record import speedup
from netsim.reports.codesign.claims_page import document
from netsim.reports.codesign.memory_wall_figure import draw
from netsim.reports.page import render
from netsim.specs.case import make_case
from netsim.topologies import build
from netsim.workloads.attention import KINDS, with_attention
from netsim.workloads.model import flops_per_token, total_parameters
from netsim.workloads.serving import Unit, serving_memory

#: rows that a claim takes its simulated numbers from; the limits that are tested here use none of them
ROW = {"step_time_s": 1.0, "memory_gb": 60.0, "capacity_gb": 80.0, "fits": True, "tokens_per_step": 62914560,
       "network_usd": 1e6, "switches": 96, "decode_weights_gb": 25.0, "decode_tokens_per_s_per_gpu": 1.0}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = dict.fromkeys(("base", "mla", "moe", "fp8", "mtp", "mpft"), ROW)


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return make_deployment()


def need(d: Deployment, kind: str, precision: Any, requests: int, context: int) -> float:
    model = with_attention(d.workload.model, kind)
    found = serving_memory(
        model, Unit(128), requests, context, (precision, precision), d.spec.memory.reserve, 80e9
    )
    return found.total


def test_memory_is_full_where_the_wall_says(deployment: Deployment) -> None:
    wall = memory_wall(deployment)
    found = {(r["over"], r["attention"], r["precision"]): r["x"] for r in wall.crossings}
    assert len(found) == 2 * len(KINDS) * 2
    for (over, kind, precision), x in found.items():
        if over == "context" and x is not None:
            assert need(deployment, kind, precision, 32, int(x)) <= 80e9
            assert need(deployment, kind, precision, 32, int(x) + 1) > 80e9
    # multi-head attention in BF16 leaves no room at all
    assert found["context", "mha", "bf16"] is None
    assert need(deployment, "mha", "bf16", 32, 1) > 80e9


def test_the_wall_over_model_size_is_of_experts(deployment: Deployment) -> None:
    wall = memory_wall(deployment)
    model = deployment.workload.model
    rows = [
        r for r in wall.rows if (r["over"], r["attention"], r["precision"]) == ("parameters", "mla", "fp8")
    ]
    assert rows[1]["x"] == total_parameters(grown(model, 256)) == total_parameters(model)
    # 128 experts more, one a GPU, in 58 MoE layers and the MTP module: weights of a byte, and 7168 + 1 in every gate
    assert (rows[1]["need_gb"] - rows[0]["need_gb"]) * 1e9 == pytest.approx(
        59 * (3 * 7168 * 2048 + 128 * 7169)
    )
    assert "MHA BF16 never fits" in words(wall)[0]
    assert len(draw(wall).axes) == 2


def test_drafting_pays_nothing_at_the_acceptance_of_the_claim(deployment: Deployment) -> None:
    even = made.mtp_speed(ROWS, deployment)["limit"]
    draft = deployment.spec.speculative.model_copy(update={"acceptance": even})
    at = replace(deployment, spec=deployment.spec.model_copy(update={"speculative": draft}))
    step = made.decode(at, 128)
    assert speedup(at, step)["speedup_equal_requests"] == pytest.approx(1.0, rel=1e-12)


def test_the_longest_context_of_eight_groups(deployment: Deployment) -> None:
    limit = made.mla_cache(ROWS, deployment)["limit"]
    for context, fits in ((int(limit), True), (int(limit) + 1, False)):
        d = made.with_kind(deployment, "gqa")
        decode = d.spec.decode.model_copy(update={"context": context})
        d = replace(d, spec=d.spec.model_copy(update={"decode": decode}))
        assert decode_memory(d).fits == fits


def test_experts_a_token_until_flops_of_the_dense_model() -> None:
    case, llama = make_case(), make_case(workload="llama-3.1-405b").workload.model
    most = int(made.moe_flops(case, ROWS)["limit"])
    model = case.workload.model
    one = (
        6 * 3 * model.hidden * model.experts.width * model.moe_layers
    )  # of an expert more, operations a token
    spare = flops_per_token(llama, 4096) - flops_per_token(model, 4096)
    assert most == 8 + int(spare // one)


def test_two_layers_end_where_the_claim_says() -> None:
    case = make_case()
    limit = int(made.two_layers(case, ROWS)["limit"])
    assert limit == 8 * 64 * 64 // 2
    assert build(case.topology, case.hardware, limit).gpus == limit
    with pytest.raises(NetsimError):
        build(case.topology, case.hardware, limit + 8)


def test_a_slower_training_does_not_suffice() -> None:
    nic = [{"nic_gbps": 400, "step_time_s": 1.0}, {"nic_gbps": 200, "step_time_s": 1.1}]
    assert made.enough_gpus(ROWS, nic)["verdict"] == made.HOLDS
    assert made.enough_gpus(ROWS, nic)["limit"] == pytest.approx(300.0)
    slow = ROWS | {"base": ROW | {"step_time_s": 60.0}}
    assert made.enough_gpus(slow, nic)["verdict"] == made.NOT


def test_force_without_a_folder_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["claims", "--force"]) == 2
    assert capsys.readouterr().err == "netsim: --force: is about a folder with results; add -o DIR\n"


@pytest.mark.slow
def test_the_whole_report() -> None:
    record = made.claims(jobs=2)
    verdicts = {row["id"]: row["verdict"] for row in record["tables"]["claims"]}
    assert verdicts == {
        "gpus": made.HOLDS, "network": made.HOLDS, "fp8": made.PARTLY, "mla": made.HOLDS, "moe": made.HOLDS,
        "mtp": made.PARTLY,
    }  # fmt: skip
    times = [row["step_time_s"] for row in record["tables"]["nic"]]
    assert times == sorted(times)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    page = render(document(record))
    assert page.count("<svg") == 2
