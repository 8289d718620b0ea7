"""`netsim workload`: what is said of a model and its job adds up, and agrees with what a run moves."""

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.analysis.models import ModelRequest, describe, subject, usual_gpus
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.specs import WorkloadSpec, catalog, load
from netsim.specs.case import make_case, sort_overrides
from netsim.training.simulate import simulate
from netsim.training.step_record import contract
from netsim.workloads.attention import KINDS, kv_cache_bytes, with_attention
from netsim.workloads.model import parameters_by_role, total_parameters

PRESETS = catalog.names("workload")


def record(name: str, gpus: int | None = None, **overrides: Any) -> dict[str, Any]:
    given = {f"workload.{key.replace('__', '.')}": value for key, value in overrides.items()}
    return describe(subject(name, sort_overrides(given)), ModelRequest(gpus=gpus))


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    return {name: record(name) for name in PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_described(records: dict[str, dict[str, Any]], name: str) -> None:
    made = records[name]
    assert sum(made["parameters"]["by_role"].values()) == made["parameters"]["total"]
    flops = made["flops_per_token"]
    assert flops["training_causal"] == pytest.approx(3 * flops["forward_causal"])
    assert flops["forward_noncausal"] > flops["forward_causal"]
    parts = ("parameters", "gradients", "optimizer", "activations", "buffers")
    memory = made["job"]["memory"]
    assert memory["total_gb"] == pytest.approx(sum(memory[f"{part}_gb"] for part in parts))
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("name", PRESETS)
def test_a_model_has_its_own_kind_of_attention_once(name: str) -> None:
    model = load(WorkloadSpec, "workload", name).model
    assert sum(parameters_by_role(model).values()) == total_parameters(model)
    kinds = {kind: kv_cache_bytes(with_attention(model, kind)) for kind in KINDS}
    assert with_attention(model, model.attention.kind) is model
    assert kinds["mha"] == model.layers * 2 * model.attention.heads * model.attention.v_dim * 2
    assert kinds["mha"] > kinds["gqa"] > kinds["mla"] > kinds["mqa"]


def test_the_usual_size_is_where_both_scalings_meet() -> None:
    assert usual_gpus(make_case().workload) == 2048
    assert usual_gpus(load(WorkloadSpec, "workload", "llama-3.1-405b")) == 8192
    odd = make_case(overrides={"batch.sequences": 15361}).workload
    with pytest.raises(NetsimError, match="must be a multiple of microbatches x microbatch_sequences = 120"):
        usual_gpus(odd)


def test_traffic_of_deepseek_v3_by_hand(records: dict[str, dict[str, Any]]) -> None:
    sent = records["deepseek-v3"]["job"]["traffic_bytes_per_token"]
    # 58 MoE layers and that of the MTP module, to 3.47-3.49 other hosts: dispatch and cached dispatch in FP8
    # (7,472 and 7,408 B), combine and its backward in BF16 (14,384 B each)
    assert sent["dispatch"] / (59 * (7472 + 7408)) == pytest.approx(3.48, abs=0.015)
    assert sent["combine"] / (59 * 2 * 14384) == pytest.approx(3.48, abs=0.015)
    # 15 boundaries of 16 ranks, there and back, 7,168 BF16 values
    assert sent["pipeline"] == 15 * 2 * 7168 * 2
    assert sent["tensor"] == sent["context"] == 0


def test_traffic_of_a_dense_model_by_hand(records: dict[str, dict[str, Any]]) -> None:
    # Llama 405B, TP8: of a token's 16,384 BF16 values, 7 of 8 parts are sent in each of 126 x 10 gathers and scatters
    # (2 blocks: 2 forward, 2 backward, 1 again for the weight gradient), and for embedding (2) and head (1 + 1 + 1)
    sent = records["llama-3.1-405b"]["job"]["traffic_bytes_per_token"]
    assert sent["tensor"] == (126 * 10 + 2 + 3) * 16384 * 2 * 7
    assert sent["dispatch"] == sent["combine"] == 0
    # gradients reduced in FP32, parameters gathered in BF16, in rings of 64 for what 8 ranks divide
    total = total_parameters(load(WorkloadSpec, "workload", "llama-3.1-405b").model)
    assert sent["data"] == pytest.approx(63 * 6 * total / (2048 * 8192), rel=1e-3)


def test_choices_change_the_traffic_they_should() -> None:
    base, bf16, free = (
        record("deepseek-v3", **how)["job"]["traffic_bytes_per_token"]
        for how in (
            {},
            {"communication__dispatch": "bf16"},
            {"model__moe__groups": 1, "model__moe__group_limit": 1},
        )
    )
    hosts = base["dispatch"] / (59 * (7472 + 7408))
    assert bf16["dispatch"] - base["dispatch"] == pytest.approx(hosts * 59 * 2 * (7168 - 224))
    assert {k: v for k, v in bf16.items() if k != "dispatch"} == {
        k: v for k, v in base.items() if k != "dispatch"
    }
    # without a limit a token visits 5.3 hosts of 8 in place of 4
    for kind in ("dispatch", "combine"):
        assert free[kind] / base[kind] == pytest.approx(5.31 / 3.98, rel=0.01)
    assert free["pipeline"] == base["pipeline"]
    assert free["data"] == base["data"]


def test_traffic_is_what_a_run_moves() -> None:
    how = {
        "parallelism.pipeline": 2,
        "batch.microbatches": 4,
        "schedule.name": "1f1b",
        "batch.sequences": 256,
    }
    made = contract(simulate(make_case(overrides=how), 128))
    tokens = made["workload"]["tokens_per_step"]
    moved = dict.fromkeys(("dispatch", "combine", "pipeline", "data"), 0.0)
    for row in made["collectives"]:
        kind = {"s": "pipeline", "r": "data", "a": "data"}.get(row["kind"][0]) or (
            "dispatch" if "dispatch" in row["kind"] else "combine"
        )
        if row["kind"] == "send_embedding":  # a gradient
            kind = "data"
        moved[kind] += row["count"] * 64 * row["wire_bytes_per_gpu"] / tokens
    sent = record("deepseek-v3", 128, **{k.replace(".", "__"): v for k, v in how.items()})["job"]
    for kind in ("dispatch", "combine", "pipeline"):
        assert sent["traffic_bytes_per_token"][kind] == pytest.approx(moved[kind], rel=1e-6), kind
    # rings over hosts send a part of the gradients over NVLink, so NICs carry less
    assert 0 < moved["data"] <= sent["traffic_bytes_per_token"]["data"]


def test_a_bare_model_has_no_job(tmp_path: Path) -> None:
    keys = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
    }  # fmt: skip
    path = tmp_path / "llama-8b.json"
    path.write_text(json.dumps(keys))
    made = describe(subject(str(path)), ModelRequest())
    assert made["model"]["name"] == "llama-8b"
    assert made["parameters"]["total"] == 8_030_261_248
    assert made["job"] is None
    assert run_app(["workload", str(path), "deepseek-v3", "--quiet"]) == 0


def test_the_command_prints_columns_and_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_app(["workload", "deepseek-v3", "llama-3.1-405b"]) == 0
    text = capsys.readouterr().out
    assert "DeepSeek-V3  Llama 3.1 405B" in text
    assert "as it is, BF16" in text
    assert "70.272" in text
    assert (
        run_app(
            ["workload", "deepseek-v3", "--json", "--sequence-length", "131072", "-o", str(tmp_path / "o")]
        )
        == 0
    )
    out = capsys.readouterr()
    made = json.loads(out.out)
    assert made["schema"] == 1
    assert made["models"][0]["flops_per_token"]["sequence_length"] == 131072
    assert json.loads((tmp_path / "o/result.json").read_text()) == made
    csv = (tmp_path / "o/models.csv").read_text()
    assert "deepseek-v3,kv_cache.bytes_per_token.bf16,70272\n" in csv
    assert run_app(["workload", "list"]) == 0
    assert "kimi-k2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["deepseek-v4"], "no workload preset 'deepseek-v4': did you mean 'deepseek-v"),
        (["nowhere.json"], "no such config.json of a model"),
        (
            ["deepseek-v3", "--set", "switch.radix=64"],
            "--set topology.switch.radix: has no effect on a workload",
        ),
        (["deepseek-v3", "--gpus", "2000"], "must be a multiple of pipeline x expert = 16 x 64 = 1024"),
        (["deepseek-v3", "--force"], "--force: is about a folder with results"),
        (["deepseek-v3", "--set", "model.layer=3"], "did you mean"),
        (["deepseek-v3", "--sequence-length", "0"], "--sequence-length"),
        (["qwen2.5-72b", "--sequence-length", "4097"], "must divide the sequence of 4097 tokens"),
    ],
)
def test_a_wrong_question_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert run_app(["workload", *arguments]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", [["--gpus", "64"], ["--set", "parallelism.pipeline=4"]])
def test_options_about_a_job_have_no_effect_on_a_bare_model(
    capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert run_app(["workload", "config.json", *option]) == 2
    assert "has no effect on a config.json" in capsys.readouterr().err
