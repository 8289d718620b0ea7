"""The cache of compiled kernels: damaged files are dropped, and some folder is found where the package is read-only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: a module with one kernel, as the package has many
MODULE = """
from netsim.kernels import njit


@njit(cache=True)
def double(x):
    return 2.0 * x


if __name__ == "__main__":
    print(double(21.0), sum(double.stats.cache_hits.values()))
"""

#: numba looks nowhere but in the folder that is given
ONLY_GIVEN = """
from numba.core import caching
given = next(each for name, each in vars(caching).items() if name.endswith("UserProvidedCacheLocator"))
caching.CacheImpl._locator_classes = [given]
"""


def _run(folder: Path, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "one_kernel.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "one_kernel.py").write_text(MODULE)
    return tmp_path


def test_a_kernel_is_compiled_once(module: Path) -> None:
    assert [_run(module).stdout.split() for _ in range(2)] == [["42.0", "0"], ["42.0", "1"]]


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x05K\x01."], ids=["empty", "garbage", "other"])
def test_a_damaged_file_is_dropped_and_the_kernel_compiled_again(
    module: Path, ending: str, content: bytes
) -> None:
    assert _run(module).returncode == 0
    files = list(module.rglob(f"*.{ending}"))
    assert files
    for path in files:
        path.write_bytes(content)
    again = _run(module)
    assert (again.stdout.split(), again.stderr) == (["42.0", "0"], "")
    assert _run(module).stdout.split() == ["42.0", "1"]


def test_without_a_folder_to_write_a_temporary_one_is_used(module: Path) -> None:
    """As in a container with a read-only root and no home: only a folder that is given can be written."""
    name = module / "one_kernel.py"
    name.write_text(ONLY_GIVEN + MODULE)
    own = module / "tmp"
    own.mkdir()
    environment = {**os.environ, "TMPDIR": str(own)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = [_run(module, env=environment) for _ in range(2)]
    assert [run.stdout.split() for run in done] == [["42.0", "0"], ["42.0", "1"]], done[0].stderr
    (folder,) = own.iterdir()
    assert folder.name.startswith("netsim-kernels-")
    assert not folder.stat().st_mode & 0o077
    folder.chmod(0o777)  # others could write what is run: another folder is used
    assert _run(module, env=environment).stdout.split() == ["42.0", "0"]
