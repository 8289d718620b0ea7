"""Frames that every answer about one fabric has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def bill_frame(record: Mapping[str, Any]) -> pd.DataFrame:
    """The bill of materials, a row a part."""
    return pd.DataFrame(record["cost"]["lines"])


def latency_frame(record: Mapping[str, Any]) -> pd.DataFrame:
    """Idle latency of a 64 B message, a row a path."""
    return pd.DataFrame(record["latency_us"].items(), columns=["path", "latency_us"])
