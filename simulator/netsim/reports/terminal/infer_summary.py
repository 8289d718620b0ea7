"""What `netsim infer` prints for a person: a headline a phase, its parts, and the requests."""

from __future__ import annotations

from typing import Any

from netsim.analysis.uncertainty.interval import ends_words
from netsim.reports.terminal.rows import print_rows


def print_inference(result: dict[str, Any]) -> None:
    """The record as text."""
    for phase in ("prefill", "decode"):
        if phase in result:
            (_print_decode if phase == "decode" else _print_prefill)(result, result[phase])
            _print_common(result, phase)
    if result["requests"]:
        _print_requests(result["requests"])


def _where(result: dict[str, Any], i: dict[str, Any], phase: str) -> str:
    units = f"{i['units']} unit{'s' if i['units'] > 1 else ''} of EP{i['expert_parallel']}"
    return f"{result['model']}, {phase} on {i['gpus']:,} GPUs over {result['topology']['name']}, {units}"


def _ends(i: dict[str, Any], key: str) -> str:
    """The interval of a value in brackets, where it has one."""
    known = i.get(f"{key}_interval")
    return "" if known is None else f" ({ends_words(*known)}, 80 %)"


def _print_decode(result: dict[str, Any], i: dict[str, Any]) -> None:
    draft = i["speculative"]
    print(f"{_where(result, i, 'decode')}: {i['tpot_ms']:.2f} ms a token{_ends(i, 'tpot_ms')}, "
          f"{i['tokens_per_s_per_gpu']:,.0f} tokens/s a GPU, {i['tokens_per_s_per_host']:,.0f} a host")  # fmt: skip
    print(f"{i['batch_per_gpu']} requests a GPU with {i['context']:,} tokens each; a step takes "
          f"{i['iteration_ms']:.2f} ms and adds {draft['tokens_per_step']:.2f} tokens to a request")  # fmt: skip
    if i["bound"]:
        print(f"Bound from expert exchange alone: {i['bound']['tpot_ms']:.2f} ms a token "
              f"({i['bound']['tokens_per_s_per_request']:.0f} tokens/s a request, without drafts)")  # fmt: skip
    if "speedup_equal_requests" in draft:
        print(f"MTP at {draft['acceptance']:.0%} acceptance: {draft['speedup_equal_tokens']:.2f} times the tokens/s "
              f"of a request at equal tokens a step, {draft['speedup_equal_requests']:.2f} "
              "at equal requests")  # fmt: skip


def _print_prefill(result: dict[str, Any], i: dict[str, Any]) -> None:
    cached = f", {i['cached_share']:.1%} of them cached" if i["cached_share"] else ""
    print(f"{_where(result, i, 'prefill')}: {i['tokens_per_s_per_gpu']:,.0f} tokens/s a GPU"
          f"{_ends(i, 'tokens_per_s_per_gpu')}, "
          f"{i['tokens_per_s_per_host']:,.0f} a host")  # fmt: skip
    print(f"{i['tokens_per_gpu']:,} tokens computed a GPU and iteration of {i['iteration_ms']:.0f} ms, prompts of "
          f"{i['prompt']:,}{cached}; first token after {i['ttft_ms']:.0f} ms without a queue")  # fmt: skip


def _print_common(result: dict[str, Any], phase: str) -> None:
    i, m = result[phase], result[phase]["memory"]
    print(f"Bound by {i['bottleneck']}; compute {i['compute_ms']:.2f} ms, communication "
          f"{i['communication_ms']:.2f} ms, {i['hidden_comm_fraction']:.1%} of it hidden, "
          f"{i['exposed_comm_ms']:.2f} ms exposed\n")  # fmt: skip
    rows = [("part", "ms", "share", "bound by")]
    rows += [(p["part"], f"{p['ms']:.2f}", f"{p['share']:.1%}", p["bound"]) for p in i["parts"]]
    print_rows(rows, left=1)
    print()
    for x in i["exchanges"]:
        print(f"{x['kind']}: {x['time_us']:.1f} us for {x['tokens']} tokens, {x['fixed_us']:.1f} us of them fixed, "
              f"{x['wire_bytes_per_gpu'] / 1e6:.2f} MB over the NIC, bound by {x['bottleneck']}")  # fmt: skip
    room = (
        f"{m['largest_batch']} requests would fit" if phase == "decode" else f"{m['total_gb']:.1f} GB in use"
    )
    print(f"Memory: {m['total_gb']:.1f} of {m['capacity_gb']:.0f} GB (experts {m['experts_gb']:.1f}, replicas "
          f"{m['replicas_gb']:.1f}, MTP {m['mtp_gb']:.1f}, cache {m['cache_gb']:.1f}, reserve {m['reserve_gb']:.1f}), "
          f"{room}")  # fmt: skip
    origin = ", ".join(f"{s:.1%} {n}" for n, s in result["provenance"]["compute_origin"][phase].items())
    profile = result["provenance"]["compute_profile"][phase]
    print(f"Compute ({profile}): {origin or 'free'}; as fast as measured, no power limit\n")


def _print_requests(r: dict[str, Any]) -> None:
    print(f"{r['count']:,} requests at {r['rate_per_s']:g} a second on {r['prefill_gpus']:,} GPUs of prefill "
          f"(load {r['prefill_load']:.2f}) and {r['decode_gpus']:,} of decode (load {r['decode_load']:.2f}): "
          f"{r['input_tokens_per_s']:,.0f} tokens/s in, {r['output_tokens_per_s']:,.0f} out\n")  # fmt: skip
    rows: list[tuple[str, ...]] = [("", "mean", "p50", "p90", "p99")]
    for name, words in (("ttft_ms", "TTFT (ms)"), ("tpot_ms", "TPOT (ms)")):
        rows.append((words, *("" if v is None else f"{v:.1f}" for v in r[name].values())))
    print_rows(rows, left=1)
