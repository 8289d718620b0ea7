"""What a command asks, as typer reads it: its options come from plain types, and their words from options.toml.

`asking("topology", "gpus", ..., request=ServeRequest)` puts three kinds of options on a command: those of these fields
of a `Question`, which all commands spell alike; one per field of the request, a dataclass of what this command asks
beside the question; and one per own parameter. Types and defaults stand in Python, flags and help in options.toml under
the command's name. `--set` is read once, and the command is called with one `question` and one `request`.
"""

from __future__ import annotations

import functools
import inspect
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from netsim.cli import options

#: what a command may ask -> parameter, its option, its default
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
    "folded": ("fold", options.Fold, True),
    "seed": ("seed", options.Seed, 0),
    "overrides": ("sets", options.Sets, None),
}
#: fields under another option: the job of a command that only serves its model, a host that no job chooses
VARIANTS = {
    "model": ("workload", "model", options.Model, "deepseek-v3"),
    "host": ("hardware", "hardware", options.HostName, "h800"),
}
#: parameters that the decorator fills itself
_GIVEN = ("typed", "question", "request")


def asking(
    *asked: str, request: type | None = None, spec: bool = False, **defaults: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command its options; `defaults` : of question fields here; `spec` : and --spec, to repeat a run."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command).parameters
        shared = {VARIANTS.get(name, (name,))[0]: _field(name, defaults) for name in asked}
        of_request = list(_request_options(command.__name__, request)) if request else []

        @functools.wraps(command)
        def told(typed: typer.Context, **values: Any) -> Any:
            said = {name: values.pop(each.name) for name, each in shared.items()}
            repeated = values.pop("spec", None)
            mine = {each.name: values.pop(each.name) for each in of_request}
            if "question" in own:
                values["question"] = _question(typed, said, repeated)
            if request:
                values["request"] = request(
                    **{key: _plain(value, request, key) for key, value in mine.items()}
                )
            return command(**values, **({"typed": typed} if "typed" in own else {}))

        hints = get_type_hints(command, localns=dict.fromkeys(("Question", "Any"), Any), include_extras=True)
        listed = [
            _described(command.__name__, each.replace(annotation=hints[each.name]))
            for each in own.values()
            if each.name not in _GIVEN
        ]
        parameters = [_parameter("typed", typer.Context), *shared.values(), *of_request, *listed]
        parameters += [_parameter("spec", options.Spec, None)] if spec else []
        parameters.sort(key=lambda each: each.default is not inspect.Parameter.empty)
        told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        told.__annotations__ = {each.name: each.annotation for each in parameters}
        return told

    return decorate


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("options.toml").read_text("utf-8"))


def _field(name: str, defaults: dict[str, Any]) -> inspect.Parameter:
    parameter, option, default = VARIANTS[name][1:] if name in VARIANTS else FIELDS[name]
    return _parameter(parameter, option, defaults.get(name, default))


def _request_options(command: str, request: type) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(request)
    for each in fields(request):
        default = inspect.Parameter.empty if each.default is MISSING else each.default
        yield _described(command, _parameter(each.name, hints[each.name], default))


def _described(command: str, parameter: inspect.Parameter) -> inspect.Parameter:
    """A plain parameter with its words of options.toml; one with an option of its own stays as it is."""
    kind, default = parameter.annotation, parameter.default
    if get_origin(kind) is Annotated:
        return parameter
    words: dict[str, Any] = dict(_words()[command.removesuffix("_")][parameter.name])
    if get_origin(kind) is tuple:
        kind, default = list[get_args(kind)[0]] | None, None  # type: ignore[misc]
    if words.pop("argument", False):
        return parameter.replace(annotation=Annotated[kind, typer.Argument(**words)], default=default)
    flags = words.pop("flags", [f"--{parameter.name.replace('_', '-')}"])
    return parameter.replace(annotation=Annotated[kind, typer.Option(*flags, **words)], default=default)


def _plain(value: Any, request: type, name: str) -> Any:
    """What typer gave, as the request has it: a tuple where an option may be repeated."""
    return tuple(value or ()) if get_origin(get_type_hints(request)[name]) is tuple else value


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _question(typed: typer.Context, said: dict[str, Any], spec: Path | None) -> Any:
    from netsim.specs.case import parse_overrides
    from netsim.specs.question import Question

    if "overrides" in said:
        said["overrides"] = parse_overrides(said["overrides"] or [])
    if "faults" in said:
        said["faults"] = tuple(said["faults"] or ())
    question = Question(**said)
    return question if spec is None else question.repeated_from(spec, set(options.given(typed)))
