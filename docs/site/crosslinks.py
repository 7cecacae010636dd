"""Links of the repository's pages to Python files, as links to what the site has of these.

A page says [`soft_histogram`](../kernels/soft_histogram/__init__.py), which leads to the source where the repository is read; on
the site it leads to the function's page. A link to a guide's script leads to the guide.
"""

from __future__ import annotations

import functools
import inspect
import os
import posixpath
import re
from pathlib import Path, PurePosixPath

from . import names
from .paths import REPOSITORY

_LINK = re.compile(r"\[([^\[\]]*)\]\(([^()#\s]+\.py)\)")


def crosslinked(text: str, page: PurePosixPath) -> str:
    """The text of ``page``, a path from the repository's root, with such links replaced."""

    def replaced(found: re.Match[str]) -> str:
        label, target = found.groups()
        file = posixpath.normpath(page.parent / target)
        there = _guide(file) or _api().get((file, label.strip("`").partition("(")[0]))
        return f"[{label}]({os.path.relpath(there, page.parent)})" if there else found.group()

    return _LINK.sub(replaced, text)


def _guide(file: str) -> str | None:
    path = PurePosixPath(file)
    return f"guides/{path.stem}.md" if path.parent == PurePosixPath("docs/guides") and not path.name.startswith("_") else None


@functools.cache
def _api() -> dict[tuple[str, str], str]:
    """(file, name) -> the page of a public name."""
    found = {}
    for publics in names.everything().values():
        for public in publics:
            file = Path(inspect.getsourcefile(inspect.unwrap(public.value)) or "").resolve()
            found[file.relative_to(REPOSITORY.resolve()).as_posix(), public.name] = f"api/{public.page}.md"
    return found
