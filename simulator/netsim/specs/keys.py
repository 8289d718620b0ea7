"""Every key of a spec for people: what it takes, what it is when left out, and what it means.

Read from the JSON Schema of the pydantic model, so that it cannot differ from what is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

_WIDEST, _MOST_WORDS = 30, 6


class Key(NamedTuple):
    """`name` is dotted, `*` any name of a collection; `takes` says unit or type and range; `default` may be empty."""

    name: str
    takes: str
    default: str
    meaning: str


def keys(model: type[BaseModel]) -> list[Key]:
    """The keys of a spec in the order of its file, tables opened.

    >>> from netsim.specs import TopologySpec
    >>> next(key for key in keys(TopologySpec) if key.name == "switch.radix")[1:3]
    ('whole number, 4 to 4096', 'required')
    """
    schema = model.model_json_schema()
    return list(_table(schema, schema.get("$defs", {}), ""))


def _table(table: dict[str, Any], known: dict[str, Any], prefix: str) -> Iterator[Key]:
    for name, says in table["properties"].items():
        collection, tables = _inside(says, known)
        yield from _merged(
            [list(_table(inner, known, f"{prefix}{name}.{'*.' * collection}")) for inner in tables]
        )
        if not tables:
            required = name in table.get("required", ())
            yield Key(prefix + name, _takes(says), _default(says, required), says.get("description", ""))


def _merged(choices: list[list[Key]]) -> Iterator[Key]:
    """The keys of a table, or of one of several kinds: each once, with the kind where not every kind has it."""
    seen: dict[str, Key] = {}
    for choice in choices:
        kind = next((key.takes for key in choice if key.name.endswith(".kind")), "")
        for key in choice:
            everywhere = all(any(other.name == key.name for other in others) for others in choices)
            meaning = key.meaning if everywhere else f"{key.meaning[:-1]} (kind {kind})."
            known = seen.setdefault(key.name, key._replace(meaning=meaning))
            if known.takes != key.takes:
                seen[key.name] = known._replace(takes=f"{known.takes} | {key.takes}")
    yield from seen.values()


def _inside(says: dict[str, Any], known: dict[str, Any]) -> tuple[bool, list[dict[str, Any]]]:
    """The tables that a key holds, and whether they stand under names or numbers of their own."""
    for word in ("items", "additionalProperties"):
        if isinstance(says.get(word), dict) and "$ref" in says[word]:
            return True, [_resolve(says[word], known)]
    choices = [says, *says.get("anyOf", ()), *says.get("oneOf", ())]
    return False, [_resolve(choice, known) for choice in choices if "$ref" in choice]


def _resolve(says: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = known[says["$ref"].rpartition("/")[2]]
    return found


def _default(says: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = says.get("default")
    text = "" if value in (None, "", [], {}) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f'{text[: _WIDEST - 4]}..."'


def _takes(says: dict[str, Any]) -> str:
    """Unit or type, and the range.

    >>> _takes({"type": "number", "minimum": 0.0, "maximum": 1.0})
    'number, 0 to 1'
    """
    if "anyOf" in says:
        return next(_takes(choice) for choice in says["anyOf"] if choice.get("type") != "null")
    if "unit" in says:
        return f"{says['unit']}, as {says['examples'][0]!r}"
    if "enum" in says:
        words = list(map(str, says["enum"]))
        return " | ".join(words if len(words) <= _MOST_WORDS else [*words[:3], "...", words[-1]])
    if "const" in says:
        return f"{says['const']}"
    if says.get("type") == "array":
        each: dict[str, Any] = says.get("items") or next(iter(says.get("prefixItems", ())), {})
        return f"list of {_takes(each)}" if each else "list"
    if says.get("type") == "object":
        return f"table of {_takes(says.get('additionalProperties') or {})}"
    word = {"integer": "whole number", "number": "number", "boolean": "true | false"}.get(
        says.get("type", ""), "text"
    )
    low, above, high = says.get("minimum"), says.get("exclusiveMinimum"), says.get("maximum")
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:g}"
    if above is not None:
        return f"{word} above {above:g}" + (f", to {high:g}" if high is not None else "")
    return f"{word}, {low:g} or more" if low is not None else word
