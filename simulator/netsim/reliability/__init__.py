"""Goodput of a long run: what failures, checkpoints, restarts and repairs leave of it, in closed form and sampled."""
