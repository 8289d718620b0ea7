"""The README's blocks run as they stand, and its set-up commands are those of CI."""

from pathlib import Path

import pytest

from documents import ROOT, blocks, documents, evidence

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("document", documents(""))
def test_blocks_run_and_show_what_they_print(document: Path) -> None:
    blocks.check(document)


@pytest.mark.slow
@pytest.mark.parametrize("document", blocks.DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_slow_blocks_too(document: Path) -> None:
    blocks.check(document, slow=True)


@pytest.mark.parametrize("document", blocks.DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_numbers_are_those_of_the_validation_report(document: Path) -> None:
    text = document.read_text("utf-8")
    assert evidence.renew(text) == text


def test_a_block_that_shows_another_output_fails(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("```console\n$ echo one\ntwo\n```\n")
    with pytest.raises(blocks.BlockFailed, match="two"):
        blocks.check(document)


def test_a_command_that_fails_fails(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("```sh\nfalse\n```\n")
    with pytest.raises(blocks.BlockFailed, match="exit 1"):
        blocks.check(document)


def test_the_two_commands_are_the_ones_that_ci_runs() -> None:
    bodies = [block.body for block in blocks.blocks(README)]
    assert any(
        "pip install -q -e ." in body and "netsim run --topology mpft --gpus 2048" in body for body in bodies
    )
    assert "make test\n" in bodies
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
