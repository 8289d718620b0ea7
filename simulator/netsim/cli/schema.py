"""`netsim schema`: every key that a TOML or `--set` may hold."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer


def schema(
    spec: Annotated[
        str, typer.Argument(help="topology, workload, hardware, profile, prices, inference or transport.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON Schema of the spec.")] = False,
) -> None:
    """List the keys of a spec, for TOML files and --set: what each takes, its default and what it means."""
    from netsim.errors import NetsimError, did_you_mean
    from netsim.specs.case import SECTIONS
    from netsim.specs.inference import InferenceSpec
    from netsim.specs.keys import keys
    from netsim.specs.packets import PacketsSpec

    known = SECTIONS | {"inference": InferenceSpec, "transport": PacketsSpec}
    if spec and spec not in known:
        raise NetsimError(f"no spec {spec!r}: {did_you_mean(spec, known)}")
    chosen = {spec: known[spec]} if spec else known
    if json:
        print(jsonlib.dumps({name: model.model_json_schema() for name, model in chosen.items()}, indent=1))
        return
    from netsim.reports.terminal.rows import print_rows

    rows = [key._replace(name=f"{name}.{key.name}") for name, model in chosen.items() for key in keys(model)]
    print_rows([("key", "takes", "default", "meaning"), *rows], left=4)
