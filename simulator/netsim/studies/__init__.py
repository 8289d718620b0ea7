"""What-if studies: many questions to the simulator, on one machine or a cluster, as one table, pictures and a best design.

    study.toml -> spec -> points (settings, seed, id) -> workers -> store (one line a finished point) -> table, plots
"""
