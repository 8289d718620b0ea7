"""Scripts that make the studies: what they import is there (types are checked by `make types`)."""

import importlib.util
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "reports/studies").glob("*/run.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_a_script_can_be_loaded(path: Path) -> None:
    if path.parent.name == "notebook":
        pytest.importorskip("nbclient")
    spec = importlib.util.spec_from_file_location(f"study_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.main)
