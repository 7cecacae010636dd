"""Run a suite: every case by every provider of its tier, each checked first and then timed, into one JSON-able dictionary."""

import dataclasses
import datetime
import sys
import time
from collections.abc import Callable
from typing import Any

from . import images, machine
from .cases import Case, suite
from .operators import OPERATORS
from .providers import PROVIDERS, unavailable, version
from .timing import quantiles
from .worker import Failure, Worker

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long is measured, in seconds: `budget` for a provider's calls on a case, in `rounds` blocks in turn with the others;
    a call expected to take longer than `limit` is not made."""

    budget: float
    limit: float
    rounds: int
    most: int = 300


EFFORTS = {"quick": Effort(0.15, 2.0, 1, 50), "cpu": Effort(0.9, 10.0, 3), "gpu": Effort(0.2, 2.0, 1)}
TRUTH = 120
"""Seconds that the dense float64 computation may take, which results are checked against: 30 were too few for 4 million samples
where memory copies 21 GB/s."""


def run(
    name: str,
    device: str,
    threads: int,
    say: Callable[[str], None],
    only: str | None = None,
    keep: Callable[[dict[str, Any]], None] = lambda so_far: None,
) -> dict[str, Any]:
    """Measure a suite; `only` keeps the cases whose operator has it in its name. Progress goes to `say`, a line a case, and all
    that there is so far to `keep`, with `interrupted` set.

    Interrupted, it returns the cases so far, with `interrupted` set.
    """
    started = time.monotonic()
    cases = [case for case in suite(name) if only is None or only in case.operator]
    measurement = Measurement(device, threads, EFFORTS[name])
    results = {
        "schema": SCHEMA,
        "suite": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(device, threads),
        "versions": machine.versions(),
        **machine.commit(),
        "effort": dataclasses.asdict(EFFORTS[name]),
        "photos": images.photo_source(),
        "rates": machine.rates(device),
        "providers": {name: {"unavailable": unavailable(name, device), "version": version(name)} for name in PROVIDERS},
        "cases": [],
    }
    try:
        for number, case in enumerate(cases, 1):
            rows = measurement.case(case)
            results["cases"].append({**dataclasses.asdict(case), "label": case.label, "rows": rows})
            say(f"[{number}/{len(cases)}, {time.monotonic() - started:.0f} s] {case.operator}, {case.label}: {_in_brief(rows)}")
            keep({**results, "interrupted": True, "seconds": round(time.monotonic() - started, 1)})
    except KeyboardInterrupt:
        say("interrupted: the cases so far are kept")
        results["interrupted"] = True
    finally:
        measurement.stop()
    results["seconds"] = round(time.monotonic() - started, 1)
    return results


class Measurement:
    """The workers, and what is known of the providers' times from smaller cases."""

    def __init__(self, device: str, threads: int, effort: Effort) -> None:
        self.device, self.effort = device, effort
        self.workers = {name: Worker(name, device, threads) for name in PROVIDERS if unavailable(name, device) is None}
        #: by provider and series: cases, and seconds that a call took
        self.known: dict[tuple[object, ...], list[tuple[Case, float]]] = {}

    def case(self, case: Case) -> dict[str, dict[str, Any]]:
        """By provider: `status`, and times, memory and errors where it is `timed`, else the reason."""
        names = [name for name in OPERATORS[case.operator].builders() if name in self.workers and case.runs(name)]
        rows: dict[str, dict[str, Any]] = {}
        ready: dict[str, float] = {}
        for name in names:
            try:
                first = self._prepare(name, case)
                ready[name] = first["seconds"]
                rows[name] = {"status": "timed", "error": first["errors"]}
            except Failure as failure:
                rows[name] = {"status": failure.status, "reason": failure.reason}
        for name, block in self._blocks(ready).items():
            rows[name] = rows[name] | block
            if block["status"] == "timed":
                self.known[(name, *case.series)].append((case, block["both"]["median"]))
        for name in ready:
            self._quietly(name, "release")
        return rows

    def _prepare(self, name: str, case: Case) -> dict[str, Any]:
        """Build and check, unless a smaller case says that it would take too long."""
        size = OPERATORS[case.operator].size
        known = self.known.setdefault((name, *case.series), [])
        if known:
            # many small images may take longer than a large one of as many samples, so the shortest prediction counts
            predictions = [(seconds * size(case) / size(other), other) for other, seconds in known]
            predicted, smaller = min(predictions, key=lambda pair: pair[0])
            if predicted > self.effort.limit:
                raise Failure("over time", f"about {predicted:.3g} s a call, by its time for {smaller.label}")
        limit = 2 * self.effort.limit + PROVIDERS[name].startup + TRUTH
        try:
            return self.workers[name].ask("prepare", case, self.effort.limit, timeout=limit)
        except Failure as failure:
            if failure.status == "over time":
                known.append((case, limit))
            raise

    def _blocks(self, ready: dict[str, float]) -> dict[str, dict[str, Any]]:
        """Times of all providers, a block of each in turn."""
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
        peaks: dict[str, int | None] = {}
        failed: dict[str, dict[str, Any]] = {}
        for number in range(self.effort.rounds):
            for name, first in ready.items():
                slow = first > self.effort.limit / 3
                if name in failed or (slow and number):
                    continue
                least = 1 if self.effort.rounds > 1 else 1 if slow else 3
                seconds = self.effort.budget / self.effort.rounds
                timeout = 60 + 10 * least * self.effort.limit
                try:
                    warm = first < self.effort.budget
                    measured, peak = self.workers[name].ask("block", seconds, least, self.effort.most, warm, timeout=timeout)
                except Failure as failure:
                    failed[name] = {"status": failure.status, "reason": failure.reason}
                    continue
                times[name] += measured
                peaks.setdefault(name, peak)
        rows = {name: self._row(name, times[name], peaks[name]) for name in ready if name not in failed}
        return rows | failed

    def _row(self, name: str, times: list[tuple[float, float]], peak: int | None) -> dict[str, Any]:
        row = {"status": "timed", "peak_bytes": peak, "forward": quantiles([forward for forward, _ in times])}
        if PROVIDERS[name].gradient:
            row["backward"] = quantiles([backward for _, backward in times])
        row["both"] = quantiles([forward + backward for forward, backward in times])
        if self.device == "cuda" and PROVIDERS[name].gradient:
            times_of_graph = self._quietly(name, "graph", min(row["both"]["n"], 100))
            row["graph"] = quantiles(times_of_graph) if times_of_graph else None  # None where the provider cannot be captured
        return row

    def _quietly(self, name: str, method: str, *arguments: Any) -> Any:
        """A worker's answer; None where it fails, and it starts afresh then."""
        try:
            return self.workers[name].ask(method, *arguments, timeout=60)
        except Failure:
            self.workers[name].stop()
            return None

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()


def _in_brief(rows: dict[str, dict[str, Any]]) -> str:
    texts = []
    for name, row in rows.items():
        texts.append(f"{name} {row['both']['median'] * 1e3:.3g} ms" if row["status"] == "timed" else f"{name} {row['status']}")
    return " | ".join(texts)


def say(text: str) -> None:
    """Progress, on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
