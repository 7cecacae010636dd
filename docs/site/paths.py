"""Where things are."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "build" / "site" / "source"
HTML = REPOSITORY / "build" / "site" / "html"
