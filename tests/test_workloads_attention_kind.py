"""A kind of attention is one module and one entry: a toy one, added while the tests run, goes through `netsim run`."""

import contextlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from netsim.cli import main
from netsim.errors import NetsimError
from netsim.specs.attention import KINDS, kind_module
from netsim.specs.case import make_case
from netsim.specs.keys import keys
from netsim.specs.workload import WorkloadSpec
from netsim.workloads import attention_kind
from netsim.workloads.model import total_parameters

#: keys and values of one width for all heads, and no projection of them at all: the residual stream is read as it is
TOY = '''
"""One head of keys and values as wide as it says, cut out of the residual stream."""

from typing import Literal

from netsim.specs.base import Strict
from netsim.workloads.core import Heads, core_backward, core_flops, core_forward, divided
from netsim.workloads.kernels import gemm_fp8, norm, wgrad_fp8


class Spec(Strict):
    """A toy."""

    kind: Literal["toy"]
    """Kind of attention."""
    heads: int
    """Heads of queries."""
    slice_width: int
    """Width of a head."""

    @property
    def qk_dim(self) -> int:
        return self.slice_width

    v_dim = qk_dim


SPEC = Spec


def heads(a):
    return Heads(a.heads, 1, a.slice_width, a.slice_width)


def matrices(a, hidden, tensor=1):
    return 2 * hidden * a.heads * a.slice_width // tensor


def vectors(a, hidden, tensor=1):
    return 0


def flops(a, tokens, length, causal=True):
    return core_flops(heads(a), tokens, length, causal)[0]


def block(a, hidden, load, phase, moe):
    one, t, width = divided(heads(a), load.tensor), load.context_tokens, a.heads * a.slice_width // load.tensor
    if phase == "F":
        return (norm("attn_norm_fwd", load.own_tokens, hidden), gemm_fp8("toy_q_fwd", t, width, hidden),
                core_forward(one, load), gemm_fp8("o_proj_fwd", t, hidden, width))
    if phase == "B":
        return (gemm_fp8("o_proj_dgrad", t, width, hidden), *core_backward(one, load),
                gemm_fp8("toy_q_dgrad", t, hidden, width))
    return (wgrad_fp8("o_proj_wgrad", hidden, width, t), wgrad_fp8("toy_q_wgrad", width, hidden, t))


def input_width(a, hidden):
    return hidden


def kept(a, storage):
    return 2.0 * a.heads * a.slice_width


def cache_values(a, tensor=1):
    return a.slice_width


core_values = cache_values


def kept_tokens(a, context):
    return context


met_tokens = kept_tokens


def core_widths(a):
    return a.slice_width, a.slice_width


def decode_projections(a, hidden, t, tensor):
    return (gemm_fp8("toy_decode_q", t, a.heads * a.slice_width // tensor, hidden),), (), ()
'''
TABLE = {"kind": "toy", "heads": 64, "slice_width": 128}
JOB = ["run", "-w", "qwen2.5-72b", "--gpus", "64", "--schedule", "1f1b", "--set", "model.layers=4",
       "--set", "model.dense_layers=4", "--set", "parallelism.pipeline=2", "--set", "batch.microbatches=4",
       "--json", "-q"]  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netsim_toy_attention.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "toy", "netsim_toy_attention")


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *more: str
) -> dict[str, dict[str, float]]:
    monkeypatch.setattr(sys, "argv", ["netsim", *JOB, *more])
    with contextlib.suppress(SystemExit):
        main()
    found: dict[str, dict[str, float]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("toy")
def test_a_toy_kind_runs_a_step(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gqa = run(capsys, monkeypatch)
    made = run(capsys, monkeypatch, "--set", f"model.attention={json.dumps(TABLE)}")
    wider = run(capsys, monkeypatch, "--set", f"model.attention={json.dumps(TABLE | {'slice_width': 256})}")
    assert 0.0 < made["step"]["time_s"] < gqa["step"]["time_s"]
    assert made["step"]["time_s"] < wider["step"]["time_s"]
    assert made["memory"]["total_gb"] < wider["memory"]["total_gb"]


@pytest.mark.usefixtures("toy")
def test_its_keys_are_known_checked_and_explained() -> None:
    case = make_case(workload="qwen2.5-72b", overrides={"model.attention": TABLE})
    attention = case.workload.model.attention
    assert (attention.kind, attention.heads) == ("toy", 64)
    # two matrices of 8192 x 64 x 128 in each of 80 layers, where gqa has 8192 x (2 x 64 + 2 x 8) x 128 and biases
    plain = make_case(workload="qwen2.5-72b").workload.model
    gone = total_parameters(plain) - total_parameters(case.workload.model)
    assert gone == 80 * (8192 * 16 * 128 + (64 + 16) * 128)
    wider = make_case(workload="qwen2.5-72b", overrides={"model.attention": TABLE | {"slice_width": 256}})
    assert wider.sha256() != case.sha256()
    names = {key.name: key for key in keys(WorkloadSpec)}
    assert names["model.attention.slice_width"].meaning == "Width of a head (kind toy)."
    with pytest.raises(NetsimError, match="slice_widht = 1, unknown key: did you mean 'slice_width'"):
        make_case(workload="qwen2.5-72b", overrides={"model.attention": TABLE | {"slice_widht": 1}})


def test_no_toy_is_left_behind() -> None:
    assert "toy" not in KINDS
    with pytest.raises(NetsimError, match=r"attention\.kind = 'toy', no such kind"):
        make_case(workload="qwen2.5-72b", overrides={"model.attention": TABLE})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_every_function(kind: str) -> None:
    module: ModuleType = kind_module(kind)
    wanted = [name for name in vars(attention_kind.AttentionKind) if not name.startswith("_")]
    assert [name for name in wanted if not callable(getattr(module, name, None))] == []
    assert kind in str(module.SPEC.model_fields["kind"].annotation)
