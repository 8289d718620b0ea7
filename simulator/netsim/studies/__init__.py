"""What-if studies: many runs, on one machine or a cluster, as one table, pictures and a best design.

study.toml -> spec -> points (settings, seed, id) -> workers -> store (one line a finished point) -> table, plots
"""
