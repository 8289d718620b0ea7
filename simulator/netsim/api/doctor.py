"""What this machine brings: versions, cores, memory, the cache of compiled kernels, GPUs, and the missing extras.

Nothing is simulated, and nothing is written but an empty file to see whether the cache can be.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import netsim

DISTRIBUTION = "netsim-codesign"
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[[^\]]*\])?\s*(>=(?P<least>[\w.]+))?.*?(extra == ['\"](?P<extra>[\w-]+)['\"])?$"
)


def doctor() -> dict[str, Any]:
    """Facts about the installation, as a record; `problems` is empty where everything is as it should be."""
    packages, extras = _packages()
    cache = _cache()
    problems = [
        f"{row['package']} {row['installed']} is installed, {row['needed']} is needed"
        for row in packages
        if row["installed"] is None or _version(row["installed"]) < _version(row["needed"] or "0")
    ]
    if not cache["writable"]:
        problems.append(
            f"compiled kernels cannot be kept in {cache['folder']}: every run compiles for about 20 s"
        )
    return {
        "netsim": netsim.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "cache": cache,
        "gpus": _gpus(),
        "packages": packages,
        "extras": extras,
        "problems": problems,
    }


def _packages() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    packages: list[dict[str, Any]] = []
    missing: dict[str, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or []:
        found = _REQUIREMENT.match(requirement)
        if found is None or found["name"] == DISTRIBUTION:
            continue
        installed = _installed(found["name"])
        if found["extra"] is None:
            packages.append({"package": found["name"], "installed": installed, "needed": found["least"]})
        else:
            lacking = missing.setdefault(found["extra"], [])
            lacking.extend([] if installed else [found["name"]])
    extras = [{"extra": extra, "missing": lacking} for extra, lacking in missing.items()]
    return packages, extras


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _cache() -> dict[str, Any]:
    """Where compiled kernels are kept, how many there are, and whether more can be kept."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(netsim.__file__).parent
    kernels = sum(1 for _ in folder.rglob("*.nbi")) if folder.is_dir() else 0
    place = folder if folder.is_dir() else folder.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            writable = True
    except OSError:
        writable = False
    return {"folder": str(folder), "kernels": kernels, "writable": writable}


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _gpus() -> list[str]:
    """Names of the NVIDIA GPUs at hand; empty without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
