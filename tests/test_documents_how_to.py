"""The blocks of docs/how-to run, and show what the commands print."""

from pathlib import Path

import pytest

from documents import blocks, documents


@pytest.mark.parametrize("document", documents("how-to"))
def test_blocks_run_and_show_what_they_print(document: Path) -> None:
    blocks.check(document)
