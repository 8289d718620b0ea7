"""Runs what_if.ipynb again and keeps its outputs as text and HTML tables: `python reports/studies/notebook/run.py`."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

PATH = Path(__file__).with_name("what_if.ipynb")
KEPT = ("text/plain", "text/html")


def main() -> None:
    notebook = nbformat.read(PATH, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if "data" in output:
                output["data"] = {kind: output["data"][kind] for kind in KEPT if kind in output["data"]}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, PATH)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
