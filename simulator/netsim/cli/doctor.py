"""`netsim doctor`: is this machine ready?"""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer


def doctor(json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False) -> None:
    """Check the installation: versions, cores, memory, the cache of compiled kernels, GPUs, missing extras.

    Exit status 1 if something needs attention.
    """
    from netsim.api.doctor import doctor as examine
    from netsim.reports.terminal.doctor import lines

    record = examine()
    print(jsonlib.dumps(record, indent=1) if json else "\n".join(lines(record)))
    if record["problems"]:
        raise typer.Exit(1)
