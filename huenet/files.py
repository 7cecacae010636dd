"""Files that are complete whenever they are there, and that never replace what was read."""

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write that takes the place of `path` at the end, durably; if anything is raised, `path` stays as it was.

    Its name is fixed, so that what a killed writer leaves behind is overwritten by the next; its suffix is that of `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # as where a disk is full
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        _flush(path.parent)


def identity(path: Path) -> tuple[int, int] | None:
    """Equal for paths of one file, by whatever folder, link, or letters where case does not count; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """While within, no other process may claim the folder: ValueError names the one that holds it. A kill lets it go."""
    lock, holder = FileLock(folder / ".lock"), folder / ".lock.holder"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        by = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise ValueError(f"{folder} is being written by {by}: wait for it, or choose another --out") from None
    except NotImplementedError:  # what filelock raises where the file system has no locks, as some network drives
        warnings.warn(f"{folder} is on a file system without locks: see that nothing else writes there", stacklevel=2)
        yield
        return
    try:
        with replacing(holder) as temporary:
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            temporary.write_text(f"process {os.getpid()} on {platform.node()} since {started}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
