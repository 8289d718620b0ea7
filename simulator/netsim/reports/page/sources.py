"""The table that ends every page: where the numbers of its specs come from."""

from __future__ import annotations

from collections.abc import Mapping

from netsim.reports.page.parts import Column, Table


def sources_table(evidence: Mapping[str, Mapping[str, str]]) -> Table:
    """A row a fact that a spec states with its source.

    evidence : spec -> what -> source, as `provenance.evidence` of a record

    >>> sources_table({"hardware h800": {"nic": "figure 5"}}).csv().splitlines()[1]
    'hardware h800,nic,figure 5'
    """
    rows = [
        {"spec": spec, "what": what, "source": source}
        for spec, sources in evidence.items()
        for what, source in sources.items()
    ]
    columns = [
        Column("spec", "of", left=True),
        Column("what", "what", left=True),
        Column("source", "source", left=True),
    ]
    return Table("evidence", "Sources", columns, rows, folded=True)
