"""netsim's own errors as one file: what `analysis.uncertainty` makes intervals of."""
