"""Which module imports which, by their text: imports inside functions and under TYPE_CHECKING count as well."""

from __future__ import annotations

import ast
from importlib.util import resolve_name
from pathlib import Path

from tests.paths import REPOSITORY


def module_files(folder: str, package: str) -> dict[str, Path]:
    """The modules below a folder of the repository, which is imported as `package`; links are not followed."""
    found = {}
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        parts = path.relative_to(REPOSITORY / folder).with_suffix("").parts
        if (REPOSITORY / folder / parts[0]).is_symlink() or (folder == "huenet" and parts[0] == "kernels"):
            continue
        found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


def imports(files: dict[str, Path]) -> dict[str, set[str]]:
    """By module, the full names of all that it imports: modules among `files` where the name is one, else as written."""
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
        found[module] = names
    return found


def within(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports among the modules themselves."""
    return {module: names & graph.keys() for module, names in graph.items()}
