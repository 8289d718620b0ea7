"""Where presets are found: a name is looked up in a collection, a path is taken as it is.

In a checkout (an editable install) the collections are the plain folders at its root, so an edited TOML is
seen at once; in a wheel they travel inside the package under `data/`.
"""

from __future__ import annotations

import os
from pathlib import Path

from netsim.errors import NetsimError, did_you_mean
from netsim.specs import files

#: kind -> folder below the root of the collections
FOLDERS = {
    "topology": "topologies",
    "workload": "workloads",
    "hardware": "workloads/hardware",
    "profile": "workloads/compute",
    "framework": "workloads/frameworks",
    "prices": "topologies/prices",
    "protocol": "topologies/protocols",
    "reliability": "topologies/reliability",
    "transport": "topologies/transports",
    "jobs": "workloads/jobs",
    "published": "reports/published",
    "inference": "workloads/inference",
}


def root() -> Path:
    """The folder that holds the collections."""
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file() and (checkout / "topologies").is_dir():
        return checkout
    return Path(__file__).resolve().parents[1] / "data"


def folder(kind: str) -> Path:
    """The folder of one kind of preset."""
    return root() / FOLDERS[kind]


def names(kind: str) -> list[str]:
    """The presets of a kind, sorted."""
    return sorted(path.stem for path in folder(kind).glob("*.toml"))


def find(kind: str, name: str) -> Path:
    """The TOML of a preset name, or the path itself when one is given.

    Raises NetsimError when there is no such file or preset, naming the nearest preset.
    """
    if (
        name.endswith((".toml", ".csv", *([".graphml", ".json"] if kind == "topology" else [])))
        or "/" in name
    ):
        path = files.expand(name)
        if not _is_file(path):
            rule = "is a folder, not a file" if os.path.isdir(path) else f"no such {kind} file"
            raise NetsimError(f"{name}: {rule}")
        return path
    path = folder(kind) / f"{name}.toml"
    if not _is_file(path):
        raise NetsimError(f"no {kind} preset {name!r}: {did_you_mean(name, names(kind))}")
    return path


def find_study(name: str) -> Path:
    """The TOML of a study: a path, or the name of one that ships (`reports/studies/NAME/study.toml`).

    Raises NetsimError when there is no such study, naming the nearest.
    """
    if name.endswith(".toml") or "/" in name:
        path = files.expand(name)
        if not _is_file(path):
            raise NetsimError(f"{name}: no such study file")
        return path
    path = root() / "reports/studies" / name / "study.toml"
    if not _is_file(path):
        raise NetsimError(f"no study {name!r}: {did_you_mean(name, study_names())}")
    return path


def study_names() -> list[str]:
    """The studies that ship, sorted."""
    return sorted(path.parent.name for path in (root() / "reports/studies").glob("*/study.toml"))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        found = path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        files.note(path, None)
    return found


def display(path: Path) -> str:
    """A path as a person knows it: below the collections, or below the working directory, or whole."""
    for base in (root(), Path.cwd()):
        if path.resolve().is_relative_to(base):
            return str(path.resolve().relative_to(base))
    return str(path)
