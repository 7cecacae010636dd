"""`python -m docs.site`: build the site into build/site/html, where any warning, broken link, hidden page or failing example
is an error."""

import shutil
import sys

from . import links, stage
from .paths import HTML, SOURCE

ARGUMENTS = ["-b", "html", "-W", "--keep-going", "-q", "-E", "-d", str(HTML.parent / "doctrees")]


def main() -> int:
    from sphinx.cmd.build import main as sphinx

    stage.stage(SOURCE)
    shutil.rmtree(HTML, ignore_errors=True)
    code = sphinx([*ARGUMENTS, "-c", str(SOURCE / "docs"), str(SOURCE), str(HTML)])
    broken = links.broken(HTML)
    for link in broken:
        print(f"broken link: {link}", file=sys.stderr)
    far = links.far(HTML)
    for page in far:
        print(f"more than two clicks from the front page: {page}", file=sys.stderr)
    if not code and not broken and not far:
        print(f"{HTML / 'index.html'}")
    return code or bool(broken or far)


if __name__ == "__main__":
    sys.exit(main())
