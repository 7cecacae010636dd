"""Files are complete or not there, and paths of one file are known as such."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from huenet import files
from huenet.files import claimed, identity, replacing
from tests.paths import REPOSITORY


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


def test_an_encoders_own_words_are_kept(tmp_path: Path) -> None:
    """Pillow's encoders raise an OSError of a text alone."""
    with pytest.raises(OSError) as caught, replacing(tmp_path / "a.webp"):
        raise OSError("encoding error 5")
    assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / "a.webp"), "encoding error 5")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(OSError) as caught, replacing(tmp_path / "folder.txt") as temporary:
        temporary.write_text("no")
    assert caught.value.filename == str(tmp_path / "folder.txt") and not list(tmp_path.glob(".*"))


def test_leftovers_of_the_killed_are_used_again(tmp_path: Path) -> None:
    (tmp_path / ".a.partial.txt").write_text("half a longer file")
    with replacing(tmp_path / "a.txt") as temporary:
        assert temporary.name == ".a.partial.txt" and temporary.read_bytes() == b""
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("b.txt"), lambda path: path.symlink_to(path.name)]
)
def test_what_else_has_the_name_of_a_temporary_file_is_let_be(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "b.txt").write_text("kept")
    make(tmp_path / ".a.partial.txt")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new" and (tmp_path / "b.txt").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 3


def test_longest_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 125 + ".txt")  # 254 bytes of at most 255
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert list(tmp_path.iterdir()) == [path]


def test_without_locks_no_two_writers_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_lock", lambda _: None)
    with replacing(tmp_path / "a.txt") as first, replacing(tmp_path / "a.txt") as second:
        assert first != second
        second.write_text("second")
        first.write_text("first")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "first"


WRITER = """
import sys, time, pathlib, huenet.files
with huenet.files.replacing(sys.argv[1]) as temporary, temporary.open("w") as file:
    for _ in range(20):
        file.write(sys.argv[2] * 1000)
        file.flush()
        print(temporary.name, flush=True)
        sys.stdin.readline()
"""


def test_two_processes_write_one_file_each_its_own(tmp_path: Path) -> None:
    """In turn, a part each; then one is killed."""
    path = tmp_path / "a.txt"
    start = lambda letter: subprocess.Popen(  # noqa: E731
        [sys.executable, "-c", WRITER, str(path), letter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    with start("x") as first, start("y") as second, start("z") as killed:
        for _ in range(20):
            names = {process.stdout.readline() for process in (first, second)}
            assert len(names) == 2
            for process in (first, second):
                process.stdin.write("\n")
                process.stdin.flush()
        killed.stdout.readline()
        killed.kill()
    assert path.read_text() in ("x" * 20_000, "y" * 20_000)
    assert len(list(tmp_path.iterdir())) == 2, "what the killed one left"
    for _ in range(3):
        with replacing(path) as temporary:
            temporary.write_text("new")
    assert len(list(tmp_path.iterdir())) <= 2


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


def test_parts_of_a_folder_are_claimed_apart(tmp_path: Path) -> None:
    again = pytest.raises(ValueError, match=f"process {os.getpid()}")
    with claimed(tmp_path), claimed(tmp_path, "one"), claimed(tmp_path, "other"), again, claimed(tmp_path, "one"):
        pass


@pytest.mark.parametrize("holder", [b"\xff\xfe", b"two\nlines"])
def test_a_damaged_name_of_the_holder_is_no_traceback(tmp_path: Path, holder: bytes) -> None:
    with claimed(tmp_path):
        (tmp_path / ".lock.holder").write_bytes(holder)
        with pytest.raises(ValueError, match=r"is being written by (another process|two lines): wait"), claimed(tmp_path):
            pass
