"""A model from its Hugging Face `config.json`: the keys of the architectures that netsim knows, under netsim's names.

Read: sizes, heads, windows, biases, norms, experts and how they are grouped, multi-token prediction, tied embeddings;
of a model of pictures and text the text model alone. Not read: weights, context extension, quantisation, whatever the
parallel plan is. A key that changes the arithmetic and is not modelled is refused, and one that may and is not known
is named; none is ignored.

Source: the configuration classes of huggingface/transformers for each architecture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError, SpecError
from netsim.specs import catalog, files
from netsim.specs.huggingface.architectures import ARCHITECTURES, TYPES
from netsim.specs.huggingface.config import Config

__all__ = ["ARCHITECTURES", "find", "model_tables", "with_config"]


def model_tables(path: Path) -> dict[str, Any]:
    """The tables of a ModelSpec, from a config.json.

    Raises SpecError for an architecture that is not known, and a key that is missing, wrong or not modelled.
    """
    place, keys = catalog.display(path), _read(path)
    named = _architecture(place, keys)
    inner = keys.get("text_config")
    if isinstance(inner, dict):
        # a model of pictures and text: what surrounds the text model is not counted
        keys = {"tie_word_embeddings": keys.get("tie_word_embeddings"), **inner}
        named = _architecture(place, keys, named)
    if named not in ARCHITECTURES:
        # all of them: a similar name may be a very different model
        rule = f"is not modelled; known: {', '.join(sorted(ARCHITECTURES))}"
        raise SpecError(place, "architectures", named, rule)
    config = Config(place, keys, named)
    tables = ARCHITECTURES[named](config)
    config.refuse_unread()
    return {"name": _name(path, keys)} | tables


def _architecture(place: str, keys: dict[str, Any], outer: str = "") -> str:
    """The class of the model, as transformers names it: in so many words, or by its type."""
    named, kind = keys.get("architectures"), keys.get("model_type")
    if isinstance(named, list) and named and str(named[0]) in ARCHITECTURES:
        return str(named[0])
    if kind in TYPES:
        return TYPES[kind]
    if isinstance(named, list) and named:
        return str(named[0])
    if outer:
        return outer
    raise SpecError(place, "", None, "architectures is missing: it names the class of the model")


def with_config(data: dict[str, Any], beside: Path) -> dict[str, Any]:
    """The tables of a job whose `model.config` names a file: read, and under what the job says itself.

    beside : folder of the job, where the file is looked for after the working directory
    """
    model = data.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("config"), str):
        return data
    own = {key: value for key, value in model.items() if key != "config"}
    path = find(model["config"], beside)
    sources = {**data.get("sources", {}), "model": f"{catalog.display(path)}, a Hugging Face config.json"}
    return {**data, "model": _under(model_tables(path), own), "sources": sources}


def find(name: str, beside: Path | None = None) -> Path:
    """The file of a name: as it is, or beside a job.

    Raises NetsimError when there is none.
    """
    tried = [files.expand(name), *([beside / name] if beside else [])]
    for path in tried:
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            break
        files.note(path, None)
    raise NetsimError(f"{name}: no such config.json of a model")


def _under(tables: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `tables`, key by key; a table that names its own kind is taken whole."""
    merged = dict(tables)
    for key, value in own.items():
        below = merged.get(key)
        inner = isinstance(value, dict) and isinstance(below, dict) and "kind" not in value
        merged[key] = _under(below, value) if inner and below else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    place = catalog.display(path)
    try:
        keys = json.loads(files.read_text(path))
    except (ValueError, RecursionError) as error:
        raise NetsimError(f"{place}: not valid JSON: {error}") from None
    except OSError as error:
        raise NetsimError(f"{place}: cannot be read: {error.strerror}") from None
    if not isinstance(keys, dict):
        raise NetsimError(f"{place}: must hold an object of keys and values, as a config.json of a model")
    return keys


def _name(path: Path, keys: dict[str, Any]) -> str:
    given = str(keys.get("_name_or_path") or "").rstrip("/").rpartition("/")[2]
    return given or (path.resolve().parent.name if path.stem == "config" else path.stem)
