"""A made-up row of a run."""

from __future__ import annotations

from typing import Any

from bench.timing import quantiles


def row(milliseconds: float, peak: int = 8 << 20) -> dict[str, Any]:
    """A provider's row whose calls took about so long, with one per cent of noise."""
    times = [milliseconds * 1e-3 * (1 + 0.01 * step / 5) for step in range(-5, 6)]
    half = [time / 2 for time in times]
    parts = {"forward": quantiles(half), "backward": quantiles(half), "both": quantiles(times)}
    return {"status": "timed", "error": {"result": 1e-7, "gradient": 2e-7}, "peak_bytes": peak, **parts}
