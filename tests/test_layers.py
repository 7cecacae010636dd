"""The layout tells the story: operators know nothing of systems, nothing knows the benchmark, and no modules go round in a
circle."""

from __future__ import annotations

import graphlib
import re

import pytest

from tests.module_graph import imports, module_files, within
from tests.paths import REPOSITORY

KERNELS = module_files("kernels", "huenet.kernels")
HUENET = module_files("huenet", "huenet")
BENCH = module_files("bench", "bench")
TESTS = module_files("tests", "tests")


@pytest.mark.parametrize("files", [KERNELS | HUENET, BENCH, TESTS], ids=["huenet", "bench", "tests"])
def test_no_circle(files):
    graph = within(imports(files))
    assert sum(map(len, graph.values())) > 20
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def floors() -> list[set[str]]:
    """The floors of docs/layout.md's drawing from the top, as what stands on them: folders, and modules beside them."""
    drawing = re.search(r"┌.*?┘", (REPOSITORY / "docs" / "layout.md").read_text(encoding="utf-8"), re.DOTALL).group()
    return [set(re.findall(r"(\w+)(?:/|\.py)", floor.split(", in ")[0])) for floor in drawing.split("├")]


def part(module: str) -> str:
    """What a module belongs to: bench, an operator's folder, a folder or module of huenet; "" if it is a package's own."""
    names = module.removeprefix("huenet.kernels.").removeprefix("huenet.").split(".")
    return "" if names[0] in ("huenet", "__main__") or module == "huenet.kernels" else names[0]


def test_the_house_is_as_readme_draws_it():
    house = KERNELS | HUENET | BENCH
    level = {name: number for number, floor in enumerate(floors()) for name in floor}
    assert level.keys() == {part(module) for module in house} - {""}
    operators = level["soft_histogram"]
    for module, names in within(imports(house)).items():
        own = part(module)
        for other in {part(name) for name in names} - {own, ""} if own else ():
            below = level[other] > level[own] or level[other] == level[own] == operators
            assert below, f"{module} imports {other}, which is not below it in docs/layout.md's drawing"


@pytest.mark.parametrize("files", [KERNELS, HUENET, BENCH], ids=["kernels", "huenet", "bench"])
def test_every_folder_is_a_package(files):
    """Else a wheel would lack it."""
    folders = {path.parent for path in files.values()}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_the_page_on_kernels_names_what_is_there():
    """Files that operators share, and what an operator's folder has."""
    page = (REPOSITORY / "kernels" / "README.md").read_text(encoding="utf-8")
    common = {path.name for path in (REPOSITORY / "kernels" / "common").glob("*.py")}
    shared = set.intersection(
        *(
            {path.name for path in folder.iterdir() if path.is_file()}
            for folder in (REPOSITORY / "kernels").iterdir()
            if folder.is_dir() and folder.name not in ("common", "emd") and not folder.name.startswith("__")
        )
    )
    assert shared == {"__init__.py", "reference.py", "portable.py", "fused.py", "cases.py", "README.md"}
    listed = set(re.findall(r"\b(\w+\.(?:py|md))\b", page[page.index("## The house") : page.index("## Bins and windows")]))
    assert listed >= common | shared, (common | shared) - listed


def test_operators_import_nothing_but_themselves_torch_and_triton():
    for module, names in imports(KERNELS).items():
        outside = {
            name for name in names if name.startswith(("huenet", "bench", "tests")) and not name.startswith("huenet.kernels")
        }
        assert not outside, module
        for name in names:
            assert name.split(".")[0] not in ("numpy", "matplotlib", "scipy", "PIL", "tqdm"), f"{module} imports {name}"


def test_what_operators_share_knows_none_of_them():
    for module, names in within(imports(KERNELS)).items():
        if module.startswith("huenet.kernels.common"):
            assert all(name.startswith("huenet.kernels.common") for name in names), module


def test_triton_is_imported_where_kernels_are_only():
    """So that it is loaded when they are first used, and need not be there."""
    for module, names in imports(KERNELS).items():
        if any(name.split(".")[0] == "triton" for name in names):
            last = module.rpartition(".")[2]
            allowed = ".common.jit" in module or last in ("fused", "dense", "order", "table")
            lazily = module in ("huenet.kernels.common.backends", "huenet.kernels.common.window_forms")  # in a function; for types
            assert allowed or lazily, module


def test_the_package_knows_no_benchmark_and_no_tests():
    for module, names in imports(KERNELS | HUENET).items():
        assert not {name for name in names if name.split(".")[0] in ("bench", "tests")}, module


def test_tests_of_operators_need_operators_only():
    for module, names in imports(TESTS).items():
        if module.startswith(("tests.kernels", "tests.interpreted", "tests.gpu")):
            assert not {name for name in names if name.split(".")[0] == "bench"}, module
            assert not {name for name in names if name.startswith("huenet") and not name.startswith("huenet.kernels")}, module
