"""Kernel tables as other projects write them, to the columns of `netsim measure`.

    name            from                                               unit   what is read
    netsim          `netsim measure`, and any CSV or Parquet           us     columns by name, or mapped
    aiconfigurator  gemm_perf, context_attention_perf (CSV, Parquet)   ms     products, causal attention forward
    deepgemm        what its tests print, a text                       said   dense and grouped products
    vidur           profiling/compute/.../mlp.csv                      ms     products, norms, rotation, SwiGLU, sums

aiconfigurator's FP8 products include the cast of the activations, its BF16 products do not. Rows of attention with a
window, or with keys and values cached in FP8, are other kernels and get a data type of their own. vidur and DeepGEMM's
text name no GPU. DeepGEMM prints whole microseconds: rows under 20 us are coarse.

Source: header lines and collectors of ai-dynamo/aiconfigurator; deepseek-ai/DeepGEMM, tests/test_fp8.py and
test_bf16.py; microsoft/vidur, vidur/profiling/mlp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import NetsimError
from netsim.units import whole

if TYPE_CHECKING:
    import pandas as pd

_DTYPES = {
    "bfloat16": "bf16", "float16": "bf16", "fp16": "bf16", "bf16": "bf16", "fp8": "fp8_tensor",
    "fp8_block": "fp8_block", "nvfp4": "nvfp4", "mxfp8": "mxfp8", "fp8_static": "fp8_static",
}  # fmt: skip
#: DeepGEMM: a line of figures, "key=value" inside parentheses, then the time
_LINE = re.compile(r"Perf \((?P<keys>[^)]*)\)\s*:\s*(?P<time>[0-9.]+)\s*(?P<unit>us|ms)\b")
_KEY = re.compile(r"(\w+)\s*=\s*(\w+)")
_SECONDS = {"us": 1.0, "ms": 1e3}


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        frame = pd.read_csv(path, comment="#", low_memory=False)
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NetsimError(f"{path}: cannot be read as a table: {first}") from None
    if not isinstance(frame.index, pd.RangeIndex):  # what pandas makes of columns without a heading
        raise NetsimError(f"{path}: cannot be read as a table: a line has more cells than the heading")
    return frame


def _aiconfigurator(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = _read(path)
    _need(path, frame, ("op_name", "latency"), "aiconfigurator")
    numbers = pd.to_numeric(frame["latency"], errors="coerce")
    made = pd.DataFrame({"kernel": frame["op_name"].astype(str)})
    # what is no number is told as it stands
    made["time_us"] = (numbers * 1e3).astype(object).where(numbers.notna(), frame["latency"])
    made["gpu"] = frame.get("device", "")
    kinds = [name for name in ("gemm_dtype", "attn_dtype", "moe_dtype") if name in frame]
    words = frame[kinds[0]].astype(str) if kinds else pd.Series("", index=frame.index)
    made["dtype"] = words.map(lambda word: _DTYPES.get(word, word))
    if "gemm_dtype" in frame:
        _need(path, frame, ("m", "n", "k"), "aiconfigurator")
        made[["m", "n", "k"]] = frame[["m", "n", "k"]]
    elif "head_dim" in frame:
        _attention(path, frame, made)
    else:
        made["m"] = frame.get("num_tokens", 1)
    return made


def _attention(path: Path, frame: pd.DataFrame, made: pd.DataFrame) -> None:
    _need(path, frame, ("batch_size", "isl", "num_heads"), "aiconfigurator")
    made["kernel"] = made["kernel"].replace({"context_attention": "attn_fwd"})
    names = {"batch": "batch_size", "m": "isl", "n": "num_heads", "k": "head_dim", "v_dim": "head_dim"}
    for ours, theirs in names.items():
        made[ours] = frame[theirs]
    if "window_size" in frame:
        made["dtype"] += (frame["window_size"].fillna(0) > 0).map({True: "+window", False: ""})
    if "kv_cache_dtype" in frame:
        made["dtype"] += (frame["kv_cache_dtype"].astype(str) == "fp8").map({True: "+fp8_cache", False: ""})


def _deepgemm(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise NetsimError(f"{path}: cannot be read: {error.strerror}") from None
    rows = [row for line in text.splitlines() if (row := _deepgemm_row(line)) is not None]
    if not rows:
        raise NetsimError(
            f"{path}: holds no line 'Perf (m=..., n=..., k=...): ... us' as DeepGEMM's tests print it"
        )
    return pd.DataFrame(rows)


def _deepgemm_row(line: str) -> dict[str, Any] | None:
    found = _LINE.search(line)
    if found is None:
        return None
    keys = dict(_KEY.findall(found["keys"]))
    groups = int(keys.get("num_groups", 1))
    rows = keys.get("m") or str(groups * int(keys.get("expected_m_per_group", 0)))
    if not all(whole(value) for value in (rows, keys.get("n", ""), keys.get("k", ""))):
        return None
    block = re.search(r"1D[12]D", found["keys"]) is not None or "layout" not in keys
    into_sum = keys.get("acc") == "1"
    kernel = "dg_grouped_contig" if "num_groups" in keys else "dg_gemm_wgrad" if into_sum else "dg_gemm"
    return {
        "kernel": kernel, "dtype": "fp8_block" if block else "bf16", "m": int(rows), "n": int(keys["n"]),
        "k": int(keys["k"]), "groups": groups, "time_us": float(found["time"]) * _SECONDS[found["unit"]],
    }  # fmt: skip


def _vidur(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = _read(path)
    _need(path, frame, ("num_tokens", "n_head", "n_kv_head", "n_embd", "n_expanded_embd"), "vidur")
    ways = "num_tensor_parallel_workers"
    rows = [
        {
            "kernel": kernel,
            "dtype": "bf16",
            "m": m,
            "n": n,
            "k": k,
            "time_us": row[f"time_stats.{name}.median"] * 1e3,
        }
        for row in frame.to_dict("records")
        for name, kernel, m, n, k in _vidur_operators(row, int(row.get(ways, 1)))
        if row.get(f"time_stats.{name}.median") is not None
    ]
    return pd.DataFrame(rows)


def _vidur_operators(row: dict[Any, Any], tensor: int) -> Iterator[tuple[str, str, int, int, int]]:
    """(column, kernel, m, n, k) of a row, a rank's share of a layer."""
    tokens, hidden, heads = int(row["num_tokens"]), int(row["n_embd"]), int(row["n_head"])
    width, keys = int(row["n_expanded_embd"]) // tensor, max(int(row["n_kv_head"]) // tensor, 1)
    head, gated = hidden // heads, str(row.get("use_gated_mlp", True)) == "True"
    heads //= tensor
    yield "input_layernorm", "rmsnorm", tokens, hidden, 0
    yield "post_attention_layernorm", "rmsnorm", tokens, hidden, 0
    yield "attn_pre_proj", "gemm", tokens, (heads + 2 * keys) * head, hidden
    yield "attn_rope", "rope", tokens, (heads + keys) * head, 0
    yield "attn_post_proj", "gemm", tokens, hidden, heads * head
    yield "mlp_up_proj", "gemm", tokens, (1 + gated) * width, hidden
    if gated:
        yield "mlp_act", "swiglu", tokens, width, 0
    yield "mlp_down_proj", "gemm", tokens, hidden, width
    yield "add", "residual_add", tokens, hidden, 0


def _need(path: Path, frame: pd.DataFrame, names: tuple[str, ...], layout: str) -> None:
    for name in names:
        if name not in frame:
            raise NetsimError(f"{path}: no column {name!r}, which layout {layout} has")


#: layout -> a table in our columns, times in microseconds
LAYOUTS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "netsim": _read,
    "aiconfigurator": _aiconfigurator,
    "deepgemm": _deepgemm,
    "vidur": _vidur,
}


def guess(columns: list[str]) -> str:
    """The layout that a header looks like; nothing where it is none of these.

    >>> guess(["framework", "op_name", "gemm_dtype", "m", "n", "k", "latency"])
    'aiconfigurator'
    """
    if {"op_name", "latency"} <= set(columns):
        return "aiconfigurator"
    return "vidur" if any(name.startswith("time_stats.") for name in columns) else ""
