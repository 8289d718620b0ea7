"""The page of a comparison: sections, figures and files."""
