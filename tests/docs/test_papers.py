"""The page on the papers has every piece of them that we know of."""

from __future__ import annotations

import re

import pytest

from tests.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "papers.md").read_text(encoding="utf-8")
#: section -> pieces, by kind, of which each must have a row
PIECES = {
    "Hue-Net": {"Eq": range(1, 30), "Figure": range(1, 7), "Table": [1]},
    "SCC": {"Eq": range(1, 10), "Figure": [1, 3, 5, 7, 8], "Table": [1, 2, 4]},
    "HarmonicGAN": {"Table": range(1, 5)},
    "Contextual loss": {"Eq": range(1, 6), "Figure": range(1, 4)},
}


def rows(section: str) -> list[str]:
    """The first cells of a section's table."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)


def numbers(cell: str, kind: str) -> list[int]:
    """What a first cell covers: "Eq. 9-11", "Eq. 3, 4", "Figures 7, 8"."""
    found = re.match(rf"{kind}s?\.? ([\d, -]+)", cell)
    if found is None:
        return []
    ends = [[int(end) for end in part.split("-")] for part in found.group(1).strip(" ,").split(", ")]
    return [number for part in ends for number in range(part[0], part[-1] + 1)]


@pytest.mark.parametrize("section", PIECES)
def test_every_piece_has_a_row(section: str) -> None:
    for kind, expected in PIECES[section].items():
        found = [number for cell in rows(section) for number in numbers(cell, kind)]
        assert sorted(set(found)) == list(expected), kind
