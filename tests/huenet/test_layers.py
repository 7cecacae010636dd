"""Imports go one way: from commands to systems, to what systems share, to the operators; imports in functions count as well."""

from __future__ import annotations

import ast
import graphlib
from importlib.util import resolve_name

from tests.paths import REPOSITORY

SHARED = {"color", "data", "losses", "networks", "plotting", "training"}
SYSTEMS = {"color_transfer", "experiments"}


def _imports() -> dict[str, set[str]]:
    """By module of huenet, without the operators, those that it imports anywhere in its text."""
    files = {}
    for path in (REPOSITORY / "huenet").rglob("*.py"):  # links, as that to the operators, are not followed
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        if "kernels" not in parts:
            files[".".join(parts).removesuffix(".__init__")] = path
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                base = resolve_name("." * node.level + (node.module or ""), package)
                names |= {name if name in files else base for name in (f"{base}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[module] = names & files.keys()
    return found


def _part(module: str) -> str:
    return ".".join(module.split(".")[1:2])


def test_no_circle() -> None:
    imports = _imports()
    assert len(imports) > 40 and "huenet.color" in imports["huenet.color_transfer.gan"]
    list(graphlib.TopologicalSorter(imports).static_order())  # raises CycleError, which names the circle


def test_what_systems_share_knows_no_system_and_systems_know_no_other() -> None:
    for module, names in _imports().items():
        part, parts = _part(module), {_part(name) for name in names}
        if part in SHARED:
            assert parts <= {part}, module
        elif part in SYSTEMS:
            assert parts <= SHARED | {part}, module
        else:
            assert part in ("", "__main__", "cli"), f"{module} belongs to no layer"
