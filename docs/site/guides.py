"""Guides: scripts that are run, shown with what they print and draw.

A script's cells begin with `# %%` (code) or `# %% [markdown]` (text, in comments), as editors and notebooks have it. Three more
kinds are code too: of `# %% [shell]`, calls of `sh`, the commands are shown; of `# %% [file]`, a call of `write`, the file; of
`# %% [picture]` what is drawn and, beneath it, the commands.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .paths import REPOSITORY

GUIDES = REPOSITORY / "docs" / "guides"
_COMMAND = re.compile(r'^sh\("(.*)"\)$', re.MULTILINE)


def scripts() -> list[Path]:
    """The guides, in the order of their names; what begins with an underscore is what they share."""
    return sorted(GUIDES.glob("[!_]*.py"))


def write(folder: Path, figures: Path) -> None:
    """A page for each guide, run. Raises what a guide raises."""
    os.environ.setdefault("MPLBACKEND", "agg")
    if str(GUIDES) not in sys.path:
        sys.path.append(str(GUIDES))  # as a script has its own folder
    folder.mkdir(parents=True)
    figures.mkdir(parents=True)
    for script in scripts():
        sys.modules.pop("_shell", None)  # each has a folder of its own
        (folder / f"{script.stem}.md").write_text(page(script, figures), encoding="utf-8")


def page(script: Path, figures: Path) -> str:
    """A guide's Markdown; what it draws goes to ``figures``."""
    names: dict[str, Any] = {"__name__": "__main__"}
    parts: list[str] = []
    drawn = 0
    for number, (kind, text) in enumerate(_cells(script.read_text(encoding="utf-8"))):
        if kind == "markdown":
            parts.append("\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines()))
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, f"{script.name}, cell {number}", "exec"), names)
        pictures = []
        for title, figure in _drawn():
            drawn += 1
            name = f"{script.stem}-{drawn}.svg"
            figure.savefig(figures / name, metadata={"Date": None})
            pictures.append(f"![{title}](../figures/{name})")
        if kind == "picture":
            parts += [*pictures, _commands(text)]
        else:
            output = [f"```text\n{printed.getvalue().rstrip()}\n```"] if printed.getvalue() else []
            parts += [_shown(kind, text), *output, *pictures]
    command = f"*This page is [docs/guides/{script.name}](../docs/guides/{script.name}), run: `python docs/guides/{script.name}`.*"
    return "\n\n".join([*parts, command]) + "\n"


def _cells(text: str) -> Iterator[tuple[str, str]]:
    for cell in text.split("# %%")[1:]:
        head, _, body = cell.partition("\n")
        named = re.search(r"\[(markdown|shell|file|picture)\]", head)
        yield named.group(1) if named else "code", body.strip()


def _commands(text: str) -> str:
    return "```sh\n" + "\n".join(_COMMAND.findall(text)) + "\n```"


def _shown(kind: str, text: str) -> str:
    """A cell of code as Markdown; commands as one types them, a file as what is in it."""
    if kind == "shell":
        if len(_COMMAND.findall(text)) != len(text.splitlines()):
            raise ValueError(f'a shell cell must be lines sh("command"), got {text!r}')
        return _commands(text)
    if kind == "file":
        written = re.fullmatch(r'write\(\s*"(.+?)",\s*"""\\\n(.*)""",?\s*\)', text, re.DOTALL)
        if written is None:
            raise ValueError(f'a file cell must be write("name", """text"""), got {text!r}')
        name, text = written.groups()
        return f"`{name}`:\n\n```python\n{text}```"
    return f"```python\n{text}\n```"


def _drawn() -> Iterator[tuple[str, Any]]:
    """What is drawn and not yet shown, by title. Closed afterwards."""
    import matplotlib.pyplot as plt

    for number in plt.get_fignums():
        figure = plt.figure(number)
        yield figure.get_label() or "what the code above draws", figure
        plt.close(figure)
