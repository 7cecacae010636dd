"""Every link inside the site leads to a file that is there, and to a place in it; and from the front page's text every page is two
clicks away, the sidebar not counted."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.of_text: list[str] = []
        self._inside = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside += tag == "article"
        if self._inside and tag == "a":
            self.of_text += [value for name, value in attrs if name == "href" and value]
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag == "article"


#: pages that Sphinx makes for itself
UNASKED = {"genindex.html", "search.html"}


def far(folder: Path, clicks: int = 2) -> list[str]:
    """The pages that cannot be reached from ``index.html`` by so many links in texts."""
    folder = folder.resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    reached = {folder / "index.html"}
    for _ in range(clicks):
        reached |= {
            (path.parent / unquote(urlsplit(link).path)).resolve()
            for path in reached & pages.keys()
            for link in pages[path].of_text
        }
    return sorted(path.relative_to(folder).as_posix() for path in pages.keys() - reached if path.name not in UNASKED)


def broken(folder: Path) -> list[str]:
    """What is linked to but not there, as "page: link". Addresses of other sites are not asked for: the build is offline."""
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            missing = not target.exists() or (place and target in pages and place not in pages[target].ids)
            if missing:
                found.append(f"{path.relative_to(folder.resolve())}: {link}")
    return found
