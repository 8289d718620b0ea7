"""`netsim measure`: kernels, collectives, a soak or a step on the GPUs of this machine."""

from __future__ import annotations

import json as jsonlib
import sys
from functools import partial
from typing import TYPE_CHECKING

import typer

from netsim.cli.asking import asking
from netsim.cli.options import Json, Quiet, given
from netsim.specs.requests import MeasureRequest

if TYPE_CHECKING:
    from netsim.specs.question import Question


@asking("workload", "overrides", "seed", request=MeasureRequest)
def measure(
    typed: typer.Context,
    question: Question,
    request: MeasureRequest,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time the kernels of a training step on this GPU, or collectives among GPUs (needs torch with CUDA)."""
    from netsim.cli.progress import progress_bar
    from netsim.errors import NetsimError
    from netsim.measure import ask
    from netsim.measure.audience import Audience

    kind = ask.kind_of(request)
    for name, option in given(typed).items():
        if (rule := ask.idle_rule(name, kind)) is not None:
            raise NetsimError(f"{option}: {rule}")
    warn = partial(print, file=sys.stderr)
    audience = Audience((lambda line: None) if quiet else warn, warn, partial(progress_bar, quiet=quiet))
    found = ask.measure(question, request, audience)
    if json:
        print(jsonlib.dumps(found.record, indent=1))
    elif found.lines:
        print("\n".join(found.lines))
    if found.wrong:
        raise typer.Exit(1)
