"""From kernels that really ran to a compute profile: traces, kernel tables, fits, and what they are worth.

`json_stream`, `trace_events` and `kineto` read a profiler trace. Of annotated chunks, `rules` and `assign` say what its
kernels are and `observe` makes the measured rows of a profile; of any other job, `place`, `shapes` and `seen` do, and
`job` makes the profile. `tables` reads kernel tables; `fit` finds class models and their errors; `build` puts a
profile together, `write` writes it, and `check` asks it about another trace.
"""
