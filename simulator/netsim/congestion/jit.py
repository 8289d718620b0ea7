"""How the kernel's parts are compiled: they call each other alone, so they need no way in from Python (half the work)."""

from __future__ import annotations

from numba import njit

#: for all but the loop itself
part = njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
