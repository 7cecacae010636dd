"""A set of photos from a file, and from memory, measured."""

from __future__ import annotations

import pytest

from bench.__main__ import main


def test_a_table_as_one_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["photos", "--count", "60", "--size", "16", "--batches", "3", "--batch", "4"]) == 0
    text = capsys.readouterr().out
    assert "| decoding into the cache |" in text and "| 3 batches from it |" in text
    assert "60 photos of 16 x 16, 0.00 GB; batches of 4 pairs" in text


def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["photos", "--count", "1"]) == 2
    assert "--count must be at least 2, got 1" in capsys.readouterr().err
