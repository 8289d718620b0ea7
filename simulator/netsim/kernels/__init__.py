"""`njit` of numba, with a cache of compiled kernels that never stands in the way.

Compiling all kernels takes some 20 s, so they are kept: beside the package, or in the user's cache folder where the
package is read-only. Two things go further here than in numba. Where neither can be written (a container with a
read-only root and no home) a folder of this user below the temporary folder is used, or none. A file of the cache that
is damaged or empty is dropped, and the kernel is compiled again.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache


class _HealingCache(FunctionCache):  # type: ignore[misc]  # numba has no types
    """A cache that drops what it cannot read, and does without what it cannot write."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever unpickling damaged bytes may raise
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:
            return  # a full disk: compile again next time
        except Exception:
            self._forget()

    def _forget(self) -> None:
        try:
            self.flush()
        except OSError:
            self.disable()


def _njit(cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's decorator, with its options; `cache` keeps the compiled kernel."""

    def compiled(function: Callable[..., Any]) -> Any:
        kernel = numba.njit(**options)(function)
        found = _cache_of(function) if cache else None
        if found is not None:
            kernel._cache = found
        return kernel

    return compiled


#: untyped, as numba's own is
njit: Any = _njit


def _cache_of(function: Callable[..., Any]) -> _HealingCache | None:
    try:
        return _HealingCache(function)
    except RuntimeError:  # no folder that numba knows of can be written
        numba.config.CACHE_DIR = _temporary()
    try:
        return _HealingCache(function)
    except (RuntimeError, OSError):
        return None


def _temporary() -> str:
    """A folder for kernels that only this user can write: what lies in it is run."""
    folder = Path(tempfile.gettempdir()) / f"netsim-kernels-{os.getuid() if hasattr(os, 'getuid') else 0}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        if stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & 0o022:
            return str(folder)
        return tempfile.mkdtemp(prefix="netsim-kernels-")
    except OSError:
        return ""
