"""The README and the tutorial are short, in short sentences, and pass a prose linter."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
WORDS_OF_THE_README = 700
WORDS_OF_A_SENTENCE = 30
#: words that a reader met instead of plain English
FOREIGN = r"\b(as quick|asks the same again|a second hand|\$ an hour|tokens a second|GB a second)\b"


def prose(text: str) -> str:
    """The sentences of a page: no code, tables, comments, pictures; links by their text; headings and items end."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    lines = []
    for line in text.splitlines():
        if line.startswith("|"):
            continue
        item = re.match(r"(#+|[-*]|\d+\.) ", line)
        lines.append(("\n\n" + line[item.end() :]) if item else line)
    return "\n".join(lines)


def sentences(text: str) -> list[str]:
    parts = re.split(r"\n\s*\n|(?<=[.?!:;])\s+(?=[A-Z`*\"(]|netsim)", prose(text))
    return [" ".join(part.split()) for part in parts if part.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_are_short(page: Path) -> None:
    long = [s for s in sentences(page.read_text("utf-8")) if len(s.split()) > WORDS_OF_A_SENTENCE]
    assert not long


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= WORDS_OF_THE_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_prose_linter_is_silent(page: Path, tmp_path: Path) -> None:
    """proselint with the checks of `proselint.json`: all but typography, and what is not about technical prose."""
    text = prose(re.sub(r"^#.*$", "", page.read_text("utf-8"), flags=re.M))
    (tmp_path / "prose.md").write_text(text, "utf-8")
    config = Path(__file__).parent / "proselint.json"
    command = [
        sys.executable,
        "-m",
        "proselint",
        "--config",
        str(config),
        "check",
        str(tmp_path / "prose.md"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_plain_english(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(FOREIGN, text)


def test_a_long_sentence_is_found() -> None:
    assert len(sentences("Word " * 31 + ".")[0].split()) > WORDS_OF_A_SENTENCE
