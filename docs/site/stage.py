"""The folder that Sphinx reads: the repository's pages in the places where they lie, and beside them the pages that are made.

It is in `build/`, and thrown away. Its files are copies, as MyST follows symbolic links, and then finds no page.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from . import api, commands, crosslinks, doctests, guides, speed
from .paths import REPOSITORY

#: what pages are in, or link to
REACHED = (
    "bench",
    "docs",
    "huenet",
    "kernels",
    "tests",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "constraints.txt",
    "pyproject.toml",
)


def stage(folder: Path) -> None:
    """Make the folder anew. Raises where an example fails or a public name has no docstring."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in REACHED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=_unread)
        else:
            shutil.copy(REPOSITORY / name, folder / name)
    for page in folder.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(crosslinks.crosslinked(text, PurePosixPath(page.relative_to(folder).as_posix())), encoding="utf-8")
    if failures := doctests.failures():
        raise ValueError("examples in docstrings fail:\n" + "\n".join(failures))
    api.write(folder / "api")
    commands.write(folder / "commands")
    guides.write(folder / "guides", folder / "figures")
    speed.write(folder / "pages")
    (folder / "index.md").write_text(front(folder / "docs"), encoding="utf-8")


def front(pages: Path) -> str:
    """The front page, with links to those of ``pages`` that it does not name, by their titles."""
    text = (REPOSITORY / "docs" / "site" / "index.md").read_text(encoding="utf-8")
    others = [page for page in sorted(pages.glob("*.md")) if f"(docs/{page.name})" not in text]
    titles = [page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in others]
    return text.replace("<!-- pages -->", ", ".join(f"[{title}](docs/{page.name})" for title, page in zip(titles, others)))


def _unread(folder: str, names: list[str]) -> list[str]:
    """Models and caches, and the link by which the operators are also in the package's folder."""
    return [name for name in names if name == "__pycache__" or name.endswith(".safetensors") or (Path(folder) / name).is_symlink()]
