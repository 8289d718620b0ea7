"""A collective on an idle fabric: rows of the fluid network, with what packets make of them beside where asked."""

from __future__ import annotations

from typing import Any

from netsim.collectives.request import collective_rows, options_of
from netsim.collectives.sweep import Setup
from netsim.specs.requests import CollectiveRequest


def rows_of(setup: Setup, request: CollectiveRequest) -> list[dict[str, Any]]:
    """A row a message size, or an expert-parallel width.

    Raises NetsimError for an option that is wrong or has no effect on the kind.
    """
    options = options_of(request)
    rows = collective_rows(setup, request.kind, algorithm=request.algorithm, **options)
    if not request.packets:
        return rows
    from netsim.congestion.collective_rows import add_packets

    return add_packets(setup, rows, options)


def warnings(rows: list[dict[str, Any]], request: CollectiveRequest) -> list[str]:
    """Where packets take noticeably longer than the fluid network says."""
    if not request.packets:
        return []
    from netsim.congestion.collective_rows import warnings

    return warnings(rows)
