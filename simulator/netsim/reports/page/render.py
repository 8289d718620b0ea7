"""A document to HTML: one file with its style, pictures and data inside, which asks nothing of any network.

There is no script in it: what can be downloaded is in its links, long tables fold as the browser does it.
"""

from __future__ import annotations

import re
from pathlib import Path

from netsim.reports.page.parts import Document, Figure

_HERE = Path(__file__).parent


def render(document: Document) -> str:
    """The page as text, the same for the same document."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    style = (_HERE / "page.css").read_text("utf-8")
    return environment.get_template("page.html.j2").render(
        document=document, style=Markup(style), picture=lambda figure: Markup(inline(figure))
    )


def inline(figure: Figure) -> str:
    """The SVG of a figure to stand inside a page: no prolog, ids of its own, sized by the page.

    >>> inline(Figure("a", "Cost", '<?xml?><svg width="10pt" height="5pt"><g id="x"/><use xlink:href="#x"/></svg>'))
    '<svg role="img" aria-label="Cost" style="max-width:17px"><g id="a-x"/><use xlink:href="#a-x"/></svg>'
    """
    from markupsafe import escape

    text = figure.svg[figure.svg.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r'\bid="', f'id="{figure.id}-', text)
    text = re.sub(r'href="#', f'href="#{figure.id}-', text)
    text = re.sub(r"url\(#", f"url(#{figure.id}-", text)
    width = re.search(r'<svg[^>]*? width="([\d.]+)pt"', text)
    most = round(float(width.group(1)) * 96 / 72 * 1.25) if width else 640
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    label = f'<svg role="img" aria-label="{escape(figure.caption)}" style="max-width:{most}px"'
    return text.replace("<svg", label, 1)
