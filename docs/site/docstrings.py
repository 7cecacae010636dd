"""Docstrings as Markdown. They are plain text with a few marks: `name`, ``value``, indented code, `Args:` and its kin."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable

#: of a docstring, what is set as a list of names, a paragraph, or code
SECTIONS = ("Args", "Returns", "Raises", "Example")
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):$", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*): (.*)$", re.DOTALL)

Link = Callable[[str], str]
"""A name that stands in `backquotes` -> Markdown."""


def markdown(docstring: str, link: Link) -> str:
    """A cleaned docstring as Markdown."""
    body, *rest = _SECTION.split(docstring)
    parts = [_paragraphs(body, link)]
    for title, text in zip(rest[::2], rest[1::2]):
        end = re.search(r"^\S", text, re.MULTILINE)  # what is not indented is text again
        parts.append(_section(title, text[: end.start()] if end else text, link))
        parts.append(_paragraphs(text[end.start() :], link) if end else "")
    return "\n\n".join(part for part in parts if part)


def _section(title: str, text: str, link: Link) -> str:
    text = textwrap.dedent(text.strip("\n")).strip()
    if title == "Example":
        return f"**Example**\n\n```pycon\n{text}\n```"
    heading = f"**{'Arguments' if title == 'Args' else title}**"
    if title == "Returns" or not _ENTRY.match(text):  # "as `histogram`."
        return f"{heading}\n\n{_paragraphs(text, link)}"
    entries = []
    for entry in re.split(r"\n(?=\S)", text):
        match = _ENTRY.match(entry)
        if not match:
            raise ValueError(f"{title} must be entries 'name: text', got {entry!r}")
        name, meaning = match.groups()
        lines = _paragraphs(inspect.cleandoc(meaning), link).replace("\n", "\n  ")
        entries.append(f"`{name}`\n: {lines}")
    return f"{heading}\n\n" + "\n\n".join(entries)


def _paragraphs(text: str, link: Link) -> str:
    """Text, and indented blocks as code."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    parts: list[str] = []
    for block in filter(str.strip, blocks):
        if block.startswith("    "):
            parts.append("```python\n" + textwrap.dedent(block) + "\n```")
        else:
            parts.append(_inline(block, link))
    return "\n\n".join(parts)


def _inline(text: str, link: Link) -> str:
    """Code in backquotes as it is, or as a link; everywhere else, marks that mean something to Markdown but not to us."""
    pieces = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    for number, piece in enumerate(pieces):
        if number % 2:
            code = " ".join(piece.strip("`").split())
            pieces[number] = link(code) if not piece.startswith("``") else f"`{code}`"
        else:
            # lines that begin with a dash are lists in docstrings too; one with a plus or an equals sign is a formula
            pieces[number] = re.sub(r"^([+=])", r"\\\1", re.sub(r"([*_<>\[\]$|#~])", r"\\\1", piece), flags=re.MULTILINE)
    return "".join(pieces)
