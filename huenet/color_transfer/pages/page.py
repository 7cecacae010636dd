"""A page in one file: a template, its style, its script and its data, with pictures inlined.

    page = render("report", "Title", data, methods=table)

is made of report.html, report.css and report.js, in this folder. It needs no network, and may use none.
"""

import base64
import hashlib
import html
import io
import json
from importlib import resources
from string import Template
from typing import Any

from PIL import Image
from torch import Tensor


def render(name: str, title: str, data: Any, **parts: str) -> str:
    """The page of NAME.html, NAME.css (after base.css, which all pages share) and NAME.js, with `data`, which the script reads.

    `title` may be any text; `parts` are HTML, of which `escaped` makes what others have named. A policy in the page lets browsers
    run this style and this script only, and load nothing from anywhere.
    """
    style, script = _asset("base.css") + _asset(f"{name}.css"), _asset(f"{name}.js")
    policy = [
        "default-src 'none'",
        "img-src data:",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    given = {"title": escaped(title), "policy": "; ".join(policy), "style": style, "script": script, "data": _in_script(data)}
    return Template(_asset(f"{name}.html")).substitute(given, **parts)


def escaped(text: str) -> str:
    """Any text as HTML that shows it."""
    return html.escape(text)


def jpeg(image: Tensor, quality: int) -> bytes:
    """RGB (3, H, W), uint8 or floats in [0, 1], with colours at every pixel: hues are what is looked at."""
    pixels = (image.detach().cpu().clamp(0.0, 1.0) * 255).round().byte() if image.is_floating_point() else image.cpu()
    file = io.BytesIO()
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def data_url(picture: bytes) -> str:
    """The content of a JPEG file as an address."""
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _in_script(data: Any) -> str:
    """JSON that ends no script element, whatever names it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
