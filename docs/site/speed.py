"""The page on speed, from the committed results."""

from __future__ import annotations

from pathlib import Path

from bench import readme

from .paths import REPOSITORY

HEAD = """# Speed

Made by `python -m bench run --suite cpu --device cpu` (`make bench`), and on a GPU by `make gpu`; where there is no table of a
device, it has not been measured. The site takes the numbers from the results in the repository.
"""


def write(folder: Path) -> None:
    """``speed.md``. Raises ValueError where there are no results."""
    section = readme.section(REPOSITORY / "bench" / "results")
    section = section.replace(readme.BEGIN, HEAD).replace(readme.END, "")
    for place in ("bench/", "docs/"):
        section = section.replace(f"]({place}", f"](../{place}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(section, encoding="utf-8")
