"""Sphinx's settings. Run by `python -m docs.site`, which stages the pages first: see docs/site/stage.py."""

import huenet

project = "huenet"
author = "the authors of huenet"
copyright = "the authors of huenet, MIT licence"
release = version = huenet.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
root_doc = "index"
include_patterns = [
    "index.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "api/*.md",
    "commands/*.md",
    "guides/*.md",
    "pages/*.md",
    "docs/*.md",
    "kernels/README.md",
    "kernels/*/README.md",
    "bench/README.md",
    "bench/results/*/summary.md",
]
exclude_patterns = ["huenet", "tests", "docs/site", "docs/guides", "**/__pycache__"]

html_theme = "furo"
html_title = f"huenet {release}"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["site/static"]
html_css_files = ["huenet.css"]
pygments_style = "default"
pygments_dark_style = "github-dark"
python_maximum_signature_line_length = 88
