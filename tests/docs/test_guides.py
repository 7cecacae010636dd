"""Guides run, as a user would run them, and as the site does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site import guides
from tests.paths import REPOSITORY


@pytest.mark.parametrize("script", guides.scripts(), ids=lambda script: script.stem)
def test_a_guide_runs(script: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_page_has_what_a_guide_says_prints_and_draws(tmp_path: Path) -> None:
    script = tmp_path / "toy.py"
    script.write_text(
        "# %% [markdown]\n# # Title\n#\n# Text.\n\n# %%\nimport matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nprint(6 * 7)\n"
    )
    page = guides.page(script, tmp_path)
    assert page.startswith("# Title\n\nText.\n\n```python\nimport")
    assert "```text\n42\n```" in page
    assert (tmp_path / "toy-1.svg").read_text().startswith("<?xml")


def test_a_guide_that_fails_ends_the_build(tmp_path: Path) -> None:
    script = tmp_path / "toy.py"
    script.write_text("# %%\nassert False\n")
    with pytest.raises(AssertionError):
        guides.page(script, tmp_path)


def test_commands_and_files_are_shown_as_one_types_them(tmp_path: Path) -> None:
    script = tmp_path / "toy.py"
    script.write_text(
        "# %%\nsh = print\nwrite = lambda name, text: None\n\n"
        '# %% [shell]\nsh("huenet a --b c")\n\n# %% [file]\nwrite("x.py", """\\\nimport y\n""")\n'
    )
    page = guides.page(script, tmp_path)
    assert "```sh\nhuenet a --b c\n```\n\n```text\nhuenet a --b c\n```" in page
    assert "`x.py`:\n\n```python\nimport y\n```" in page


def test_a_shell_cell_with_other_code_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "toy.py"
    script.write_text('# %% [shell]\nprint("nothing")\n')
    with pytest.raises(ValueError, match="shell cell"):
        guides.page(script, tmp_path)


def test_a_picture_stands_above_its_command(tmp_path: Path) -> None:
    script = tmp_path / "toy.py"
    script.write_text(
        "# %% [picture]\nimport matplotlib.pyplot as plt\n\nsh = print\n"
        'sh("huenet a")\nplt.figure(num="A line")\nplt.plot([1, 2])\n'
    )
    assert guides.page(script, tmp_path).startswith("![A line](../figures/toy-1.svg)\n\n```sh\nhuenet a\n```\n\n*This page")
