"""What only the user can put right, and how it is told."""

import contextlib
import errno
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")
"""What torch says on a CPU of tensors that are too large for the machine, and for any."""


OF_TRAINING = ("matplotlib", "scipy", "skimage", "tensorboard")
"""What the extra `train` installs, by the names of import: for training, measuring and figures, not for painting."""


class Mistake(Exception):
    """Something only the user can put right; the message says what."""


@contextlib.contextmanager
def user_input() -> Iterator[None]:
    """Around what reads or checks a user's input: a ``ValueError`` is the user's mistake there, not ours."""
    try:
        yield
    except ValueError as error:
        raise Mistake(str(error)) from error


def needs_extra(command: str) -> None:
    """Raises `Mistake` where what the extra `train` installs is not there, before any work is done in vain."""
    missing = [name for name in OF_TRAINING if importlib.util.find_spec(name) is None]
    if missing:
        raise Mistake(f"huenet {command} needs {', '.join(missing)}, not installed here: pip install 'huenet[train]'")


def must_be_writable(folder: Path) -> None:
    """Make the folder. Raises ``OSError`` if nothing can be written there, before any work is done in vain."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def outputs_are_not_inputs(out: Path, data: Path, recursive: bool = False, option: str = "--out") -> None:
    """Raises `Mistake` where pictures written to `out` would count as photos of the folder `data` the next time."""
    place, photos = (Path(os.path.realpath(path)) for path in (out, data))  # which, unlike Path.resolve, bears links in a circle
    if place == photos or (recursive and photos in place.parents):
        raise Mistake(f"{out} is among the photos of {data}, for one of which its pictures would be taken: choose another {option}")


@contextlib.contextmanager
def out_of_memory() -> Iterator[None]:
    """Settings too large for this machine are the user's mistake; on a CPU torch has no exception of its own for them."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        torch = sys.modules.get("torch")
        ours = isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError))
        if not ours and not any(text in str(error) for text in TOO_LARGE):
            raise
        what = str(error).split("CPUAllocator: ")[-1].split(". ")[0]
        what = f" ({what})" if what else ""
        raise Mistake(f"out of memory{what}: smaller pictures, batches, widths or bins need less") from error


@contextlib.contextmanager
def our_warnings() -> Iterator[None]:
    """Show this package's warnings as one line each, Pillow's too, with the file that it reads; leave others as they are."""
    from tqdm import tqdm

    usual, package, told = warnings.showwarning, Path(__file__).parents[1], set()

    def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any) -> None:
        text = " ".join(str(message).split())
        if (reading := _read_by_pillow(filename)) is not None:
            text = f"{' '.join(reading.split())}: {text}"
        elif package not in Path(filename).parents:
            return usual(message, category, filename, *rest)
        if text not in told:
            told.add(text)
            tqdm.write(f"huenet: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", module=r"PIL\.")  # the same may be said of another file
        warnings.showwarning = show
        yield


def _read_by_pillow(filename: str) -> str | None:
    """The image that a warning is about, where it comes from a file of Pillow's."""
    images = sys.modules.get("huenet.data.images")
    return images.READING.get() if images is not None and "PIL" in Path(filename).parts else None


def in_one_line(error: Exception) -> str:
    """An error's message; of one of the operating system, the file's name, which may have line breaks, and the reason."""
    if not isinstance(error, OSError) or not error.strerror:
        return " ".join(str(error).split())
    # what is written to files is told with their names: without one, it is printed
    name = "standard output" if error.filename is None and error.errno == errno.ENOSPC else error.filename
    return " ".join(f"{'' if name is None else f'{name}: '}{error.strerror}".splitlines())
