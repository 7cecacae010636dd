"""Files go bad in many ways: what does the command line make of it?

    make mangle CASES=500 SEED=0
    python -m tests.huenet.mangled --seed 0 --case 137     # one case again, whose folder is kept

Each case puts one mangled file - a photo, a checkpoint, a table, a lock - before a command. It must end with whole outputs, or with
one line that names the file and exit code 2; without a traceback, within limits of time and memory, with nothing half-written.
"""

from __future__ import annotations

import argparse
import collections
import shutil
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from tests.huenet import forked
from tests.huenet.mangled import cases, faults


def examine(good: Path, place: Path, seed: int, number: int) -> tuple[cases.Case, forked.Ending, list[str]]:
    """Run a case in the new folder `place`; returns what is wrong, too."""
    case = cases.prepare(good, place, seed, number)
    before = faults.snapshot(place)
    content = case.mangled.read_bytes() if faults.is_plain(case.mangled) else None
    errors, printed = place.with_name("errors"), place.with_name("printed")
    process = forked.start(forked.command(case.arguments, place, faults.MEMORY), errors, printed)
    ending = forked.wait(process, errors, printed, faults.SECONDS)
    return case, ending, faults.faults(case, ending, place, before, content)


def told(case: cases.Case, ending: forked.Ending) -> str:
    about = f"{case.how}: {case.mangled.parent.name}/{case.mangled.name[:40]!r}; huenet {' '.join(case.arguments)[:150]}"
    return f"{about}\n    exit code {ending.code}, {ending.seconds:.1f} s, {ending.memory >> 20} MB\n{ending.errors[-1500:]}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this one, and keep its folder")
    options = parser.parse_args(arguments)
    forked.get_ready()
    place = Path(tempfile.mkdtemp(prefix="mangled"))
    ended: collections.Counter[str] = collections.Counter()
    failed, slowest, largest = 0, 0.0, 0
    made = forked.wait(forked.start(lambda: cases.ground(place / "good"), place / "errors"), place / "errors")
    assert made.code == 0, made.errors
    numbers = range(options.cases) if options.case is None else [options.case]
    for number in tqdm(numbers, "mangled", unit="case", disable=None):
        case, ending, found = examine(place / "good", place / "case", options.seed, number)
        ended[{0: "handled", 2: "refused"}.get(ending.code, "broken")] += 1
        slowest, largest = max(slowest, ending.seconds), max(largest, ending.memory)
        failed += bool(found)
        if found or options.case is not None:
            again = f"python -m tests.huenet.mangled --seed {options.seed} --case {number}"
            tqdm.write(f"case {number}, {again}\n    {told(case, ending)}")
            tqdm.write("".join(f"    WRONG: {fault}\n" for fault in found))
        if options.case is None:
            shutil.rmtree(place / "case")
    most = f"slowest {slowest:.1f} s, most {largest >> 20} MB"
    print(f"{len(numbers)} cases, seed {options.seed}: {dict(ended)}, {failed} wrong; {most}")
    if options.case is None:
        shutil.rmtree(place)
    else:
        print(f"kept in {place / 'case'}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
