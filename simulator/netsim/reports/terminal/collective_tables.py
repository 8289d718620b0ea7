"""Rows of a collective for a person at a terminal: the columns of nccl-tests, or those of DeepEP's tables."""

from __future__ import annotations

from typing import Any

from netsim.reports.terminal.rows import print_rows

_MESSAGES = ("kind", "algorithm", "protocol", "ranks", "size_bytes", "time_us", "algbw_GBps", "busbw_GBps",
             "wire_GBps", "logical_GBps", "bottleneck", "utilisation")  # fmt: skip
_EXPERTS = ("kind", "algorithm", "ranks", "tokens", "time_us", "p50_us", "p99_us", "logical_GBps", "wire_GBps",
            "nvlink_GBps", "hosts_per_token", "hottest_over_mean", "bottleneck", "utilisation")  # fmt: skip
_PACKETS = ("packets_time_us", "packets_over_fluid", "measured_least", "measured_most")


def print_collective(rows: list[dict[str, Any]]) -> None:
    """The rows, in columns that they have."""
    columns: tuple[str, ...] = _EXPERTS if "hosts_per_token" in rows[0] else _MESSAGES
    columns += _PACKETS if _PACKETS[0] in rows[0] else ()
    print_rows([columns, *(tuple(_text(name, row[name]) for name in columns) for row in rows)])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else f"{value}"
    return f"{value:.3f}" if name in ("utilisation", *_PACKETS[1:]) else f"{value:.2f}"
