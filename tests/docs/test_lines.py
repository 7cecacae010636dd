"""What a line of a page may begin with."""

from __future__ import annotations

from tests.paths import REPOSITORY


def test_no_line_begins_as_a_comment() -> None:
    """A line that begins with a per cent sign is a comment of MyST, and is left out of the site."""
    pages = [
        *REPOSITORY.glob("*.md"),
        *(page for folder in ("docs", "kernels", "bench") for page in (REPOSITORY / folder).rglob("*.md")),
    ]
    lines = [(page.name, line) for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    assert lines and not [(name, line) for name, line in lines if line.lstrip().startswith("%")]
