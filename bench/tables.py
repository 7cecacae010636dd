"""Figures of a run as Markdown tables: what a provider took, and how many times what huenet took."""

from collections.abc import Iterable, Sequence
from typing import Any

from .operators import OPERATORS
from .providers import PROVIDERS

Results = dict[str, Any]
#: peaks below this are lost in the process's own pages
SMALLEST_PEAK = 1 << 20


def ours(results: Results) -> str:
    """The provider the others are compared with: huenet's default on the device."""
    return "triton" if results["machine"]["device"] == "cuda" and not results["providers"]["triton"]["unavailable"] else "torch"


def timed(case: dict[str, Any], provider: str) -> dict[str, Any] | None:
    """The provider's row of a case, None unless it was timed."""
    row = case["rows"].get(provider)
    return row if row is not None and row["status"] == "timed" else None


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}" if seconds / scale < 1000 else f"{seconds / scale:,.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def memory(peak: int | None) -> str:
    if peak is None:
        return "?"
    return "< 1 MB" if peak < SMALLEST_PEAK else f"{peak / 1e6:,.0f} MB" if peak >= 1e7 else f"{peak / 1e6:.1f} MB"


def times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 0.95 else f"{ratio:.2f}x"


def speedup(case: dict[str, Any], provider: str, base: str) -> float | None:
    """How many times longer the provider takes than the base provider, forward and backward; None unless both were timed.

    Without a gradient there is only a forward pass, which is compared with the base's forward pass.
    """
    row, reference = timed(case, provider), timed(case, base)
    if row is None or reference is None:
        return None
    part = "both" if "backward" in row else "forward"
    return row[part]["median"] / reference[part]["median"]


def memory_ratio(case: dict[str, Any], provider: str, base: str) -> float | None:
    """How many times the base provider's peak memory the provider's is; None where either is unknown or too small to tell."""
    row, reference = timed(case, provider), timed(case, base)
    if row is None or reference is None or not row["peak_bytes"] or not reference["peak_bytes"]:
        return None
    if min(row["peak_bytes"], reference["peak_bytes"]) < SMALLEST_PEAK:
        return None
    return row["peak_bytes"] / reference["peak_bytes"]


def cell(case: dict[str, Any], provider: str, base: str) -> str:
    """One provider's time and memory on a case, or why there are none."""
    row = case["rows"].get(provider)
    if row is None:
        return ""
    if row["status"] != "timed":
        return f"*{row['status']}*"
    text = duration(row["both"]["median"])
    if provider != base and (ratio := speedup(case, provider, base)) is not None:
        text += f" ({times(ratio)})"
    text += f", {memory(row['peak_bytes'])}"
    if provider != base and (ratio := memory_ratio(case, provider, base)) is not None:
        text += f" ({times(ratio)})"
    return text


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first on the right."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def operator_table(results: Results, operator: str) -> str:
    """All cases of an operator by all providers that ran any."""
    cases = [case for case in results["cases"] if case["operator"] == operator]
    names = [name for name in PROVIDERS if any(name in case["rows"] for case in cases)]
    base = ours(results)
    names.sort(key=lambda name: name != base)
    rows = [[case["label"], *(cell(case, name, base) for name in names)] for case in _ordered(cases)]
    return markdown(["case", *(PROVIDERS[name].title for name in names)], rows)


def _ordered(cases: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    def rank(case: dict[str, Any]) -> tuple[float, ...]:
        unusual = case["dtype"] != "float32", case["bandwidth"] != 0.4, case["bins"] != 256
        kind = ("noise", "photo", "constant").index(case["image"])
        return kind, *unusual, case["bandwidth"], case["bins"], case["side"] ** 2 * case["batch"]

    return sorted(cases, key=rank)


def legend(results: Results) -> str:
    """What each provider is and how it differs; those that could not run, and why."""
    lines = []
    for name, provider in PROVIDERS.items():
        facts = results["providers"].get(name)
        if facts is None:
            continue
        missing = f" Not measured here: {facts['unavailable']}." if facts["unavailable"] else ""
        version = f" ({facts['version']})" if facts["version"] else ""
        lines.append(f"- **{provider.title}**{version}: {provider.note}.{missing}")
    return "\n".join(lines)


def where(results: Results) -> str:
    """Device, versions and commit in a line."""
    found = results["machine"]
    threads = f", {found['threads']} thread{'s' * (found['threads'] > 1)}" if found["device"] == "cpu" else ""
    driver = f", driver {found['driver']}" if found.get("driver") else ""
    commit = (results["commit"] or "unknown")[:7] + (" with uncommitted changes" if results["dirty"] else "")
    return f"{found['name']}{threads}{driver}, torch {results['versions']['torch']}, commit {commit}, {results['date'][:10]}"


def title(operator: str) -> str:
    return OPERATORS[operator].title if operator in OPERATORS else operator
