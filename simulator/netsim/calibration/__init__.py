"""From kernels that really ran to a compute profile: traces, kernel tables, fits, and what they are worth.

`kineto` reads a profiler trace, `rules` and `assign` say what its kernels are, `observe` makes the measured
rows of a profile; `tables` reads kernel tables; `fit` finds class models and their errors; `build` puts a
profile together and `write` writes it.
"""
