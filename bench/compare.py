"""Two runs of one machine compared case by case: what became slower, larger or wrong."""

import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import tables
from .machine import REPOSITORY
from .results import load

KEYS = ("operator", "side", "batch", "bins", "bandwidth", "stride", "dtype", "image")
#: memory that may be added before it counts: the process's own pages come and go
MEMORY_SLACK = 4 << 20
OURS = ("triton", "torch")


@dataclasses.dataclass(frozen=True)
class Change:
    """One provider on one case, before and after."""

    label: str
    provider: str
    before: dict[str, Any]
    after: dict[str, Any]
    regression: str | None

    @property
    def ratio(self) -> float | None:
        """Time after over time before, None unless both were timed."""
        if self.before["status"] != "timed" or self.after["status"] != "timed":
            return None
        return self.after["both"]["median"] / self.before["both"]["median"]


def compare(before: dict[str, Any], after: dict[str, Any], threshold: float, providers: tuple[str, ...] = OURS) -> list[Change]:
    """Changes of the providers on the cases that both runs have.

    A regression is a median time or peak memory that grew by more than `threshold` (0.1: a tenth), for times only if the quartiles
    do not overlap either, so that noise is none; or a case that no longer gives a time. Raises ValueError without common cases.
    """
    known = {tuple(case[key] for key in KEYS): case for case in before["cases"]}
    changes = []
    for case in after["cases"]:
        earlier = known.get(tuple(case[key] for key in KEYS), {"rows": {}})["rows"]
        for name in providers:
            if name in case["rows"] and name in earlier:
                rows = earlier[name], case["rows"][name]
                changes.append(Change(f"{case['operator']}, {case['label']}", name, *rows, _regression(*rows, threshold)))
    if not changes:
        raise ValueError("the two runs have no case in common that both measured")
    return changes


def _regression(before: dict[str, Any], after: dict[str, Any], threshold: float) -> str | None:
    if before["status"] != "timed":
        return None
    if after["status"] != "timed":
        return f"{after['status']}: {after['reason']}"
    found = []
    for part in [part for part in ("forward", "backward", "both") if part in before and part in after]:
        old, new = before[part], after[part]
        if new["median"] > (1 + threshold) * old["median"] and new["p25"] > old["p75"]:
            found.append(f"{part} {new['median'] / old['median']:.2f} times as long")
    old, new = before["peak_bytes"], after["peak_bytes"]
    if old is not None and new is not None and new > (1 + threshold) * old + MEMORY_SLACK:
        found.append(f"{new / max(old, 1):.2f} times the memory")
    return ", ".join(found) or None


def report(before: dict[str, Any], after: dict[str, Any], changes: list[Change], threshold: float) -> str:
    """Both runs, a table of the changes, and the regressions."""
    lines = [f"before: {tables.where(before)}", f"after:  {tables.where(after)}", ""]
    if before["machine"]["name"] != after["machine"]["name"]:
        lines += ["The runs are from different machines: times do not compare.", ""]
    rows = []
    for change in changes:
        ratio = "" if change.ratio is None else f"{change.ratio:.2f}"
        rows.append([change.label, change.provider, _time(change.before), _time(change.after), ratio, change.regression or ""])
    lines.append(tables.markdown(["case", "provider", "before", "after", "ratio", "regression"], rows))
    bad = [change for change in changes if change.regression]
    lines += ["", f"{len(bad)} of {len(changes)} regressed by more than {threshold:.0%}."]
    return "\n".join(lines)


def _time(row: dict[str, Any]) -> str:
    return tables.duration(row["both"]["median"]) if row["status"] == "timed" else row["status"]


def against(revision: str, options: list[str]) -> Iterator[dict[str, Any]]:
    """Results of `bench run` with the options at a revision, in a git worktree of its own, and then here.

    Both are measured by the bench/ of this working tree: one ruler. Raises ValueError for a revision git does not know.
    """
    with tempfile.TemporaryDirectory(prefix="huenet-bench-") as scratch:
        worktree = Path(scratch) / "base"
        git = functools.partial(subprocess.run, cwd=REPOSITORY, capture_output=True, text=True)
        added = git(["git", "worktree", "add", "--detach", "--quiet", str(worktree), revision])
        if added.returncode:
            reason = added.stderr.strip().splitlines()[-1]
            raise ValueError(f"--base must be a revision of this repository, got {revision}: {reason}")
        try:
            shutil.rmtree(worktree / "bench", ignore_errors=True)
            shutil.copytree(REPOSITORY / "bench", worktree / "bench", ignore=shutil.ignore_patterns("results", "__pycache__"))
            yield _measured(worktree, Path(scratch) / "before", options)
            yield _measured(REPOSITORY, Path(scratch) / "after", options)
        finally:
            git(["git", "worktree", "remove", "--force", str(worktree)])


def _measured(tree: Path, out: Path, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench", "run", *options, "--out", str(out), "--no-plots", "--no-training"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}  # before an installed huenet
    if subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL).returncode:
        raise ValueError(f"the benchmark failed in {tree}")
    return load(out)
