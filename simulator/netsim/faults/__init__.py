"""Faults while a step runs: what is struck and when, the paths of every state of the fabric, and what it costs."""
