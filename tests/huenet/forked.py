"""The command line in forked processes: as many as one likes, without importing torch each time."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo
from PIL import Image

import huenet.color_transfer.evaluation
import huenet.color_transfer.figures
import huenet.color_transfer.system
import huenet.experiments.consistency
import huenet.experiments.contextual
import huenet.experiments.harmonic
import huenet.experiments.histogan
import huenet.experiments.registration
import huenet.experiments.structure
import huenet.training.run
import huenet.translation.system
import huenet.translation.translator  # noqa: F401  all of these are loaded before forking
from huenet.cli import main


@dataclass
class Ending:
    """`code` is negative for a signal, None where the time was up."""

    code: int | None
    printed: str
    errors: str
    seconds: float
    memory: int


def get_ready() -> None:
    """What else would be done in every process anew; and threads of torch would not survive forking."""
    torch.set_num_threads(1)
    Image.init()


def start(work: Callable[[], int | None], errors: Path, printed: Path | None = None) -> int:
    """A process that does the work and ends with the code it returns; what is said goes to files. Returns its number."""
    process = os.fork()
    if process == 0:
        _work(work, errors, errors if printed is None else printed)
    return process


def wait(process: int, errors: Path, printed: Path | None = None, seconds: float = 120.0) -> Ending:
    """How it ends; killed after so many seconds."""
    started, code = time.monotonic(), None
    while time.monotonic() - started < seconds:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.003)
    else:
        os.kill(process, signal.SIGKILL)
        _, _, used = os.wait4(process, 0)
    said = ("" if file is None else file.read_text(encoding="utf-8", errors="replace") for file in (printed, errors))
    return Ending(code, *said, time.monotonic() - started, used.ru_maxrss << 10)


def command(arguments: list[str], place: Path, memory: int | None = None) -> Callable[[], int | None]:
    """`huenet` with these arguments in a folder, where it may map so many bytes beyond what torch itself does."""

    def work() -> int | None:
        os.chdir(place)
        if memory is not None:
            mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, mapped + memory))
        return main(arguments)

    return work


def _work(work: Callable[[], int | None], errors: Path, printed: Path) -> None:
    """Does not return."""
    code: object = 1
    try:
        for path, descriptor in ((printed, 1), (errors, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), descriptor)
        sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", closefd=False) for descriptor in (1, 2))
        _usual_warnings()
        code = work() or 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _usual_warnings() -> None:
    """As in a fresh interpreter, whatever pytest has made of it."""
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.showwarning = lambda *about, **_: print(warnings.formatwarning(*about[:4]), file=sys.stderr)
