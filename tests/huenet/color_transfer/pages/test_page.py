"""Pages that need nothing but themselves."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from huenet.color_transfer.pages import page
from tests.paths import REPOSITORY

PAGES = REPOSITORY / "huenet" / "color_transfer" / "pages"


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!-- <script>", "a & b \u2028 \udcff '\""])
def test_data_end_no_script(text: str) -> None:
    made = page.render("questionnaire", text.encode(errors="replace").decode(), {"questionnaire": text})
    held = re.search(r'id="data">(.*?)</script>', made, re.DOTALL).group(1)
    assert json.loads(held) == {"questionnaire": text}
    assert "<" not in held and made.isascii() is not None and made.count("<script") == 2


@pytest.mark.parametrize("path", [*PAGES.glob("*.html"), *PAGES.glob("*.css"), *PAGES.glob("*.js")], ids=lambda path: path.name)
def test_assets_name_no_other_place(path: Path) -> None:
    """But for the name of SVG."""
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.|@import|url\(", text)
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), "names would be read as HTML"


def test_hues_stay_where_they_are() -> None:
    """A red pixel among blue ones: with subsampled chroma its neighbours would turn purple."""
    image = torch.zeros(3, 16, 16)
    image[2], image[:, 8, 8] = 1.0, torch.tensor([1.0, 0.0, 0.0])
    seen = Image.open(io.BytesIO(page.jpeg(image, 95)))
    assert [layer[1:3] for layer in seen.layer] == [(1, 1)] * 3
    red, _, blue = seen.getpixel((8, 8))
    assert red > 180 and blue < 90
