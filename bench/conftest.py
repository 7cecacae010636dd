"""A summary under pytest-benchmark's tables: each backend as a ratio to the dense reference, or torch.cdist, of the same run."""

from __future__ import annotations

import platform
import subprocess

import torch


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, object]] = {}
    for case in getattr(session, "benchmarks", []):
        if case.stats.rounds and "backend" in case.extra_info:
            groups.setdefault(case.group, {})[case.extra_info["backend"]] = case
    if not groups:
        return
    terminalreporter.section("against the dense reference, or torch.cdist, same run")
    terminalreporter.write_line(_where())
    for group, backends in groups.items():
        reference = backends.get("reference") or backends.get("cdist")
        for name, case in backends.items():
            terminalreporter.write_line(f"{group:62} {name:10} {_figures(case, reference)}")


def _figures(case, reference) -> str:
    time, peak, error = case.stats.median, case.extra_info["peak_bytes"], case.extra_info["error"]
    line = f"{time * 1e3:9.2f} ms"
    if peak is not None:
        line += f" {peak / 1e6:8.1f} MB"
    line += f"  error {error:.1e}"
    if reference is not None and reference is not case:
        line += f"  {reference.stats.median / time:5.1f}x faster"
        if peak and reference.extra_info["peak_bytes"]:
            line += f", {reference.extra_info['peak_bytes'] / peak:5.1f}x less memory"
    return line


def _where() -> str:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    return f"{cpu}, {torch.get_num_threads()} threads, torch {torch.__version__}, commit {commit or 'unknown'}, medians"


def _cpuinfo() -> list[str]:
    try:
        with open("/proc/cpuinfo") as lines:
            return lines.readlines()
    except OSError:
        return []
