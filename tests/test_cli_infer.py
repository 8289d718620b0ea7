"""`netsim infer` as a user meets it: the record, files, the same bits twice, and one clear line for a mistake."""

import json
from pathlib import Path

import pytest

from netsim.cli.app import run_app

SMALL = ["infer", "--gpus", "64", "--set", "decode.expert=64"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model", "deepseek-v4"], "did you mean 'deepseek-v3'?"),
        (["--deployment", "deepseek"], "no inference preset"),
        (["--topology", "mpftt"], "did you mean 'mpft'?"),
        (["--profile", "h8000"], "did you mean 'h800'?"),
        (["--phase", "decoding"], "did you mean 'decode'?"),
        (["--phase", "decode", "--gpus", "100"], "must be"),
        (["--phase", "decode", "--gpus", "96"], "divide the 96 GPUs"),
        (["--phase", "decode", "--ep", "48"], "nearest: redundant"),
        (
            ["--phase", "decode", "--ep", "64", "--set", "decode.expert=64"],
            "also given by --set decode.expert",
        ),
        (["--ep", "64"], "--ep: name a --phase"),
        (["--phase", "decode", "--batch", "0"], "must be a whole number of requests a GPU, or max"),
        (["--phase", "decode", "--batch", "many"], "or max"),
        (["--phase", "decode", "--batch", "1"], "two micro-batches need 2 requests"),
        (["--phase", "decode", "--context", "0"], "--context"),
        (["--phase", "decode", "--prompt", "4096"], "--prompt: has no effect on decode"),
        (["--phase", "prefill", "--batch", "8"], "--batch: has no effect on prefill"),
        (["--phase", "prefill", "--rate", "8"], "--rate: has no effect on prefill"),
        (["--phase", "decode", "--mtp-acceptance", "1.5"], "acceptance = 1.5"),
        (["--phase", "decode", "--mtp-acceptance", "0.9", "--draft-tokens", "0"], "without drafted tokens"),
        (["--phase", "prefill", "--cached-share", "1.0"], "cached_share = 1.0"),
        (["--requests", "10"], "--requests: has no effect without --rate"),
        (["--rate", "0"], "must be a positive number"),
        (["--rate", "nan"], "must be a positive number"),
        (["--force"], "add -o DIR"),
        (["--set", "decode.bach=2"], "did you mean 'decode.batch'?"),
        (["--set", "inference.decode.bach=2"], "did you mean 'decode.batch'?"),
        (["--set", "inference.decode.batch=8", "--set", "decode.batch=9"], "given twice"),
        (["--set", "parallelism.pipeline=2"], "workload.parallelism.pipeline: has no effect on inference"),
        (["--set", "prices.switch.price=1 USD"], "has no effect on inference"),
        (["--set", "failover.detection=2 s"], "failover.detection: has no effect on inference"),
        (["--set", "hardware.gpu.power=1 W"], "hardware.gpu.power: has no effect on inference"),
        (["--phase", "decode", "--set", "prefill.tokens=4096"], "prefill.tokens: has no effect on decode"),
        (["--phase", "decode", "--set", "requests.count=3"], "requests.count: has no effect on decode"),
        (
            ["--phase", "prefill", "--set", "inference.decode.batch=8"],
            "decode.batch: has no effect on prefill",
        ),
        (["--phase", "prefill", "--set", "attention.efficiency=0.5"], "has no effect on prefill"),
        (["--set", "requests.count=3"], "requests.count: has no effect without --rate"),
        (
            ["--draft-tokens", "0", "--set", "speculative.acceptance=0.5"],
            "has no effect without drafted tokens",
        ),
        (["--set", "memory.reserve=8"], "written with its unit"),
        (["--phase", "decode", "--batch", "max", "--set", "memory.reserve=79 GB"], "not one request"),
        (["--phase", "decode", "--batch", "512", "--strict"], "at most 133 fit"),
        (["--phase", "decode", "--set", "model.mtp_depth=0"], "has no MTP module"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["infer", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert line in said.err.splitlines()[-1]


def test_record_of_both_phases_and_requests(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for _ in range(2):
        assert run_app([*SMALL, "--rate", "30", "--requests", "200", "--json"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    result = json.loads(texts[0])
    decode, prefill, requests = result["decode"], result["prefill"], result["requests"]
    assert result["schema"] == 1
    assert decode["tpot_ms"] == pytest.approx(decode["iteration_ms"] / 1.85)
    assert decode["tokens_per_s_per_host"] == pytest.approx(8 * decode["tokens_per_s_per_gpu"])
    assert decode["tokens_per_s_per_gpu"] == pytest.approx(
        decode["batch_per_gpu"] * decode["tokens_per_s_per_request"]
    )
    assert decode["bound"]["tpot_ms"] < decode["iteration_ms"]
    compute = [p["ms"] for p in decode["parts"] if p["part"] not in ("dispatch", "combine")]
    assert sum(compute) == pytest.approx(decode["compute_ms"])
    assert prefill["gpus"] % 32 == 0
    assert requests["count"] == 200
    assert requests["ttft_ms"]["p50"] <= requests["ttft_ms"]["p90"] <= requests["ttft_ms"]["p99"]
    assert sum(result["provenance"]["compute_origin"]["decode"].values()) == pytest.approx(1.0)


def test_max_is_the_largest_batch_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["infer", "--phase", "decode", "--context", "32768", "--json"]
    assert run_app([*arguments, "--batch", "max"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)["decode"]
    assert result["batch_per_gpu"] == result["memory"]["largest_batch"] > 1
    assert said.err == ""
    assert run_app([*arguments, "--batch", str(result["batch_per_gpu"] + 1)]) == 0
    assert f"at most {result['batch_per_gpu']} fit" in capsys.readouterr().err


def test_ideal_is_the_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app([*SMALL, "--phase", "decode", "--ideal", "--draft-tokens", "0", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["decode"]
    assert result["compute_ms"] == 0.0
    # 7/8 of the copies leave the host, at 50 GB/s
    assert result["iteration_ms"] == pytest.approx(58 * 128 * 8 * 7 / 8 * 3 * 7168 / 50e9 * 1e3)


def test_strict_refuses_times_beyond_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app([*SMALL, "--phase", "decode", "--batch", "64", "--strict"]) == 3
    assert "of the compute time of decode is extrapolated" in capsys.readouterr().err
    assert run_app([*SMALL, "--phase", "decode", "--batch", "64", "--strict", "--ideal", "-q"]) == 0


def test_files_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert run_app([*SMALL, "--rate", "20", "--requests", "200", "-o", str(folder)]) == 0
    pictures = {"prefill.svg", "decode.svg"}
    tables = {"result.json", "spec.toml", "spans.csv", "requests.csv"}
    assert {f.name for f in folder.iterdir()} == tables | pictures
    assert all((folder / name).read_text().startswith("<?xml") for name in pictures)
    said = capsys.readouterr()
    assert "TTFT (ms)" in said.out
    assert "tokens/s a GPU" in said.out
    assert len((folder / "requests.csv").read_text().splitlines()) == 201
    assert run_app([*SMALL, "-o", str(folder)]) == 2
    assert "already holds a result.json" in capsys.readouterr().err
