"""The site: every public name is explained, examples run, and a browser shows it, narrow and wide, and finds what is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pytest

from docs.site import crosslinks, doctests, links, names, stage
from docs.site.docstrings import markdown
from docs.site.paths import HTML
from tests.huenet.browser import complaints, fetched, screen, started, until
from tests.paths import REPOSITORY

EXAMPLES = doctests.examples()
#: what a user would paste and try: one of these without an example is a page without one
WITH_EXAMPLES = [public.page for title in ("Operators", "Losses") for public in names.everything()[title]]
NEED_WEIGHTS = {"huenet.losses.VGG19Features"}  # which are fetched


def test_every_public_name_is_explained() -> None:
    assert names.undocumented() == []


@pytest.mark.parametrize("page", sorted(set(WITH_EXAMPLES) - NEED_WEIGHTS))
def test_operators_and_losses_have_an_example(page: str) -> None:
    assert page in EXAMPLES


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page: str) -> None:
    assert doctests.run(EXAMPLES[page]) == ""


def test_a_docstring_becomes_markdown() -> None:
    docstring = (
        "Of C*K and C * H, <x>, see `emd` and ``None``:\n\n    a * b\n\nArgs:\n    x, y: samples, (..., N),\n        or `None`.\n\n"
        "Raises:\n    as `emd`.\n\nMore."
    )
    text = markdown(docstring, lambda code: f"[{code}]")
    assert text.startswith("Of C\\*K and C \\* H, \\<x\\>, see [emd] and `None`:\n\n```python\na * b\n```")
    assert "**Arguments**\n\n`x, y`\n: samples, (..., N),\n  or [None]." in text
    assert text.endswith("**Raises**\n\nas [emd].\n\nMore.")


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"><a href="#here"><a href="#there"><a href="b.html"><a href="https://x.org/y">')
    assert links.broken(tmp_path) == ["a.html: #there", "a.html: b.html"]


def test_links_to_scripts_and_sources_lead_to_their_pages() -> None:
    source = "../kernels/emd/__init__.py"
    text = f"[bins](guides/bins.py) [`emd`]({source}) [`emd(p, q)`]({source}) [it]({source})"
    assert crosslinks.crosslinked(text, PurePosixPath("docs/page.md")) == (
        "[bins](../guides/bins.md) [`emd`](../api/huenet.kernels.emd.md) [`emd(p, q)`](../api/huenet.kernels.emd.md) "
        "[it](../kernels/emd/__init__.py)"
    )


def test_the_front_page_names_every_page(tmp_path: Path) -> None:
    (tmp_path / "promises.md").write_text("# What is promised\n")
    (tmp_path / "new.md").write_text("# A new page\n\nText.\n")
    text = stage.front(tmp_path)
    assert "| all else | [A new page](docs/new.md) |" in text


def test_pages_far_from_the_front_are_found(tmp_path: Path) -> None:
    for page, following in zip("abcd", "bcde"):
        name = "index" if page == "a" else page
        (tmp_path / f"{name}.html").write_text(f'<nav><a href="d.html"></nav><article><a href="{following}.html"></article>')
    assert links.far(tmp_path) == ["d.html"]


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with started(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def site() -> Path:
    pytest.importorskip("furo", reason="furo is not installed: the site is not built")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-m", "docs.site"], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return HTML


PAGES = (
    "index",
    "README",
    "api/index",
    "api/huenet.kernels.soft_histogram",
    "commands/train",
    "docs/compat",
    "docs/papers",
    "docs/troubleshooting",
    "guides/gallery",
    "guides/several_gpus",
    "kernels/README",
    "kernels/joint_histogram/README",
    "pages/speed",
)


@pytest.mark.parametrize("width", [400, 1400])
def test_pages_fit_a_window(chrome: Any, site: Path, width: int) -> None:
    """Nothing is fetched from elsewhere, nothing complained of, and no page is wider than its window."""
    screen(chrome, width)
    for page in PAGES:
        chrome.get((site / f"{page}.html").as_uri())
        until(chrome, "return document.readyState === 'complete'")
        wide = chrome.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, page
    assert complaints(chrome) == []
    assert fetched(chrome) <= {"file", "data", "chrome"}  # the last are the browser's own pages


SEARCHES = {
    "soft_histogram": "huenet.kernels.soft_histogram.html",
    "wasserstein_distance": "huenet.kernels.emd.html",
    "slower backend": "troubleshooting.html",
    "HarmonicGAN": "papers.html",
    "torchrun": "several_gpus.html",
}


@pytest.mark.parametrize("asked", SEARCHES)
def test_search_finds(chrome: Any, site: Path, asked: str) -> None:
    chrome.get((site / "search.html").as_uri() + f"?q={quote(asked)}")
    found = "[...document.querySelectorAll('#search-results li a')].map(link => link.getAttribute('href')).join(' ')"
    until(chrome, f"return ({found}).includes('{SEARCHES[asked]}')")
