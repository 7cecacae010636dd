"""`make matrix`: a short suite with other versions of torch, Triton and Python, into the table of docs/versions.md.

Each leg has a new environment, which is removed before the next, as CUDA builds of torch take gigabytes. Rows are written as they
come.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.matrix.legs import Leg, constraints, legs
from tests.matrix.page import PAGE, written
from tests.paths import REPOSITORY

SUITE = {
    "operators": "tests/kernels/test_histograms.py tests/kernels/test_emd.py tests/kernels/test_mutual_information.py "
    "tests/kernels/test_squared_mutual_information.py tests/kernels/common/test_operator.py tests/kernels/common/test_ranges.py",
    "compiled": "tests/kernels tests/huenet/losses/test_dynamic.py -k compile",
    "interpreted": "tests/interpreted/test_histograms.py tests/interpreted/test_first_use.py tests/interpreted/test_wide.py",
    "training": "tests/huenet/cli/test_train.py",
}
"""Pytest's arguments by what they are told as."""
_TELL = "import sys, numpy, torch, triton; print(torch.__version__, triton.__version__, sys.version.split()[0], numpy.__version__)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--only", default="", help="legs whose names match this regular expression: 'torch 2.11', 'Python 3.13'")
    parser.add_argument("--environment", help="run with this interpreter, as it is, instead of installing anything")
    parser.add_argument("--scratch", help="folder for the environments: up to 6 GB, one at a time")
    parser.add_argument("--list", action="store_true", help="name the legs, and run none")
    options = parser.parse_args()
    if options.environment:
        row = suite(options.environment)
        _write([row], None)
        return _failed(row)
    found, missing = legs(getattr(sys, "_base_executable", sys.executable), str(Path(sys.prefix, "bin", "pip")))
    chosen = [leg for leg in found if re.search(options.only, str(leg))]
    if options.list:
        print("\n".join([*map(str, chosen), *missing]))
        return 0
    failed = 0
    for leg in chosen:
        print(f"--- {leg}", flush=True)
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            python, complaint = installed(leg, Path(folder))
            if complaint:
                missing.append(f"{leg}: {complaint}")
                print(missing[-1], flush=True)
                continue
            row = suite(python)
        failed |= _failed(row)
        _write([row], None)
    _write([], missing if not options.only else None)
    return failed


def installed(leg: Leg, folder: Path) -> tuple[str, str]:
    """An interpreter with the leg's versions, and why it could not be made, "" if it was."""
    python, held = str(folder / "environment" / "bin" / "python"), folder / "constraints.txt"
    held.write_text(constraints())
    asked = [python, "-m", "pip", "install", "-q", "--no-cache-dir", "--constraint", str(held), *leg.requirements()]
    for command in ([leg.python, "-m", "venv", str(folder / "environment")], asked):
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(folder)})
        if done.returncode:
            errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR")] or ["cannot be made"]
            return python, errors[-1].removeprefix("ERROR: ")[:200]
    return python, ""


def suite(python: str) -> dict[str, str]:
    """A row of the table: the versions, and how many tests passed and failed."""
    told = subprocess.run([python, "-c", _TELL], cwd=REPOSITORY, capture_output=True, text=True)
    if told.returncode:
        raise SystemExit(f"{python} lacks torch, triton or numpy: {told.stderr.strip().splitlines()[-1]}")
    row = dict(zip(("torch", "triton", "Python", "numpy"), told.stdout.split()))
    for name, arguments in SUITE.items():
        row[name] = outcome(python, arguments, interpreted=name == "interpreted")
        print(f"{row['torch']}, {row['triton']}, Python {row['Python']}: {name}: {row[name]}", flush=True)
    row["date"] = datetime.date.today().isoformat()
    row["commit"] = commit()
    return row


def commit() -> str:
    """The commit that is tried, and whether files are not as it has them: others than the page, which rows are written into."""
    git = ["git", "-C", str(REPOSITORY)]
    name = subprocess.run([*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{PAGE.relative_to(REPOSITORY)}"]
    return name + "-dirty" * bool(subprocess.run(changed, capture_output=True, text=True).stdout)


def outcome(python: str, arguments: str, interpreted: bool) -> str:
    """Pytest's last line, as `40 passed, 0 failed`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"TRITON_INTERPRET": "1"} if interpreted else {})
    command = [python, "-m", "pytest", "-q", "--override-ini", "addopts=--import-mode=importlib -ra -p no:cacheprovider"]
    done = subprocess.run([*command, *arguments.split()], cwd=REPOSITORY, capture_output=True, text=True, env=environment)
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            print(line, flush=True)
    counts = {
        kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|error)", (done.stdout.splitlines() or [""])[-1])
    }
    if not counts:
        print(done.stdout[-2000:], done.stderr[-2000:], flush=True)
        return "did not run"
    failed = counts.get("failed", 0) + counts.get("error", 0)
    return f"{counts.get('passed', 0)} passed, {failed} failed"


def _failed(row: dict[str, str]) -> int:
    return int(any(not row[name].endswith(" 0 failed") for name in SUITE))


def _write(rows: list[dict[str, str]], missing: list[str] | None) -> None:
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), rows, missing), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
