"""Compiled kernels on disk: none may outlive the source that it was compiled from.

numba caches a compiled function with the stamp of its own file alone, but compiles what it calls into it as well. After
a change to one file of the solver, what others hold of it would be the old code, silently. So a cached kernel that is
older than any source of the package is forgotten, and compiled again.

Left out: caches that numba keeps elsewhere, where the package's own folder cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
#: what kernels of this package are made of
SOURCES = (HERE,)


def forget_outdated(folder: Path = HERE, sources: Iterable[Path] = SOURCES) -> int:
    """Remove index files of numba below `folder` that are older than the newest source; how many there were."""
    files = [file for source in sources for file in (source.glob("*.py") if source.is_dir() else (source,))]
    try:
        newest = max((file.stat().st_mtime_ns for file in files), default=0)
        outdated = [index for index in folder.glob("__pycache__/*.nbi") if index.stat().st_mtime_ns < newest]
        for index in outdated:
            index.unlink(missing_ok=True)
    except OSError:  # not ours to change, or another process was faster
        return 0
    return len(outdated)
