"""How the parts of the kernel are compiled: none is called from Python, which saves most of the time that it takes."""

from __future__ import annotations

from numba import njit

#: for all but the loop itself
part = njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
