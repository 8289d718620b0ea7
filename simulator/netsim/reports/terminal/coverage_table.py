"""`netsim validate --coverage` at a terminal."""

from __future__ import annotations

import json

from netsim.analysis.uncertainty.coverage import coverage, is_calibrated
from netsim.analysis.uncertainty.evidence import FILE, evidence
from netsim.analysis.uncertainty.interval import errors
from netsim.reports.coverage_report import table
from netsim.reports.terminal.rows import print_rows


def print_coverage(as_json: bool, quiet: bool) -> int:
    """Print shares of published steps inside their intervals; 1 when they are not calibrated."""
    known, shares = evidence(), coverage(errors())
    if as_json:
        print(json.dumps([share.record() for share in shares], indent=1))
    elif not quiet:
        print(f"Errors of netsim {known.version} in {FILE}, written by {known.made_by}; intervals at 80 %")
        print_rows(table(shares), left=1)
    return int(not is_calibrated(shares))
