"""TOML into strict, frozen pydantic models; every complaint names file, key, value, rule and nearest key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from netsim.errors import NetsimError, SpecError, did_you_mean
from netsim.specs import catalog, files, paths
from netsim.specs.borders import CONTROL


class Strict(BaseModel):
    """A table of a spec: unknown keys and loose types are errors; instances are read-only.

    The line below a field is its meaning, which `netsim schema` prints.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _words_are_printable(cls, value: Any) -> Any:
        """Names travel to terminals, SVG and GraphML, which take no control characters."""
        words = [value] if isinstance(value, str) else list(value) if isinstance(value, dict | list) else []
        if any(isinstance(word, str) and CONTROL.search(word) for word in words):
            raise ValueError("must hold no control characters")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """`true` equals 1, so a choice between numbers would take it."""
        if isinstance(value, bool) and info.field_name is not None:
            choices = get_args(cls.model_fields[info.field_name].annotation)
            if choices and value in choices and not any(isinstance(choice, bool) for choice in choices):
                raise ValueError(f"must be one of {', '.join(map(str, choices))}")
        return value


class Preset(Strict):
    """What every spec file carries besides its numbers."""

    name: str
    """Name of the preset: that of its file."""
    description: str = ""
    """One line for people; nothing is computed from it."""
    sources: Mapping[str, str] = Field(default_factory=dict)
    """Where the numbers come from, by part; repeated in every result as evidence."""


S = TypeVar("S", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The raw tables of a TOML file; a syntax error is one line with its position."""
    place = catalog.display(path)
    try:
        return tomllib.loads(files.read_text(path))
    except RecursionError:
        raise NetsimError(f"{place}: tables or lists are nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise NetsimError(f"{place}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise NetsimError(f"{place}: not UTF-8 text") from None
    except ValueError:  # whole numbers without end, and dates that no calendar has
        raise NetsimError(f"{place}: not valid TOML: a number or date out of range") from None
    except OSError as error:
        raise NetsimError(f"{place}: cannot be read: {error.strerror}") from None


def validate(model: type[S], data: Mapping[str, Any], place: str) -> S:
    """Check raw tables against a spec model.

    Raises SpecError for the first complaint, with the nearest key for an unknown one. Unknown keys come first: a
    misspelt key is often why another is missing.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        complaints = error.errors(include_url=False)
        complaint = min(complaints, key=lambda complaint: complaint["type"] != "extra_forbidden")
        raise _explain(model, complaint, place, error.error_count()) from None


def _explain(model: type[BaseModel], complaint: Any, place: str, count: int) -> SpecError:
    keys, known = _keys_of_file(model, complaint["loc"])
    key, value = ".".join(keys), complaint["input"]
    more = f" (and {count - 1} more)" if count > 1 else ""
    match complaint["type"]:
        case "extra_forbidden":
            return SpecError(place, key, value, f"unknown key: {did_you_mean(keys[-1], known)}{more}")
        case "missing":
            return SpecError(place, "", None, f"{key} is missing{more}")
        case "union_tag_not_found":
            return SpecError(place, "", None, f"{key}.kind is missing{more}")
        case "union_tag_invalid":
            tags = complaint["ctx"]["expected_tags"].replace("'", "").split(", ")
            tag = complaint["ctx"]["tag"]
            return SpecError(place, f"{key}.kind", tag, f"no such kind: {did_you_mean(tag, tags)}{more}")
        case _:
            rule = complaint["msg"].removeprefix("Value error, ")
            rule = rule[0].lower() + rule[1:]
            if isinstance(value, dict) or (not keys):
                return SpecError(place, "", None, f"{key + ': ' if key else ''}{rule}{more}")
            return SpecError(place, key, value, f"{rule}{more}")


def _keys_of_file(model: type[BaseModel], location: Sequence[Any]) -> tuple[list[str], list[str]]:
    """The keys of a complaint's place as a file spells them, and those known at the last of them.

    A table of several kinds puts the kind into the place; that is no key of the file.
    """
    keys: list[str] = []
    here, known = _Place([model]), _Place([])
    for part in map(str, location):
        of_kind = [table for table in here.tables if part in _kinds(table)]
        if len(here.tables) > 1 and of_kind:
            here = _Place(of_kind)
            continue
        keys.append(part)
        known, here = here, here.below(part)
    return keys, known.keys


class _Place(NamedTuple):
    """Where a dotted key has led: tables of which one is meant, or `named`, a collection of them under any names."""

    tables: list[type[BaseModel]]
    named: bool = False

    @property
    def keys(self) -> list[str]:
        """What may follow, as far as it is known."""
        return (
            [] if self.named else list(dict.fromkeys(n for table in self.tables for n in table.model_fields))
        )

    def below(self, key: str) -> _Place:
        if self.named:
            return _Place(self.tables)
        fields = [table.model_fields[key] for table in self.tables if key in table.model_fields]
        named = any(get_origin(field.annotation) in (Mapping, dict, tuple) for field in fields)
        return _Place([inner for field in fields for inner in _tables(field)], named)

    def knows(self, key: str) -> bool:
        return self.named or key in self.keys


def _kinds(table: type[BaseModel]) -> tuple[Any, ...]:
    """What the `kind` of a table may be."""
    field = table.model_fields.get("kind")
    return get_args(field.annotation) if field else ()


def _tables(field: FieldInfo) -> list[type[BaseModel]]:
    """The spec models that a field is, or holds as `X | None`, `X | Y`, or by its kind."""
    choices = (field.annotation, *get_args(field.annotation))
    notes = [*field.metadata, *(note for choice in choices for note in getattr(choice, "__metadata__", ()))]
    by_kind = [table for note in notes if hasattr(note, "tables") for table in note.tables()]
    return by_kind or [
        choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)
    ]


def load(
    model: type[S],
    kind: str,
    name: str,
    overrides: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
) -> S:
    """A preset or a file, with `--set` overrides applied, as a checked spec.

    A file may also be the `spec.toml` of a run, which holds every spec under its kind. Files that it names are looked
    for beside it first (`netsim.specs.paths`). `options` : overrides that were
    given by an option of their own, for complaints.
    """
    if kind == "workload" and name.endswith(".json"):
        rule = f"a model, not a job: name a job and give it the model, such as --set workload.model={name}"
        raise NetsimError(f"{name}: {rule}")
    path = catalog.find(kind, name)
    place = catalog.display(path)
    # a list of cables is the edges of the preset made for it
    if kind == "topology" and path.suffix in (".csv", ".graphml", ".json"):
        edges = {"name": path.stem, "custom.edges": str(path)}
        path, overrides = catalog.find(kind, "custom"), edges | dict(overrides or {})
    data = read_toml(path)
    if "name" not in data and isinstance(data.get(kind), dict):
        data, place = data[kind], f"{place}: [{kind}]"
    paths.place(data, kind, path.parent)
    for key, value in _model_first(kind, data, overrides or {}).items():
        put(data, key, value)
    if kind == "workload" and isinstance(model_table := data.get("model"), dict) and "config" in model_table:
        from netsim.specs.huggingface import with_config

        data = with_config(data, path.parent)
    if overrides:
        given = [f"--set {key}" for key in overrides if key not in (options or {})]
        place += " with " + ", ".join([*given, *(options or {}).values()])
    return validate(model, data, place)


def _model_first(kind: str, data: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides less that of a job's whole model, which is put in place: a config.json, or a table."""
    rest = dict(overrides)
    if kind == "workload":
        given = [rest.pop(key) for key in ("model", "model.config") if key in rest]
        if len(given) == 2:
            raise NetsimError("--set model.config: given twice, once as model")
        for whole in given:
            data["model"] = {"config": whole} if isinstance(whole, str) else whole
    return rest


def put(data: dict[str, Any], dotted: str, value: Any) -> None:
    """Set `a.b.c` in nested tables."""
    *tables, last = dotted.split(".")
    for table in tables:
        inner = data.setdefault(table, {})
        if not isinstance(inner, dict):
            raise NetsimError(f"--set {dotted}: {table} is a value, not a table")
        data = inner
    data[last] = value


def has_key(model: type[BaseModel], dotted: str) -> bool:
    """Whether a spec model knows the key `a.b.c`."""
    place = _Place([model])
    for key in dotted.split("."):
        if not place.knows(key):
            return False
        place = place.below(key)
    return True


def all_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every dotted key of a spec model, for hints; `*` is any name of a collection."""
    found: list[str] = []
    for name in model.model_fields:
        inside = _Place([model]).below(name)
        for inner in inside.tables:
            found += all_keys(inner, f"{prefix}{name}.{'*.' * inside.named}")
        if not inside.tables:
            found.append(prefix + name)
    return list(dict.fromkeys(found))
