"""Files are complete or not there, and paths of one file are known as such."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from huenet.files import claimed, identity, replacing


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


def test_a_folder_is_claimed_by_one_process_until_it_ends_however(tmp_path: Path) -> None:
    script = f"""
import time, pathlib, huenet.files
with huenet.files.claimed(pathlib.Path({str(tmp_path)!r})):
    print("claimed", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(ValueError, match=f"is being written by process {other.pid} on .* since 20"), claimed(tmp_path):
            pass
        other.kill()
    for _ in range(2):
        with claimed(tmp_path), pytest.raises(ValueError, match=f"process {os.getpid()}"), claimed(tmp_path):
            pass
