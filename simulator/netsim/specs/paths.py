"""Files that a spec file names: looked for beside it, then below the working directory, as everything typed is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netsim.specs import catalog, files

#: kind of spec -> its keys that name a preset or a file
FILES = {
    "topology": ("custom.edges",),
    "workload": (
        "hardware",
        "profile",
        "framework",
        "model.config",
        "placement.file",
        "variation.expert_load",
    ),
    "inference": ("library", "prefill.profile", "decode.profile"),
}
#: the same as `--set` spells them, with and without the name of their spec
KEYS = frozenset(
    name for kind in ("topology", "workload") for key in FILES[kind] for name in (key, f"{kind}.{key}")
)


def near(name: Any, folder: Path) -> Any:
    """A name in a file of `folder` as the working directory has it; what is no file there stays as it is."""
    if not isinstance(name, str) or not name or files.expand(name).is_absolute():
        return name
    try:
        if (folder / name).is_file():
            return str(folder / name)
    except (OSError, ValueError):  # a name that no file can have
        return name
    files.note(folder / name, None)
    return name


def place(data: dict[str, Any], kind: str, folder: Path) -> None:
    """Let the keys of raw tables that name files beside their own name them from the working directory."""
    if kind == "topology" and folder == catalog.folder(kind):
        return  # a fabric of the collection finds its cables there by itself, whatever the machine
    for key in FILES.get(kind, ()):
        *tables, last = key.split(".")
        inner: Any = data
        for table in tables:
            inner = inner.get(table) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and last in inner:
            inner[last] = near(inner[last], folder)


def placed(settings: Mapping[str, Any], folder: Path, more: Iterable[str] = ()) -> dict[str, Any]:
    """Settings by dotted key, values or lists of them, likewise; `more` keys name presets or files too."""
    names = KEYS.union(more)

    def one(value: Any) -> Any:
        return [near(each, folder) for each in value] if isinstance(value, list) else near(value, folder)

    return {key: one(value) if key in names else value for key, value in settings.items()}
