"""The code blocks of the documents, as tests run them."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "tools"))
import blocks  # noqa: E402
import evidence  # noqa: E402

__all__ = ["blocks", "documents", "evidence"]


def documents(folder: str) -> list[object]:
    """The documents of a folder below docs/ ("" for those at the root) that have blocks to run."""
    places = ROOT if not folder else ROOT / "docs" / folder
    return [
        pytest.param(path, id=path.relative_to(ROOT).as_posix())
        for path in blocks.DOCUMENTS
        if path.parent == places and any(not b.mark for b in blocks.blocks(path.read_text("utf-8")))
    ]
