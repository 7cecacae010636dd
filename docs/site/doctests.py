"""The examples in docstrings of public names."""

from __future__ import annotations

import doctest
import inspect

from . import names

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> dict[str, doctest.DocTest]:
    """Page -> the examples of its docstring, of those that have any."""
    parser, found = doctest.DocTestParser(), {}
    for publics in names.everything().values():
        for public in publics:
            text = inspect.getdoc(public.value) or ""
            if ">>>" in text:
                found[public.page] = parser.get_doctest(text, {}, public.page, inspect.getsourcefile(public.value), 0)
    return found


def run(test: doctest.DocTest) -> str:
    """What differs from what the docstring says; empty where nothing does."""
    said: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=said.append)
    return "".join(said)


def failures() -> list[str]:
    """What differs, of all examples."""
    return [said for test in examples().values() if (said := run(test))]
