"""Options that spell a `Question`, once for all commands: a command names the fields that it asks for.

`asking("topology", "gpus", ...)` puts the options of those fields before the command's own, reads `--set` once, and
calls the command with one `question` in their place.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from netsim.cli import options

#: field of a question -> parameter, its option, its default
FIELDS: dict[str, tuple[str, Any, Any]] = {
    "topology": ("topology", options.TopologyName, "mpft"),
    "gpus": ("gpus", options.Gpus, 2048),
    "workload": ("workload", options.WorkloadName, "deepseek-v3"),
    "hardware": ("hardware", options.Hardware, None),
    "profile": ("profile", options.Profile, None),
    "prices": ("prices", options.Prices, "published"),
    "routing": ("routing", options.Routing, None),
    "schedule": ("schedule", options.Schedule, None),
    "scaling": ("scaling", options.Scaling, "weak"),
    "placement": ("placement", options.Placement, None),
    "gpu_hour_usd": ("gpu_hour_usd", options.GpuHour, None),
    "faults": ("fault", options.Faults, None),
    "fault_rate": ("fault_rate", options.FaultRate, None),
    "reliability": ("reliability", options.Reliability, None),
    "folded": (
        "fold",
        Annotated[
            bool,
            typer.Option("--fold/--no-fold", help="Share the execution of ranks that cannot be told apart."),
        ],
        True,
    ),
    "seed": ("seed", options.Seed, 0),
    "overrides": ("sets", options.Sets, None),
}
SPEC = Annotated[
    Path | None,
    typer.Option(
        "--spec",
        help="The spec.toml of a run: the same question again, but for what --set and options change.",
    ),
]


def asking(
    *fields: str, spec: bool = False, **defaults: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these fields; `defaults` of its own; `spec` : and --spec, to repeat a run."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def asked(context: typer.Context, **values: Any) -> Any:
            said = {name: values.pop(FIELDS[name][0]) for name in fields}
            return command(question=_question(context, said, values.pop("spec", None)), **values)

        hints = get_type_hints(command, localns={"Question": Any}, include_extras=True)
        own = [
            each.replace(annotation=hints[each.name])
            for each in inspect.signature(command).parameters.values()
            if each.name != "question"
        ]
        needed = [each for each in own if each.default is inspect.Parameter.empty]
        shared = [_parameter("context", typer.Context), *needed, *_options(fields, spec, defaults)]
        parameters = shared + [each for each in own if each not in needed]
        asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        asked.__annotations__ = {each.name: each.annotation for each in parameters}
        return asked

    return decorate


def _options(fields: Sequence[str], spec: bool, defaults: dict[str, Any]) -> list[inspect.Parameter]:
    found = []
    for name in fields:
        parameter, option, default = FIELDS[name]
        found.append(_parameter(parameter, option, defaults.get(name, default)))
    return found + ([_parameter("spec", SPEC, None)] if spec else [])


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _question(context: typer.Context, said: dict[str, Any], spec: Path | None) -> Any:
    from netsim.specs.case import parse_overrides
    from netsim.specs.question import Question

    if "overrides" in said:
        said["overrides"] = parse_overrides(said["overrides"] or [])
    if "faults" in said:
        said["faults"] = tuple(said["faults"] or ())
    question = Question(**said)
    return question if spec is None else question.repeated_from(spec, set(options.given(context)))
