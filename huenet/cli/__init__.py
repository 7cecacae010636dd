"""The command line. A user's mistake ends in one line on stderr and exit code 2; a traceback means a bug.

A command is a file with a dataclass: its docstring is the help, its fields are the options, and `execute` does what it says and
returns the exit code. What takes seconds to import, torch above all, is imported there: `huenet --help` answers at once.
"""

import io
import os
import sys
from collections.abc import Sequence

from .arguments import parse
from .mistakes import Mistake, in_one_line, our_warnings, out_of_memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 after an error that is told in one line, 130 after Ctrl-C."""
    # Threads that spin while they wait for each other come to a crawl where other programs want the cores too: with two busy
    # neighbours on two cores, a training step took four times as long. Torch's OpenMP reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Pillow, which reads this when it is loaded, keeps a huge photo in blocks of up to 16 MB, and the C library keeps those once
    # they are freed: as much memory as another copy. Blocks above 32 MB it gives back at once.
    os.environ.setdefault("PILLOW_BLOCK_SIZE", "64m")
    # Torch's profiler tells on stderr when it begins and ends, below this level of its log, which it reads when it is loaded.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may have letters that the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        with our_warnings(), out_of_memory():
            return command.execute()
    except BrokenPipeError:  # whoever read our output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Mistake, OSError) as error:
        print(f"huenet: error: {in_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("huenet: interrupted", file=sys.stderr)
        return 130
