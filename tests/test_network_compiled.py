"""Kernels that numba keeps on disk are forgotten when any source that they may hold a part of is newer."""

import os
from pathlib import Path

from netsim.network.compiled import forget_outdated


def made(path: Path, second: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    os.utime(path, (second, second))
    return path


def test_a_kernel_older_than_a_source_of_another_file_is_forgotten(tmp_path: Path) -> None:
    callee, caller = made(tmp_path / "callee.py", 30), made(tmp_path / "caller.py", 10)
    old, new = (
        made(tmp_path / "__pycache__/caller.f.nbi", 20),
        made(tmp_path / "__pycache__/callee.g.nbi", 40),
    )
    assert forget_outdated(tmp_path, (tmp_path,)) == 1
    assert not old.exists()
    assert new.exists()
    assert caller.exists()
    assert callee.exists()
    assert forget_outdated(tmp_path, (tmp_path,)) == 0


def test_a_source_elsewhere_counts_and_a_folder_without_kernels_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    index = made(tmp_path / "a/__pycache__/caller.f.nbi", 20)
    assert forget_outdated(tmp_path / "a", (made(tmp_path / "other.py", 15),)) == 0
    assert forget_outdated(tmp_path / "a", (made(tmp_path / "other.py", 25),)) == 1
    assert not index.exists()
    assert forget_outdated(tmp_path / "b", (tmp_path / "none.py",)) == 0
