"""The one clock: tasks and transfers on SimPy, over a fluid network."""
