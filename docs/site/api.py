"""A page for each public name: signature, docstring, methods, whose number it is, a figure."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

from . import names
from .docstrings import markdown
from .paths import REPOSITORY

#: page -> what else to say of it; the file says what there may be
MORE: dict[str, dict[str, Any]] = tomllib.loads((REPOSITORY / "docs" / "site" / "api.toml").read_text(encoding="utf-8"))

#: module of `huenet.compat` -> its section in docs/compat.md
COMPAT = {
    "contextual": "contextual",
    "histogan": "histogan",
    "kornia": "kornia",
    "monai": "monai",
    "torch": "torch-histc",
    "voxelmorph": "voxelmorph-and-neurite",
}


def write(folder: Path) -> None:
    """All pages, and ``index.md`` that lists them. Raises ValueError where a public name has no docstring."""
    if missing := names.undocumented():
        raise ValueError(f"public names without a docstring: {', '.join(missing)}")
    found = names.everything()
    pages = {public.page for publics in found.values() for public in publics}
    if unknown := MORE.keys() - pages:
        raise ValueError(f"docs/site/api.toml must name public names, got {', '.join(sorted(unknown))}")
    folder.mkdir(parents=True)
    (folder / "index.md").write_text(_index(found), encoding="utf-8")
    for publics in found.values():
        for public in publics:
            (folder / f"{public.page}.md").write_text(_page(public, pages), encoding="utf-8")


def _index(found: dict[str, list[names.Public]]) -> str:
    parts = ["# API\n\nEvery public name. Shapes, ranges and errors are in its page.\n"]
    for title, publics in found.items():
        parts.append(f"## {title}\n")
        for module in dict.fromkeys(public.module for public in publics):
            own = [public for public in publics if public.module == module]
            parts.append(f"`from {module} import ...`\n\n| | |\n|---|---|")
            parts += [f"| [`{public.name}`]({public.page}.md) | {_first_sentence(public)} |" for public in own]
            listing = "\n".join(f"{public.name} <{public.page}>" for public in own)
            parts.append(f"\n```{{toctree}}\n:hidden:\n\n{listing}\n```\n")
    return "\n".join(parts)


def _first_sentence(public: names.Public) -> str:
    text = (inspect.getdoc(public.value) or "").split("\n\n")[0].replace("\n", " ")
    sentence = re.split(r"(?<!Eq)(?<!al)\. ", text)[0].rstrip(".:")
    return markdown(sentence, lambda code: f"`{code}`")


def _page(public: names.Public, pages: set[str]) -> str:
    def link(code: str) -> str:
        """To the page of a name of the same module, or one given in full."""
        for page in (f"{public.module}.{code}", code, f"huenet.{code}", f"huenet.kernels.{code}"):
            if page in pages and page != public.page:
                return f"[`{code}`]({page}.md)"
        return f"`{code}`"

    value = public.value
    kind = "class" if inspect.isclass(value) else "function"
    more = MORE.get(public.page, {})
    parts = [
        f"# {public.name}",
        f"```python\nfrom {public.module} import {public.name}\n```",
        _signature(kind, public.page, value),
        markdown(inspect.getdoc(value) or "", link),
    ]
    for name, caption in more.get("figures", {}).items():
        parts.append(f"![{caption}](../figures/{name}.svg)\n\n*{caption}*")
    if whose := _whose(public, more):
        parts.append(f"## Whose number is this\n\n{whose}")
    if kind == "class" and (own := names.members(value)):
        parts.append("## Methods")
        parts += [_member(public, *member, link) for member in own]
    parts.append(_source(public))
    return "\n\n".join(parts) + "\n"


def _whose(public: names.Public, more: dict[str, Any]) -> str:
    """Which other library's result it is, with which settings, and where that is tested."""
    parts = []
    if public.module.startswith("huenet.compat."):
        section = COMPAT[public.module.rpartition(".")[2]]
        parts.append(
            f"That of the original of this name. [Its section](../docs/compat.md#{section}) says of which version, how near, where "
            "it differs, and which tests hold it."
        )
    if "equals" in more:
        parts.append("| equals | with | tested |\n|---|---|---|")
        for claim in more["equals"]:
            path, _, test = claim["test"].partition("::")
            parts[-1] += f"\n| {claim['what']} | {claim['with']} | [{test.removeprefix('test_').replace('_', ' ')}](../{path}) |"
    if "nobody" in more:
        parts.append(f"No other library's. {more['nobody']}")
    if "remark" in more:
        parts.append(more["remark"])
    return "\n\n".join(parts)


def _signature(kind: str, name: str, value: Any, bound: bool = False) -> str:
    from sphinx.util.inspect import signature, stringify_signature

    try:
        text = stringify_signature(signature(value, bound_method=bound), unqualified_typehints=True)
    except (TypeError, ValueError):  # enumerations and protocols, which nobody calls
        text = ""
    return f"```{{py:{kind}}} {name}{text}\n```"


def _member(public: names.Public, name: str, kind: str, member: Any, link: Any) -> str:
    text = inspect.getdoc(getattr(public.value, name)) or ""
    if kind == "property":
        head = f"```{{py:property}} {public.page}.{name}\n```"
    else:
        head = _signature("method", f"{public.page}.{name}", member, bound=kind != "staticmethod")
    return f"{head}\n\n{markdown(text, link)}"


def _source(public: names.Public) -> str:
    """Where it is defined, and for an operator the derivation."""
    path = Path(inspect.getsourcefile(inspect.unwrap(public.value)) or "").resolve().relative_to(REPOSITORY.resolve())
    text = f"Defined in [`{path}`](../{path})"
    derivation = path.parent / "README.md"
    if (REPOSITORY / derivation).exists() and path.parts[0] == "kernels":
        text += f"; formulas and algorithms: [`{derivation}`](../{derivation})"
    return text + "."
