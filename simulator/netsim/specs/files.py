"""Files as they are read, and a note of which were: what an answer depends on.

Every reader of an input file reads through `read_bytes` or `read_text`. Inside `noted()` each file leaves its digest,
and a file that was looked for and not found leaves "missing", so that an answer can be known to be stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

MISSING = "missing"
_NOTES: ContextVar[tuple[dict[str, str], ...]] = ContextVar("notes", default=())


def expand(name: str) -> Path:
    """A typed name as a path, with `~` and `~user` as the shell reads them; a user that does not exist stays."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


@contextmanager
def noted() -> Iterator[dict[str, str]]:
    """Collect the digest of every file that is read inside, by name as it was opened; notes may be nested."""
    notes: dict[str, str] = {}
    token = _NOTES.set((*_NOTES.get(), notes))
    try:
        yield notes
    finally:
        _NOTES.reset(token)


def note(path: Path, content: bytes | None) -> None:
    """Note that a file was read (`content`), or looked for and not found (None)."""
    for notes in _NOTES.get():
        notes[str(path)] = MISSING if content is None else hashlib.sha256(content).hexdigest()


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, noted; Raises OSError."""
    try:
        content = path.read_bytes()
    except OSError:
        note(path, None)
        raise
    note(path, content)
    return content


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """The text of a file, noted; Raises OSError, UnicodeDecodeError. Line ends become a newline each."""
    return read_bytes(path).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def digest(path: Path) -> str:
    """The digest of a file, noted; "missing" where it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except (OSError, ValueError):
        return MISSING


def changed(notes: dict[str, str]) -> str | None:
    """The first file whose digest is no longer the noted one; None when all are as they were."""
    return next((name for name, value in notes.items() if digest(Path(name)) != value), None)
