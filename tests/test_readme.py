"""Every command of the README runs as it stands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("netsim ")]
#: what costs more than 5 s of CPU, and why
SLOW = {
    "131072": "a graph of 131,072 GPUs",
    "netsim validate": "every published number",
    "netsim compare": "a step for each fabric and resource, or for each choice",
    "netsim claims": "a step for each choice and rate of NICs",
    "netsim optimize": "three simulated designs",
    "netsim goodput": "a step for each part that slows it",
    "--explain": "four more steps",
    "expert_load": "no two ranks alike",
    "--routing ecmp": "no two flows alike",
    "--fault": "a step for each fault, without folding around it",
    "netsim sweep --topology": "a step for each point",
}
#: needs a GPU, or a file of the reader
ELSEWHERE = ("netsim measure", "netsim calibrate")


def _mark(command: str) -> object:
    marks = [pytest.mark.slow] if any(word in command for word in SLOW) else []
    return pytest.param(command, marks=marks, id=re.sub(r"\s*#.*", "", command))


@pytest.mark.parametrize("command", [_mark(c) for c in COMMANDS if not any(w in c for w in ELSEWHERE)])
def test_command_of_the_readme(command: str, tmp_path: Path) -> None:
    words = shlex.split(command, comments=True)
    start = [sys.executable, "-c", "from netsim.cli import main; main()"]
    done = subprocess.run(
        [*start, *words[1:]], capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    # validate exits with 1 when a published number is missed, which is a finding and not a failure
    assert done.returncode in ((0, 1) if words[1] == "validate" else (0,)), done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_the_two_commands_are_the_ones_that_ci_runs() -> None:
    assert any(
        "pip install -q -e ." in block and "netsim run --topology mpft --gpus 2048" in block
        for block in BLOCKS
    )
    assert "make test\n" in BLOCKS
    assert "make test" in (README.parent / ".ci" / "run").read_text("utf-8")
