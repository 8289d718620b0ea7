"""Every example runs as a reader would run it."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
JOBS = sorted(EXAMPLES.glob("*.toml"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs(script: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("toml", JOBS, ids=lambda path: path.stem)
def test_toml_runs_with_the_command_that_it_names(toml: Path, tmp_path: Path) -> None:
    first = toml.read_text("utf-8").splitlines()[0]
    assert first.startswith("# netsim ")
    words = first.removeprefix("# netsim ").replace(f"examples/{toml.name}", str(toml)).split()
    start = [sys.executable, "-c", "from netsim.cli import main; main()"]
    done = subprocess.run(
        [*start, *words], capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
