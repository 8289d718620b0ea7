"""The notebook of the Python interface: outputs are kept, name nothing of the machine, and come again when it runs."""

from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[1] / "reports" / "studies" / "notebook" / "what_if.ipynb"


def read() -> Any:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install .[dev]")
    return nbformat.read(PATH, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_outputs_are_kept() -> None:
    cells = code_cells(read())
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell.outputs for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install .[dev]")
    notebook = read()
    kept = [len(cell.outputs) for cell in code_cells(notebook)]
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert [len(cell.outputs) for cell in code_cells(notebook)] == kept
