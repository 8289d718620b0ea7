"""A report as one HTML file that opens offline: parts that any report is put together from, and how they are drawn."""

from netsim.reports.page.parts import (
    Beside,
    Column,
    Document,
    Fact,
    Facts,
    Figure,
    Figures,
    Listing,
    Part,
    Section,
    Table,
    Text,
)
from netsim.reports.page.render import render

__all__ = [
    "Beside",
    "Column",
    "Document",
    "Fact",
    "Facts",
    "Figure",
    "Figures",
    "Listing",
    "Part",
    "Section",
    "Table",
    "Text",
    "render",
]
