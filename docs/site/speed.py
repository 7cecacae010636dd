"""The page on speed, from the committed results."""

from __future__ import annotations

from pathlib import Path

from bench import page

from .paths import REPOSITORY

HEAD = """# Speed

How much time and memory do the operators save, against what people use today? Made from the results in the repository; how it is
measured, what it does not show and where we lose stands in [bench/README.md](../bench/README.md).
"""


def write(folder: Path) -> None:
    """``speed.md``. Raises ValueError where there are no results."""
    text = page.page(REPOSITORY / "bench" / "results")
    for place in ("bench/", "docs/"):
        text = text.replace(f"]({place}", f"](../{place}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(f"{HEAD}\n{text}\n", encoding="utf-8")
