"""Files that are complete whenever they are there, and that never replace what was read."""

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import secrets
import stat
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LONGEST = 200
"""Bytes of a name beyond which its temporary file is named by a hash: with what is added, it might be too long."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write that takes the place of `path` at the end, durably; if anything is raised, `path` stays as it was.

    It is empty, has the suffix of `path`, and is nobody else's: of two writers of one `path`, in whatever processes, each finishes
    a whole file, and the last one's stays. What a killed writer leaves behind is used again by the next. An ``OSError`` without the
    name of another file has that of `path`.
    """
    path = Path(path)
    temporary = None
    with contextlib.ExitStack() as held:
        try:
            temporary = _temporary(path, held)
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
        except BaseException as error:
            if temporary is not None:  # still held, so still ours
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename in (None, str(temporary), temporary):
                # as where a disk is full; an encoder of Pillow has no number, and a text as its only argument
                raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
            raise
    if os.name == "posix":
        _flush(path.parent)


def _temporary(path: Path, held: contextlib.ExitStack) -> Path:
    """A new, empty file beside `path`, locked until `held` is closed or the process dies.

    Names are numbered, and the first that nobody holds is taken. So leftovers of the killed are found, and are never more than
    there were writers at once: random names would pile up, since nothing but a lock tells whether their writer lives; with one name
    for all, two would write into one file. This is all that pictures need, each of which stands for itself, so that transfer keeps
    no lock in the folder it writes to; files that belong together are `claimed`.
    """
    stem = path.stem if len(os.fsencode(path.name)) <= LONGEST else hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    for number in itertools.count(1):
        temporary = path.with_name(f".{stem}.partial{number if number > 1 else ''}{path.suffix}")
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            if os.path.lexists(temporary):  # another user's, or no file at all
                continue
            raise OSError(error.errno, error.strerror, str(path)) from error
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, descriptor)
            locked, status = _lock(descriptor), os.fstat(descriptor)
            # neither a pipe, nor a file that somebody has just renamed
            if locked and stat.S_ISREG(status.st_mode) and identity(temporary) == _identity(status):
                os.ftruncate(descriptor, 0)
                held.push(opened.pop_all())
                return temporary
        if locked is None:  # no locks here: never half a file, then, rather than no leftovers
            temporary.unlink(missing_ok=True)
            return path.with_name(f".{stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    raise AssertionError("itertools.count ended")


def _lock(descriptor: int) -> bool | None:
    """Whether the file is now locked by this descriptor; None where there are no locks, as on some network drives."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def must_be_a_file(path: str | os.PathLike[str]) -> None:
    """Raises ``OSError`` for what is none: a pipe would have its reader wait for a writer, and a device may never end."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is a pipe, a socket or a device where a file is needed", str(path))


def identity(path: Path) -> tuple[int, int] | None:
    """Equal for paths of one file, by whatever folder, link, or letters where case does not count; None where there is none."""
    try:
        return _identity(path.stat())
    except OSError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def claimed(folder: Path, what: str = "") -> Iterator[None]:
    """While within, no other process may claim `what` of the folder, or all of it: ValueError names the one that holds it.

    A kill lets it go. The lock is a file ``.WHAT.lock`` that stays: one that is removed would be held by who opened it before and
    by who makes it anew. Parts have locks of their own, since a run may be evaluated into its own folder while it goes on.
    """
    name = f".{what}.lock" if what else ".lock"
    lock, holder = FileLock(folder / name), folder / f"{name}.holder"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"{folder} is being written by {_who(holder)}: wait for it, or choose another --out") from None
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
        with contextlib.suppress(OSError):  # a folder of that name, which `replacing` has told
            holder.unlink(missing_ok=True)
        lock.release()


def _who(holder: Path) -> str:
    """What the file says, which is damaged perhaps."""
    try:
        return " ".join(holder.read_text(encoding="utf-8").split()) if holder.is_file() else "another process"
    except (OSError, ValueError):
        return "another process"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
