"""Run the code blocks of the documents, and compare or renew the output that they show.

A document runs from top to bottom in one empty folder:

* ```` ```console ````: lines that start with `$ ` run in bash; below a command stands its output, which must be equal;
* ```` ```sh ````: every line runs in bash, and only its exit status counts;
* ```` ```python ````: runs with the names that earlier blocks of the document left;
* ```` ```pycon ````: a doctest session;
* any other language with `title="NAME"`: is written to the file NAME.

`<!-- skip: why -->` on the line before a block leaves it out (it needs a GPU, or files of the reader);
`<!-- slow -->` leaves it to the slow tests.

`python docs/tools/blocks.py [DOCUMENT ...]` rewrites the shown output of the console blocks.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "reference" not in path.parts),
]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>slow|skip: [^\n]*?) -->\n)?^```(?P<language>\w+)(?P<options>[^\n]*)\n(?P<body>.*?)^```$",
    re.S | re.M,
)
WIDTH = "120"  # columns of the shown output
SECONDS = 600  # no command of a document may take longer


@dataclass(frozen=True)
class Block:
    """One fenced block: `mark` is "", "slow" or "skip: why"; `start` and `end` frame the body in the document."""

    language: str
    title: str
    mark: str
    body: str
    start: int
    end: int


class BlockFailed(AssertionError):
    """A block failed, or shows another output than the one it has."""


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    for found in FENCE.finditer(text):
        title = re.search(r'title="([^"]+)"', found["options"])
        name = title[1] if title else ""
        yield Block(found["language"], name, found["mark"] or "", found["body"], *found.span("body"))


def commands(body: str) -> Iterator[tuple[str, str]]:
    """The (command, shown output) pairs of a console block; a command ends its line with a backslash to continue."""
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        lines = part.splitlines(keepends=True)
        length = 1
        while lines[length - 1].endswith("\\\n"):
            length += 1
        yield "".join(lines[:length]), "".join(lines[length:])


def shell(command: str, folder: Path) -> str:
    """The output of a command in bash; BlockFailed if it exits with anything but 0 (`; echo` shows another status)."""
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "COLUMNS": WIDTH, "TERM": "dumb", "NO_COLOR": "1"}
    environment["PATH"] = scripts + os.pathsep + environment["PATH"]
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise BlockFailed(f"$ {command}exit {done.returncode}\n{done.stdout}{done.stderr}")
    return re.sub(r"[ \t]+$", "", done.stdout, flags=re.M)


def renew(text: str, slow: bool = True) -> str:
    """The document with its console blocks showing what the commands print now."""
    pieces, done, names = [], 0, {"__name__": "__document__"}
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks(text):
            shown = _run(block, Path(folder), names, slow)
            pieces += [text[done : block.start], shown]
            done = block.end
    return "".join([*pieces, text[done:]])


def _run(block: Block, folder: Path, names: dict[str, str], slow: bool) -> str:
    if block.mark.startswith("skip") or (block.mark == "slow" and not slow):
        return block.body
    if block.language == "console":
        return "".join(f"$ {command}{shell(command, folder)}" for command, _ in commands(block.body))
    if block.language == "sh":
        shell("set -e\n" + block.body, folder)
    elif block.language in ("python", "pycon"):
        _python(block, folder, names)
    elif block.title:
        (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.title).write_text(block.body, "utf-8")
    return block.body


def _python(block: Block, folder: Path, names: dict[str, str]) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        if block.language == "python":
            exec(compile(block.body, "document", "exec"), names)
            return
        test = doctest.DocTestParser().get_doctest(block.body, dict(names), "document", None, 0)
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        if runner.run(test, out=report.append, clear_globs=False).failed:
            raise BlockFailed("".join(report))
        names.update(test.globs)
    finally:
        os.chdir(before)


def check(document: Path, slow: bool = False) -> None:
    """Run a document's blocks; BlockFailed names the first that fails or shows another output."""
    text = document.read_text("utf-8")
    now = renew(text, slow)
    for old, new in zip(text.splitlines(), now.splitlines(), strict=False):
        if old != new:
            raise BlockFailed(f"{document.name} shows\n  {old}\nand the command prints\n  {new}")
    if text != now:
        raise BlockFailed(f"{document.name}: the shown output ends elsewhere")


if __name__ == "__main__":
    for name in sys.argv[1:] or [str(document) for document in DOCUMENTS]:
        path = Path(name)
        old = path.read_text("utf-8")
        if old != (new := renew(old)):
            path.write_text(new, "utf-8")
            print(f"renewed {path}")
