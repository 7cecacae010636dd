"""Who is measured: what each provider is, how it differs from huenet's mathematics, and whether it can run here."""

import dataclasses
import importlib.metadata
import importlib.util
import os
import shutil

import numpy
import torch


@dataclasses.dataclass(frozen=True)
class Provider:
    title: str
    #: how its numbers differ from ours; for the tables' legend
    note: str
    #: the distribution and the module it needs, beside torch and numpy
    package: tuple[str, str] | None = None
    #: the same mathematics as the float64 specification; if not, it is checked against itself in float64
    same: bool = True
    #: largest relative error of result and gradients in float32
    tolerance: float = 1e-4
    gradient: bool = True
    #: seconds that the first call may take beyond the limit, to compile
    startup: float = 0.0
    #: nothing is known of its time beforehand and it may be minutes: part of the samples are tried first
    probed: bool = False


PROVIDERS = {
    "triton": Provider("huenet triton", "fused GPU kernels", tolerance=2e-6, startup=60.0),
    "torch": Provider("huenet torch", "vectorised PyTorch, any device", tolerance=2e-6),
    "reference": Provider("huenet reference", "our dense specification, careful about rounding", tolerance=1e-5),
    "naive": Provider("naive PyTorch", "the paper's formulas, dense, autograd"),
    "compiled": Provider("torch.compile of naive", "the same by Inductor, static shapes; compilation not timed", startup=120.0),
    "kornia": Provider(
        "kornia",
        "`histogram`, `histogram2d`: a Gaussian of our window's deviation sampled at bin centres, then normalised; "
        "entropies in plain PyTorch",
        ("kornia", "kornia"),
        same=False,
        tolerance=1e-3,
    ),
    "kornia_mi": Provider(
        "kornia MI loss",
        "`mutual_information_loss`: a quadratic spline of our window's deviation, range from the samples' own extremes; "
        "-I, not I/H",
        ("kornia", "kornia"),
        same=False,
        tolerance=1e-3,
    ),
    "monai": Provider(
        "MONAI",
        "`GlobalMutualInformationLoss`: a Gaussian of our window's deviation at bin centres from 0 to 1, normalised per sample; "
        "-I, not I/H",
        ("monai", "monai"),
        same=False,
        tolerance=1e-3,
    ),
    "keops": Provider(
        "KeOps", "the formula as a LazyTensor reduction, nothing stored", ("pykeops", "pykeops"), startup=120.0, probed=True
    ),
    "pot": Provider(
        "POT",
        "`wasserstein_circle`, p = 1: the mean absolute, not squared, distance; given samples it compares these, without bins",
        ("POT", "ot"),
        same=False,
        tolerance=0.05,  # the gradient is made of signs, some of which flip with rounding near the median
    ),
    "pot_linear": Provider(
        "POT, linear",
        "`linear_circular_ot`: both compared by way of the uniform measure; samples, without bins, as histograms get no gradient",
        ("POT", "ot"),
        same=False,
        tolerance=0.05,  # likewise of quantiles
    ),
    "kornia_own": Provider("kornia's own", "the function that `huenet.compat.kornia` stands in for", ("kornia", "kornia")),
    "monai_own": Provider("MONAI's own", "the loss that `huenet.compat.monai` stands in for", ("monai", "monai")),
    "formula": Provider("the original's formula", "what `huenet.compat` stands in for, written out densely in PyTorch"),
    "huenet_order_1": Provider("huenet, order 1", "`emd(order=1)`: what POT computes", same=False, tolerance=0.05),
    "histc": Provider("torch.histc", "hard bins, no gradient: a lower bound", same=False, tolerance=1e-2, gradient=False),
    "numpy": Provider("numpy.histogram2d", "hard bins, no gradient: a lower bound", same=False, tolerance=1e-2, gradient=False),
}


def unavailable(name: str, device: str) -> str | None:
    """Why the provider cannot run on the device, None if it can."""
    package = PROVIDERS[name].package
    if package is not None and importlib.util.find_spec(package[1]) is None:
        return f"{package[0]} is not installed"
    if name == "triton":
        if device != "cuda":
            return "needs a GPU"
        if importlib.util.find_spec("triton") is None:
            return "triton is not installed"
    if name == "compiled" and device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "g++"))):
        return "torch.compile needs a C++ compiler on the CPU"
    if name == "compiled" and device == "cuda" and importlib.util.find_spec("triton") is None:
        return "torch.compile needs triton on a GPU"
    return None


def version(name: str) -> str:
    """Version of the package that the provider comes from."""
    package = PROVIDERS[name].package
    if package is None:
        plain = {"naive", "compiled", "histc", "formula"}
        return f"torch {torch.__version__}" if name in plain else f"numpy {numpy.__version__}" if name == "numpy" else ""
    try:
        return f"{package[0]} {importlib.metadata.version(package[0])}"
    except importlib.metadata.PackageNotFoundError:
        return ""
