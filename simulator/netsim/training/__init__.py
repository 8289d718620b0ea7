"""One training step: lay-out, traffic, tasks, durations, execution and what came out."""
