"""The command line: data on stdout, everything else on stderr; a mistake is one line and exit status 2."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `netsim` command."""
    from netsim.cli.app import run_app

    sys.exit(run_app(sys.argv[1:]))
