"""The site builds without a warning, and its reference names everything that is public."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import netsim
from documents import ROOT
from netsim.cli.app import COMMANDS, make_app
from netsim.specs.case import SECTIONS
from netsim.specs.keys import keys


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text("utf-8")
    group: Any = get_command(make_app(COMMANDS))
    for name, command in group.commands.items():
        assert f"netsim {name}" in page
        for parameter in command.params:
            assert all(option in page for option in parameter.opts), (name, parameter.opts)


def test_every_key_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "keys.html").read_text("utf-8")
    missing = [
        f"{section}.{key.name}"
        for section, model in SECTIONS.items()
        for key in keys(model)
        if f"{section}.{key.name}" not in page
    ]
    assert not missing


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text("utf-8")
    missing = [name for name in netsim.__all__ if not name.startswith("__") and f'.{name}"' not in page]
    assert not missing


def _fields(value: object, name: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _fields(entry, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        yield from _fields(value[0], f"{name}[]")
    else:
        yield name


def _documented(field: str, names: list[str]) -> bool:
    if field in names or any(name.endswith("[]") and field == name[:-2] for name in names):
        return True
    return any(field.startswith(name.rstrip("[]").rstrip("*")) for name in names if "*" in name)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--fault", "nic host0.0 down"),
        ("--set", "variation.compute_sigma=0.01"),
        ("--workload", "llama-3.1-8b"),
        ("--explain",),
    ],
    ids=lambda options: options[0] if options else "plain",
)
def test_every_field_of_the_record_is_documented(options: tuple[str, ...]) -> None:
    small = (
        "--gpus",
        "64",
        "--set",
        "parallelism.pipeline=1",
        "--schedule",
        "1f1b",
        "--set",
        "batch.microbatches=2",
    )
    words = ["run", "--json", "-q", *(("--gpus", "64") if "--workload" in options else small), *options]
    start = [sys.executable, "-c", "from netsim.cli import main; main()"]
    done = subprocess.run([*start, *words], capture_output=True, text=True, timeout=300, check=True)
    names = list(tomllib.loads(files("netsim.reports").joinpath("record.toml").read_text("utf-8")))
    missing = [field for field in _fields(json.loads(done.stdout)) if not _documented(field, names)]
    assert not missing
