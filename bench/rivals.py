"""A row for each rival: how many times huenet's time and memory it takes, over all cases that both ran."""

import statistics

from . import tables
from .tables import Results

HUENET = ("triton", "torch", "reference", "huenet_order_1")
HEADER = ["rival", "cases", "time", "memory", "least time, at", "most time, at", "did not run"]


def table(results: Results) -> str:
    """Markdown: medians over the cases, and the cases nearest to and farthest from huenet's default on the device."""
    base = tables.ours(results)
    rows = [row for name in tables.PROVIDERS if name not in HUENET and (row := _row(results, name, base))]
    return tables.markdown(HEADER, rows)


def _row(results: Results, name: str, base: str) -> list[str] | None:
    """None where the rival was never timed beside huenet."""
    cases = [case for case in results["cases"] if name in case["rows"]]
    ratios = [(ratio, case) for case in cases if (ratio := tables.speedup(case, name, base)) is not None]
    if not ratios:
        return None
    ratios.sort(key=lambda found: found[0])
    memory = [ratio for case in cases if (ratio := tables.memory_ratio(case, name, base)) is not None]
    (least, nearest), (most, farthest) = ratios[0], ratios[-1]
    facts = results["providers"][name]
    title = tables.PROVIDERS[name].title + (f" ({facts['version']})" if facts["version"] else "")
    return [
        title + ("" if tables.PROVIDERS[name].gradient else ", forward only"),
        str(len(ratios)),
        tables.times(statistics.median(ratio for ratio, _ in ratios)),
        tables.times(statistics.median(memory)) if memory else "?",
        f"{tables.times(least)}, {_where(nearest)}",
        f"{tables.times(most)}, {_where(farthest)}",
        _not_run(cases, name),
    ]


def _where(case: dict[str, object]) -> str:
    return f"{tables.title(str(case['operator']))}, {case['label']}"


def _not_run(cases: list[dict], name: str) -> str:
    """How many cases ended otherwise, by how."""
    ends = [case["rows"][name]["status"] for case in cases if case["rows"][name]["status"] != "timed"]
    return ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
