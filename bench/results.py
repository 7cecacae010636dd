"""Runs on disk: one folder each, with results.json, summary.md and plots."""

import json
from pathlib import Path
from typing import Any

from .run import SCHEMA
from .summary import summary

FOLDER = Path(__file__).resolve().parent / "results"
FILE = "results.json"


def load(path: Path) -> dict[str, Any]:
    """A run's results, from its file or its folder. Raises ValueError, naming it, for anything else."""
    file = path / FILE if path.is_dir() else path
    try:
        results = json.loads(file.read_text())
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no text, no JSON, or too deep
        raise ValueError(f"{file} is no JSON: {error}") from error
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise ValueError(f"{file} holds no benchmark results of schema {SCHEMA}")
    return results


def save(results: dict[str, Any], folder: Path) -> None:
    """results.json and summary.md; the plots are `plots.draw`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(_rounded(results), indent=1) + "\n")
    (folder / "summary.md").write_text(summary(results))


def _rounded(value: Any) -> Any:
    """Six digits are more than any time is good for."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
