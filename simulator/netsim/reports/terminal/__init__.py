"""Answers as a person reads them at a terminal: summaries and tables, from records alone."""
