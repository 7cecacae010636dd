"""The page on troubleshooting has every warning, and nothing that is not said anywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
WARN = {"warn", "warn_once", "warn_of"}
#: letters of a constant part that tell a message; shorter ones, such as " of ", tell nothing
TELLING = 6


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted([*(REPOSITORY / "kernels").rglob("*.py"), *(REPOSITORY / "huenet").rglob("*.py")]):
        if (REPOSITORY / "huenet" / "kernels") not in path.parents:  # which is a link to the first
            yield path.relative_to(REPOSITORY), ast.parse(path.read_text(encoding="utf-8"))


def constants(node: ast.AST) -> list[str]:
    """The constant parts of a string, or of all strings within, in order; not those of what is formatted into it."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return [part.value for part in node.values if isinstance(part, ast.Constant)]
    if isinstance(node, ast.IfExp):
        return constants(node.body) + constants(node.orelse)
    return []


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def warnings_of(tree: ast.Module) -> Iterator[tuple[int, list[str]]]:
    """Line and constant parts of what each call of a warning says; of a variable, what is assigned to it in the same function."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        assignments = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
        assigned = {node.targets[0].id: node.value for node in assignments if isinstance(node.targets[0], ast.Name)}
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and name_of(call) in WARN:
                given = [assigned.get(value.id, value) if isinstance(value, ast.Name) else value for value in call.args]
                yield call.lineno, [part for value in given for part in constants(value)]


def reasons_of(tree: ast.Module) -> Iterator[tuple[int, list[str]]]:
    """Line and constant parts of what functions return that tell why Triton cannot serve: those that return ``str | None``."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.returns and ast.unparse(function.returns) == "str | None":
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield node.lineno, constants(node.value)


def telling(parts: list[str]) -> list[str]:
    return [part.strip() for part in parts if len(re.sub(r"\W", "", part)) >= TELLING]


WARNINGS = [
    pytest.param(telling(parts), id=f"{path}:{line}")
    for path, tree in sources()
    for line, parts in [*warnings_of(tree), *(reasons_of(tree) if path.parts[0] == "kernels" else ())]
    if telling(parts)
]


@pytest.mark.parametrize("parts", WARNINGS)
def test_every_warning_is_explained(parts: list[str]) -> None:
    missing = [part for part in parts if part not in PAGE]
    assert not missing, "docs/troubleshooting.md must have these words of a warning"


def test_warnings_are_found() -> None:
    told = " ".join(part for param in WARNINGS for part in param.values[0])
    for words in ("uses its slower backend", "left out of", "bytes of them", "orders samples by at most", "skipped"):
        assert words in told
    assert len(WARNINGS) > 15


#: what stands on the page as a message: the code at the head of an item
MESSAGES = re.findall(r"^ *- `([^`]+)`", PAGE, re.MULTILINE)
#: constant letters with which a string may be a part of a message; with fewer it must be all of it
CERTAIN = 20


def said() -> Iterator[tuple[re.Pattern[str], int]]:
    """Every string but docstrings, as a pattern that has anything where something is formatted in, and its constant letters."""
    for _, tree in sources():
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                parts = [re.escape(node.value)]
            else:
                continue
            yield re.compile("".join(parts)), len(re.sub(r"\W", "", "".join(constants(node))))


SAID = list(said())


def is_said(message: str) -> bool:
    return any(
        pattern.search(message) if letters >= CERTAIN else letters >= TELLING and pattern.fullmatch(message)
        for pattern, letters in SAID
    )


@pytest.mark.parametrize("message", MESSAGES)
def test_nothing_else_is_explained(message: str) -> None:
    assert is_said(message), "no code says so any more"


def test_messages_are_found() -> None:
    assert len(MESSAGES) > 40
    assert not is_said("needs at most 2048 bins for a window that is so wide, got 4096 bins")
