"""Files as they are written: each whole or not at all, and one writer per folder.

A file is written under another name and renamed, so that a full disk or an interrupt leaves the one that was there. A
folder is claimed with a lock before the work begins; the lock goes with the process.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from netsim.errors import NetsimError

#: files that say that a folder holds an answer: of most commands, of a comparison, of a sweep
MARKS = ("result.json", "report.json", "points.jsonl")
LOCK = ".netsim.lock"
_claims: dict[Path, BinaryIO] = {}


def claim_folder(folder: Path, force: bool = False) -> None:
    """Make a folder and claim it for this process, before the work is done.

    Raises NetsimError when the folder cannot be made or written, when another process is writing there, and when it
    holds an answer already and `force` is not given.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NetsimError(f"-o {folder}: cannot be created: {error.strerror}") from None
    # the mode is checked too, because the superuser may write where nobody should
    if not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222:
        raise NetsimError(f"-o {folder}: is read-only")
    _lock(folder)
    try:
        refuse_taken(folder, force)
    except NetsimError:
        release_folder(folder)
        raise


def refuse_taken(folder: Path, force: bool, own: str = "") -> None:
    """Raises NetsimError for a folder that holds another answer than one marked by the file `own`."""
    for mark in MARKS:
        if mark != own and not force and (folder / mark).exists():
            raise NetsimError(f"-o {folder}: already holds a {mark}; choose another folder or add --force")


def _lock(folder: Path) -> None:
    place = folder.resolve()
    if place in _claims:
        return
    try:
        file = (folder / LOCK).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = (
                os.fstat(file.fileno()).st_ino == (folder / LOCK).stat().st_ino
            )  # not one that was just given up
        except (BlockingIOError, FileNotFoundError):
            alone = False
    except OSError as error:
        raise NetsimError(f"-o {folder}: cannot be written: {error.strerror}") from None
    if not alone:
        file.close()
        raise NetsimError(f"-o {folder}: another netsim is writing here")
    _claims[place] = file


@atexit.register
def release_all() -> None:
    """Give up every claim, as at the end of a command."""
    for place in list(_claims):
        release_folder(place)


def begin_folder(folder: Path) -> None:
    """Take away what says that the folder holds an answer, and what an interrupt left: the answer is written anew.

    Raises NetsimError when a file cannot be removed.
    """
    for path in [*(folder / mark for mark in MARKS), *folder.glob(".*.part*")]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise NetsimError(f"{path}: cannot be removed: {error.strerror}") from None


def release_folder(folder: Path) -> None:
    """Give up a claim; nothing where there is none."""
    file = _claims.pop(folder.resolve(), None)
    if file is not None:
        (folder / LOCK).unlink(missing_ok=True)
        file.close()


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file under another name and then give it its own; returns it.

    Raises NetsimError when it cannot be written.
    """
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=f".part{path.suffix}", dir=path.parent
        )
        os.close(handle)
        partial = Path(name)
        write(partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as error:
        raise NetsimError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return path


def write_text_whole(path: Path, text: str) -> Path:
    """Write a text file whole or not at all; Raises NetsimError."""
    return write_whole(path, lambda partial: partial.write_text(text, "utf-8"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
