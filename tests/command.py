"""The command in a process of its own."""

import subprocess
import sys
from pathlib import Path


def netsim(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `netsim` with these arguments; what it printed and its exit status."""
    command = [sys.executable, "-c", "from netsim.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, check=False)
