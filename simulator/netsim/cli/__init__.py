"""The command line: data on stdout, everything else on stderr; a mistake is one line and exit status 2."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `netsim` command."""
    try:
        from netsim.cli.app import run_app

        status = run_app(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are still being read
        print("netsim: interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
