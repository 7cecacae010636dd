"""The layout tells the story: operators know nothing of systems, nothing knows the benchmark, and no modules go round in a
circle."""

from __future__ import annotations

import graphlib

import pytest

from tests.module_graph import imports, module_files, within

KERNELS = module_files("kernels", "huenet.kernels")
HUENET = module_files("huenet", "huenet")
BENCH = module_files("bench", "bench")
TESTS = module_files("tests", "tests")


@pytest.mark.parametrize("files", [KERNELS | HUENET, BENCH, TESTS], ids=["huenet", "bench", "tests"])
def test_no_circle(files):
    graph = within(imports(files))
    assert sum(map(len, graph.values())) > 20
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


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
            allowed = ".common.jit" in module or last in ("fused", "dense", "order")
            lazily = module in ("huenet.kernels.common.backends", "huenet.kernels.common.windows")  # in a function; for types
            assert allowed or lazily, module


def test_the_package_knows_no_benchmark_and_no_tests():
    for module, names in imports(KERNELS | HUENET).items():
        assert not {name for name in names if name.split(".")[0] in ("bench", "tests")}, module


def test_tests_of_operators_need_operators_only():
    for module, names in imports(TESTS).items():
        if module.startswith(("tests.kernels", "tests.interpreted", "tests.gpu")):
            assert not {name for name in names if name.split(".")[0] == "bench"}, module
            assert not {name for name in names if name.startswith("huenet") and not name.startswith("huenet.kernels")}, module
