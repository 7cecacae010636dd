"""`make matrix`: which versions it tries, and that its table keeps the last result of each."""

from __future__ import annotations

import re
import sys

import pytest

from tests.matrix import legs
from tests.matrix.page import COLUMNS, PAGE, written

TESTED = dict(re.findall(r"^(torch|triton)==(\S+)", (legs.REPOSITORY / "constraints.txt").read_text(), re.MULTILINE))


def test_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch from 2.11 on, Triton from 3.6 on with today's torch, every Python from 3.11 on; what is not there is named."""
    offered = {"torch": ["2.11.0", "2.12.0", TESTED["torch"]], "triton": ["3.6.0", TESTED["triton"], "3.99.0"]}
    here = ".".join(map(str, sys.version_info[:2]))
    monkeypatch.setattr(legs, "releases", lambda pip, name: offered[name])
    monkeypatch.setattr(legs, "interpreter", lambda minor: sys.executable if f"3.{minor}" == here else None)
    found, missing = legs.legs(sys.executable, "pip")
    assert {(leg.torch, leg.triton) for leg in found} == {
        ("2.11.0", "3.6.0"),
        ("2.12.0", None),
        *((TESTED["torch"], triton) for triton in offered["triton"]),
    }
    assert [line.partition(":")[0] for line in missing] == [f"Python 3.{n}" for n in range(11, 15) if f"3.{n}" != here]


def test_what_is_installed() -> None:
    asked = legs.Leg(sys.executable, "2.11.0", "3.6.0").requirements()
    assert {"torch==2.11.0", "triton==3.6.0", "numpy<2.4", "tensorboard>=2.16", "tqdm>=4.66"} <= set(asked)
    assert not re.search(r"^(torch|triton|numpy)\b", legs.constraints(), re.MULTILINE)
    assert "pillow==" in legs.constraints()


def row(torch: str, passed: int) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, f"{passed} passed, 0 failed") | {"torch": torch, "triton": "3.7.1", "Python": "3.11.7"}


def test_the_table_keeps_the_last_result_of_each_set_of_versions() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = written(page, [row("2.98.0", 1), row("2.97.0+cu130", 2)], ["Python 3.99: not on this machine"])
    again = written(once, [row("2.98.0", 3)], None)
    lines = [line for line in again.splitlines() if line.startswith(("| 2.97", "| 2.98"))]
    assert [line.split(" | ")[4] for line in lines] == ["2 passed, 0 failed", "3 passed, 0 failed"]
    assert "- Python 3.99: not on this machine" in again
    assert "3.99" not in written(again, [], [])


def test_a_page_without_its_marks_is_named() -> None:
    with pytest.raises(ValueError, match=r"versions\.md must have the lines"):
        written("# Something else", [], [])
