"""The site's page on speed: of each device all headline cases, a row for each rival, what stands in for other libraries' functions,
and the training step; all from committed results."""

from pathlib import Path
from typing import Any

from . import rivals, tables, training_table
from .cases import HEADLINES
from .compat import CALLS
from .readme import SUITES
from .results import FILE, load

#: providers in the table of headlines, beside huenet's
SHOWN = ("naive", "compiled", "kornia", "kornia_mi", "monai", "keops", "pot", "pot_linear")

#: what functions of `huenet.compat` stand in for
ORIGINALS = ("monai_own", "kornia_own", "formula")
#: by suite: the command that makes its results
COMMANDS = {"cpu": "make bench", "gpu": "make gpu"}


def page(folder: Path) -> str:
    """Sections from a folder of runs, links as seen from the repository's root. Raises ValueError where there is no run."""
    parts = []
    for name, title in SUITES.items():
        if (folder / name / FILE).exists():
            parts.append(_suite(load(folder / name), title, f"bench/results/{name}", COMMANDS[name]))
        else:
            parts.append(f"## {title}\n\nNot measured yet: `{COMMANDS[name]}` makes this section.")
    if not any((folder / name / FILE).exists() for name in SUITES):
        raise ValueError(f"no results in {folder}: run `python -m bench run` first")
    return "\n\n".join(parts)


def _suite(results: dict[str, Any], title: str, link: str, command: str) -> str:
    base = tables.ours(results)
    cases = [case for case in results["cases"] if case["tier"] in HEADLINES]
    names = [name for name in SHOWN if any(tables.timed(case, name) for case in cases)]
    header = ["forward + backward", tables.PROVIDERS[base].title, *(tables.PROVIDERS[name].title for name in names)]
    rows = [
        [f"{tables.title(case['operator'])}, {case['label']}", *(tables.cell(case, name, base) for name in (base, *names))]
        for case in sorted(cases, key=lambda case: list(tables.OPERATORS).index(case["operator"]))
    ]
    parts = [
        f"## {title}",
        f"`{command}`; {tables.where(results)}. Median time and peak memory beyond the inputs, in parentheses how many times "
        "huenet's. Every result and gradient was checked against float64 before it was timed.",
        "### A row for each rival",
        "Over all cases that both ran: how many times huenet's time and memory the rival takes, as a median, and where it is "
        "nearest and farthest. Below 1x huenet is slower. What each computes, and how that differs from huenet's, stands "
        f"[with the results]({link}/summary.md#providers).",
        rivals.table(results),
        "### The usual sizes",
        tables.markdown(header, rows),
        *_imports(results, base),
    ]
    if results.get("training"):
        parts += ["### A whole training step", training_table.about(results["training"]), training_table.table(results["training"])]
    parts += [
        "### As sizes grow",
        f"![Time against the number of samples]({link}/samples.png)",
        f"![Time against the number of bins]({link}/bins.png)",
        f"All cases, with what could not run and why: [{link}/summary.md]({link}/summary.md). How it is measured, what it does not "
        "show and where we lose: [bench/README.md](bench/README.md).",
    ]
    return "\n\n".join(parts)


def _imports(results: dict[str, Any], base: str) -> list[str]:
    """What stands in for other libraries' functions, beside these; empty where none was timed."""
    rows = []
    for operator, (call, module) in CALLS.items():
        for case in (case for case in results["cases"] if case["operator"] == operator and tables.timed(case, base)):
            originals = [tables.cell(case, name, base) for name in ORIGINALS if name in case["rows"]]
            rows.append([f"`{call}`", f"`{module}`", case["label"], tables.cell(case, base, base), *originals])
    if not rows:
        return []
    table = tables.markdown(["you call", "import it from", "at", "huenet", "the original"], rows)
    return ["### Other libraries' functions, by their names and with their numbers", "See [docs/compat.md](docs/compat.md).", table]
