"""The command line: data on stdout, everything else on stderr; a mistake is one line and exit status 2."""

from __future__ import annotations

import errno
import io
import os
import sys


class _Closed(io.TextIOBase):
    """A standard output that was closed (`>&-`): writing fails as on any closed file, where Python has none at all."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def main() -> None:
    """Entry point of the `netsim` command."""
    sys.stdout = sys.stdout or _Closed()
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open to the end)
    try:
        from netsim.cli.app import run_app

        status = run_app(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are still being read
        print("netsim: interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
