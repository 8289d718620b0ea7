"""What an import answers: what was found, the files that say it in netsim's words, and how far to trust them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Notes:
    """Lines for people, while a reader goes through a file."""

    read: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def many(self, what: str, names: list[str], most: int = 8) -> None:
        """One line on many things that were not understood."""
        if names:
            more = f" and {len(names) - most} more" if len(names) > most else ""
            self.not_understood.append(f"{what}: {', '.join(names[:most])}{more}")


@dataclass(frozen=True)
class Wanted:
    """What a person says besides the file: a fabric, hosts, GPUs, a job that lends what a file lacks, a node list."""

    topology: str | None = None
    gpus: int | None = None
    hardware: str | None = None
    workload: str | None = None
    nodes: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class Imported:
    """The answer of a reader.

    record : facts of the file, as JSON; files : ending of a name (`.toml`, `-hosts.toml`) -> text, written beside each
    other; question : fields of a `Question` that the files answer (paths are endings of `files`), with `step_s`
    measured where the file has it; then : commands that use the files, `{stem}` for their name
    """

    kind: str
    place: str
    record: Mapping[str, Any]
    notes: Notes
    files: Mapping[str, str] = field(default_factory=dict)
    question: Mapping[str, Any] = field(default_factory=dict)
    step_s: float | None = None
    then: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind, "file": self.place, **self.record, "read": self.notes.read,
            "not_understood": self.notes.not_understood, "assumed": self.notes.assumed, "findings": self.notes.findings,
        }  # fmt: skip
