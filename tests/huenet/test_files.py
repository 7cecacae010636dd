"""Files are complete or not there, and paths of one file are known as such."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from huenet.files import identity, replacing


def test_what_is_written_replaces_or_leaves(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("one", "two"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.suffix == ".txt" and (text == "one" or path.read_text() == "one")
        assert path.read_text() == text
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "two" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_by_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"a\.txt"), replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_identity(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert identity(path) is None
    path.touch()
    (tmp_path / "link").symlink_to(path)
    os.link(path, tmp_path / "hard")
    (tmp_path / "b.txt").touch()
    same = {identity(other) for other in (path, tmp_path / "link", tmp_path / "hard", tmp_path / ".." / tmp_path.name / "a.txt")}
    assert len(same) == 1 and identity(tmp_path / "b.txt") not in same
