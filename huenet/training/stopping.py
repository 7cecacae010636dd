"""What ends a run before its last step: Ctrl-C, SIGTERM, or its time limit."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Literal

from .distributed import World

Reason = Literal["time"] | signal.Signals
TIME_IS_UP = 2**31
"""Beside the numbers of signals, when processes compare why they would stop."""


def agreed_reason(world: World, caught: list[signal.Signals], late: bool) -> Reason | None:
    """Why all processes should stop now, because one of them caught a signal or is ``late``; the same in each of them."""
    number = world.max(caught[0] if caught else TIME_IS_UP if late else 0)
    return None if number == 0 else "time" if number == TIME_IS_UP else signal.Signals(number)


@contextlib.contextmanager
def caught_signals() -> Iterator[list[signal.Signals]]:
    """A list that Ctrl-C and SIGTERM add themselves to instead of ending the process; a second one ends it as ever."""
    caught: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may install handlers
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # what whoever started this process had it ignore (a shell's background job: SIGINT) stays ignored
    previous = {number: handler for number, handler in previous.items() if handler is not signal.SIG_IGN}

    def remember(number: int, _: FrameType | None) -> None:
        caught.append(signal.Signals(number))
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, remember)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
