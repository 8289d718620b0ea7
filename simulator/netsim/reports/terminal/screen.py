"""The terminal as tables see it: names are shown as they are, never read as markup or as emoji."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def screen(width: int | None = None) -> Console:
    """A console that prints text as it stands, `width` columns wide or as wide as the terminal."""
    return Console(width=width, markup=False, emoji=False, highlight=False)


def line(*parts: str | tuple[str, str]) -> Text:
    """A line of parts, each plain or with its style, such as ("mpft", "bold")."""
    return Text.assemble(*parts)
