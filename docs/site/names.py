"""The public names, of which each has a page: with a docstring, or the build ends."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

#: title -> modules, in the order of the site
MODULES: dict[str, tuple[str, ...]] = {
    "Operators": ("huenet.kernels",),
    "Losses": ("huenet.losses",),
    "Metrics": ("huenet.metrics", "huenet.metrics.hue"),
    "Colour": ("huenet.color",),
    "Several processes": ("huenet.distributed",),
    "Painting": ("huenet", "huenet.color_transfer.painter"),
    "Systems": ("huenet.training.protocol", "huenet.color_transfer.system"),
    "Networks and data": ("huenet.networks", "huenet.data"),
    "Other libraries' functions": tuple(
        f"huenet.compat.{name}" for name in ("kornia", "monai", "voxelmorph", "histogan", "contextual", "torch")
    ),
}


@dataclass(frozen=True)
class Public:
    """One public name."""

    module: str
    name: str
    value: Any

    @property
    def page(self) -> str:
        """The file of its page, without the ending: its whole name."""
        return f"{self.module}.{self.name}"


def of_module(module: str) -> list[Public]:
    """What ``module`` lists in ``__all__``, or else the functions and classes that it defines."""
    loaded = importlib.import_module(module)
    listed = getattr(loaded, "__all__", None)
    names = listed or [
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and getattr(value, "__module__", None) == module
    ]
    found = [Public(module, name, getattr(loaded, name)) for name in sorted(names, key=str.lower)]
    return [public for public in found if inspect.isroutine(public.value) or inspect.isclass(public.value)]


def everything() -> dict[str, list[Public]]:
    """Title -> its public names."""
    return {title: [public for module in modules for public in of_module(module)] for title, modules in MODULES.items()}


def members(value: type) -> list[tuple[str, str, Any]]:
    """Public methods and properties that a class defines itself, or takes from classes of the package that are not public:
    (name, kind, function), kind "method", "classmethod" or "property". Without a docstring, what overrides takes its parent's."""
    found: dict[str, tuple[str, str, Any]] = {}
    for owner in reversed([base for base in value.__mro__ if base.__module__.startswith("huenet")]):
        for name, member in vars(owner).items():
            if name.startswith("_"):
                continue
            if isinstance(member, property):
                found[name] = (name, "property", member)
            elif isinstance(member, classmethod | staticmethod):
                found[name] = (name, type(member).__name__, member.__func__)
            elif inspect.isfunction(member):
                found[name] = (name, "method", member)
    return list(found.values())


def undocumented() -> list[str]:
    """Public names, methods and properties without a docstring."""
    missing = []
    for publics in everything().values():
        for public in publics:
            if not (public.value.__doc__ or "").strip():
                missing.append(public.page)
            if inspect.isclass(public.value):
                missing += [
                    f"{public.page}.{name}"
                    for name, _, _ in members(public.value)
                    if not (inspect.getdoc(getattr(public.value, name)) or "").strip()
                ]
    return missing
