"""huenet.compat.monai: against MONAI, where it is installed, and against its formulas written out densely."""

from __future__ import annotations

import enum
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from huenet.compat.monai import GlobalMutualInformationLoss, gaussian_bins
from tests.assertions import assert_close
from tests.largest import LargestTensor
from tests.paths import REPOSITORY

DTYPES = [torch.float32, torch.float64]
KERNELS = ["gaussian", "b-spline"]
#: absolute of values; of gradients relative to the largest, but twice the rounding of the formula itself where that is more
VALUE = {torch.float32: 1e-6, torch.float64: 1e-10}
GRADIENT = {torch.float32: 1e-5, torch.float64: 1e-10}


def images(*shape: int, seed: int = 0, spill: float = 0.1) -> tuple[Tensor, Tensor]:
    """Float64, but numbers of float32; related; some of the first's beyond [0, 1]."""
    x, noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))
    x = x * (1 + 2 * spill) - spill
    return x.double(), (x.square() + 0.2 * noise).double()


def plain(pred: Tensor, target: Tensor, kernel_type="gaussian", num_bins=23, sigma_ratio=0.5, nr=1e-7, dr=1e-7, strict=False):
    """MONAI's formulas, (B,). Centres in the images' dtype, the Gaussian's factor with float32's rounding, as it is there."""
    k = torch.arange(num_bins, dtype=pred.dtype)
    weights = []
    for image, order in ((pred, 3), (target, 0)):
        if kernel_type == "gaussian":
            ends = torch.linspace(0, 1, num_bins)
            sigma = (ends[1:] - ends[:-1]).mean() * sigma_ratio
            distance = image.clamp(0, 1).flatten(1).unsqueeze(-1) - k / (num_bins - 1)
            weight = (distance.square() * -(1 / (2 * sigma**2)).to(pred.dtype)).exp()
            weights.append(weight / weight.sum(-1, keepdim=True))
            continue
        low, high = (end if strict else end.detach() for end in (image.min(), image.max()))
        width = (high - low) / (num_bins - 4)
        t = image / width - (low / width - 2)
        d = ((t.clamp(2, num_bins - 3) if strict else t).flatten(1).unsqueeze(-1) - k).abs()
        if order == 3:
            inner, outer = (4 - 6 * d**2 + 3 * d**3) / 6, (2 - d).clamp_min(0) ** 3 / 6
            weights.append(torch.where(d < 1, inner, outer))
        else:
            weights.append((d < 0.5).to(pred.dtype) + 0.5 * (d == 0.5))
    a, b = weights
    joint = a.mT @ b / a.shape[1]
    independent = a.mean(1).unsqueeze(-1) * b.mean(1).unsqueeze(-2)
    return -(joint * ((joint + nr) / (independent + dr) + dr).log()).sum((1, 2))


def with_gradients(loss, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    value = loss(x, y)
    return value.detach(), list(torch.autograd.grad(value.sum(), (x, y), allow_unused=True))


def largest_error(found: Tensor, expected: Tensor) -> float:
    scale = expected.abs().max().item()
    return (found.double() - expected).abs().max().item() / (scale or 1.0)


def apart(gradient: Tensor, x: Tensor, split: bool) -> list[Tensor]:
    """With `split`, the gradients of x's extremes apart from the others, which they hide."""
    if not split:
        return [gradient]
    ends = torch.tensor([x.argmin(), x.argmax()])
    others = gradient.flatten().clone()
    others[ends] = 0
    return [gradient.flatten()[ends], others]


def check(found, formula, x: Tensor, y: Tensor, dtype: torch.dtype, split: bool = False, slack: float = 0.0) -> None:
    """Values and gradients of `found` in dtype against those of the formula in float64, which are off by `slack`."""
    value, gradients = with_gradients(found, x.to(dtype), y.to(dtype))
    expected, expected_gradients = with_gradients(formula, x, y)
    _, rounded_gradients = with_gradients(formula, x.to(dtype), y.to(dtype))
    assert value.dtype == dtype and value.shape == expected.shape
    assert (value - expected).abs().max() <= VALUE[dtype] + slack
    assert expected_gradients[0].any()
    for gradient, wanted, theirs in zip(gradients, expected_gradients, rounded_gradients):
        assert (gradient is None) == (wanted is None)
        if wanted is None:
            continue
        for part in zip(*(apart(each, x, split) for each in (gradient, wanted, theirs))):
            own = largest_error(part[2], part[1]) if dtype == torch.float32 else 0
            assert largest_error(part[0], part[1]) <= max(GRADIENT[dtype], slack, 2 * own)


def monai(*settings, exact: bool = True, **options):
    """MONAI's loss; for "gaussian" its centres are made again in float64, unless not `exact`, as they are rounded to float32."""
    losses = pytest.importorskip("monai.losses")
    loss = losses.GlobalMutualInformationLoss(*settings, **options)
    if loss.bin_centers is not None and exact:
        loss.bin_centers = (torch.arange(loss.num_bins, dtype=torch.float64) / (loss.num_bins - 1)).view(1, 1, -1)
    return loss


SHAPES = [(2, 1, 17, 19), (1, 2, 6, 7, 8), (3, 200), (1, 1, 40, 41), (2, 1, 9, 10, 11)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "num_bins, sigma_ratio", [(23, 0.5), (32, 1.0), (64, 0.1), (2, 0.3), (16, 2.0), (9, 0.1), (9, 0.061), (9, 0.05), (12, 0.04)]
)
def test_gaussian_is_monais(dtype, shape, num_bins, sigma_ratio):
    settings = "gaussian", num_bins, sigma_ratio, "none"
    x, y = images(*shape, seed=num_bins)
    check(GlobalMutualInformationLoss(*settings), monai(*settings), x, y, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("num_bins", [23, 6, 48])
def test_strict_b_spline_is_monais(dtype, shape, num_bins):
    """In float64 MONAI's marginal of the target is of float32."""
    settings = "b-spline", num_bins, 0.5, "none"
    x, y = images(*shape, seed=num_bins)
    found = GlobalMutualInformationLoss(*settings, strict=True)
    check(found, monai(*settings), x, y, dtype, split=True, slack=2**-23 if dtype == torch.float64 else 0)


@pytest.mark.parametrize("seed", range(12))
def test_random_settings_are_monais(seed):
    generator = torch.Generator().manual_seed(seed)
    batch, side, num_bins = (int(torch.randint(*ends, (), generator=generator)) for ends in ((1, 4), (4, 20), (6, 70)))
    sigma_ratio, nr, dr = (0.1 + torch.rand(3, generator=generator).double()).tolist()
    settings = KERNELS[seed % 2], num_bins, sigma_ratio, ["mean", "sum", "none"][seed % 3], nr * 1e-5, dr * 1e-5
    x, y = images(batch, 1, side, side + 3, seed=seed)
    split = settings[0] == "b-spline"
    check(GlobalMutualInformationLoss(*settings, strict=True), monai(*settings), x, y, torch.float64, split, 2**-23 if split else 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kernel_type, strict", [("gaussian", False), ("b-spline", False), ("b-spline", True)])
@pytest.mark.parametrize("num_bins, sigma_ratio", [(23, 0.5), (33, 0.1), (8, 1.5)])
def test_the_formulas(dtype, kernel_type, strict, num_bins, sigma_ratio):
    """Written out; "b-spline" with nothing clamped and a constant range, and strict."""
    x, y = images(2, 1, 15, 16)
    y = y if kernel_type == "gaussian" else y.detach()
    loss = GlobalMutualInformationLoss(kernel_type, num_bins, sigma_ratio, "none", strict=strict)
    formula = lambda x, y: plain(x, y, kernel_type, num_bins, sigma_ratio, strict=strict)  # noqa: E731
    check(loss, formula, x, y, dtype, split=strict)


def test_the_formulas_are_monais():
    x, y = images(2, 1, 15, 16)
    assert_close(plain(x, y), monai(reduction="none")(x, y), 1e-12)
    # MONAI's marginal of the target is of float32
    assert_close(plain(x, y, "b-spline", strict=True), monai("b-spline", reduction="none")(x, y), 1e-6)


def test_float64_with_monais_rounded_centres():
    """Centres rounded to float32 are off by 2^-25 at most, a 2^-25 (K - 1) / sigma_ratio of a Gaussian's width."""
    x, y = images(2, 1, 15, 16)
    difference = GlobalMutualInformationLoss()(x, y) - monai(exact=False)(x, y)
    assert 0 < abs(difference.item()) < 2**-25 * 22 / 0.5


def test_the_gaussian_is_rounded_as_monais():
    """To the last digit of its factor, here 967.99994."""
    factor = 22**2 / (2 * gaussian_bins(23, 0.5).bandwidth ** 2)
    assert factor == pytest.approx(967.9999389648438, rel=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_narrowest_gaussian_counts_the_nearest_bin(dtype):
    """NaN in MONAI, whose responses are all 0."""
    x, y = (z.clamp(0, 1).to(dtype) for z in images(1, 1, 40, 41))
    settings = "gaussian", 9, 1e-3, "none"
    a, b = (torch.nn.functional.one_hot((z.double() * 8).round().long().flatten(), 9).double() for z in (x, y))
    joint = a.mT @ b / len(a)
    independent = a.mean(0).unsqueeze(-1) * b.mean(0)
    expected = -(joint * ((joint + 1e-7) / (independent + 1e-7) + 1e-7).log()).sum()
    found, gradients = with_gradients(GlobalMutualInformationLoss(*settings), x, y)
    assert abs(found.item() - expected.item()) < VALUE[dtype]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert monai(*settings, exact=False)(x, y).isnan()


def test_strict_changes_what_it_says_only():
    """The top of the range and gradients through the extremes, of "b-spline"."""
    x, y = images(1, 1, 40, 41)
    losses = [GlobalMutualInformationLoss(strict=strict) for strict in (False, True)]
    assert torch.equal(losses[0](x, y), losses[1](x, y))
    (_, right), (_, strict) = (with_gradients(GlobalMutualInformationLoss("b-spline", strict=s), x, y) for s in (False, True))
    top = x > x.min() + (x.max() - x.min()) * (1 - 1 / 19)
    assert not strict[0][top & (x < x.max())].any() and right[0][top].any()
    typical = strict[0].abs().median()
    assert strict[0].flatten()[x.argmax()].abs() > 50 * typical
    assert right[0].flatten()[x.argmax()].abs() < 50 * right[0].abs().median()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("values", [(0.3,), (0.0, 1.0), (-2.0, 3.0), (0.0, 0.5, 1.0)], ids=str)
def test_constant_and_saturated_images(dtype, values):
    x = torch.tensor(values, dtype=torch.float64).repeat(300)[:300].view(1, 1, 15, 20)
    y = images(1, 1, 15, 20)[1]
    for pair in ((x, y), (y, x), (x, x)):
        settings = "gaussian", 23, 0.5, "none"
        theirs, found = monai(*settings), GlobalMutualInformationLoss(*settings)
        (value, gradients), (expected, wanted) = with_gradients(found, *(z.to(dtype) for z in pair)), with_gradients(theirs, *pair)
        rounded = with_gradients(theirs, *(z.to(dtype) for z in pair))[1]
        assert (value - expected).abs().max() <= VALUE[dtype]
        for a, b, c in zip(gradients, wanted, rounded):
            # where all gradients are rounding, as of a constant image, relative to what a gradient may be: 1 / N a bin
            scale = max(b.abs().max().item(), 23 / 300)
            own = 2 * (c - b).abs().max().item() if dtype == torch.float32 else 0
            assert (a - b).abs().max().item() <= max(GRADIENT[dtype] * scale, own)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
@pytest.mark.parametrize("both", [False, True])
def test_a_constant_image_has_no_information_about_another(dtype, value, both):
    """NaN in MONAI, and strictly."""
    x = torch.full((2, 1, 12, 13), value, dtype=dtype)
    y = x if both else images(2, 1, 12, 13)[1].to(dtype)
    for pair in ((x, y), (y, x)):
        found, (gradient, _) = with_gradients(GlobalMutualInformationLoss("b-spline"), *pair)
        # (J + nr) / (p q + dr) + dr is 1 + dr there, but for J's rounding, all one way: 256 equal numbers are added in the dtype
        assert abs(found.item()) < 2e-7 + 256 * torch.finfo(dtype).eps / 4
        assert gradient.isfinite().all()
        assert GlobalMutualInformationLoss("b-spline", strict=True)(*pair).isnan()
        assert monai("b-spline")(*pair).isnan()


@pytest.mark.parametrize("kernel_type", KERNELS)
def test_reductions(kernel_type):
    class Reduction(enum.Enum):
        MEAN, SUM, NONE = "mean", "sum", "none"

    x, y = images(3, 1, 8, 9)
    each = plain(x, y, kernel_type)
    assert each.shape == (3,)
    for reduction, expected in ((Reduction.MEAN, each.mean()), (Reduction.SUM, each.sum()), (Reduction.NONE, each)):
        for given in (reduction, reduction.value):
            loss = GlobalMutualInformationLoss(kernel_type, reduction=given)
            assert loss.reduction == reduction.value
            assert_close(loss(x, y), expected, 1e-10)


def test_monais_own_reductions():
    utils = pytest.importorskip("monai.utils")
    x, y = images(3, 1, 8, 9)
    for reduction in utils.LossReduction:
        found = GlobalMutualInformationLoss(reduction=reduction)(x, y)
        assert_close(found, monai(reduction=reduction)(x, y), 1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kernel_type", KERNELS)
def test_half_precision(kernel_type, dtype):
    """MONAI's dtype of the result: pred's for "gaussian", float32 for "b-spline"; computed in float32, and under autocast in it."""
    x, y = (z.to(dtype) for z in images(2, 1, 8, 9))
    loss = GlobalMutualInformationLoss(kernel_type)
    expected = loss(x.float(), y.float())
    assert expected.dtype == torch.float32
    assert torch.equal(loss(x, y), expected.to(dtype) if kernel_type == "gaussian" else expected)
    assert loss(x, y).dtype == monai(kernel_type, exact=False)(x, y).dtype
    assert loss(x, y.double()).dtype == loss(x, y).dtype
    x.requires_grad_()
    loss(x, y).backward()
    assert x.grad.dtype == dtype and x.grad.any()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(x, y), expected) and torch.equal(loss(x.float(), y.float()), expected)


@pytest.mark.parametrize("kernel_type, sigma_ratio", [("gaussian", 0.5), ("gaussian", 0.05), ("b-spline", 0.5)])
def test_images_of_two_dtypes(kernel_type, sigma_ratio):
    """Computed in the wider one, returned in pred's."""
    x, y = images(2, 1, 8, 9)
    loss = GlobalMutualInformationLoss(kernel_type, sigma_ratio=sigma_ratio)
    expected = loss(x, y)
    for dtypes in ((torch.float32, torch.float64), (torch.float64, torch.float32), (torch.float16, torch.float64)):
        found = loss(*(z.to(dtype) for z, dtype in zip((x, y), dtypes)))
        if dtypes[0] == torch.float16:
            assert found.dtype == (torch.float16 if kernel_type == "gaussian" else torch.float32)
        else:
            assert found.dtype == dtypes[0] and abs(found.item() - expected.item()) < 1e-6


@pytest.mark.parametrize("kernel_type", KERNELS)
def test_nothing_of_pixels_by_bins_is_stored(kernel_type):
    """64^3 voxels in float64 are 2 MB, their responses in 23 bins 48."""
    x, y = (z.requires_grad_() for z in images(1, 1, 64, 64, 64))
    with LargestTensor() as largest:
        GlobalMutualInformationLoss(kernel_type)(x, y).backward()
    assert x.grad.any()
    assert largest.bytes <= 2 * 8 * 64**3


@pytest.mark.parametrize("kernel_type", KERNELS)
@pytest.mark.parametrize("strict", [False, True])
def test_compiles_in_one_graph(kernel_type, strict):
    x, y = images(2, 1, 8, 9)
    loss = GlobalMutualInformationLoss(kernel_type, strict=strict)
    value, (gradient, _) = with_gradients(loss, x, y)
    found, (found_gradient, _) = with_gradients(torch.compile(loss, backend="aot_eager", fullgraph=True), x, y)
    assert_close(found, value, 1e-12)
    assert_close(found_gradient, gradient, 1e-9)


@pytest.mark.parametrize("kernel_type", KERNELS)
def test_a_nan_shows(kernel_type):
    x, y = images(2, 1, 8, 9)
    x[0, 0, 0, 0] = torch.nan
    found = GlobalMutualInformationLoss(kernel_type, reduction="none")(x, y)
    assert found[0].isnan()


def test_the_backend_is_the_operators():
    x, y = images(1, 1, 5, 4)
    assert_close(GlobalMutualInformationLoss(backend="reference")(x, y), plain(x, y)[0], 1e-10)
    with pytest.raises(ValueError, match="backend must be None or one of"):
        GlobalMutualInformationLoss(backend="cuda")(x, y)
    assert "num_bins=9" in repr(GlobalMutualInformationLoss(num_bins=9))


def test_imports_need_no_monai():
    code = """
import sys
sys.modules["monai"] = None
import torch, huenet.compat.monai, huenet.compat.voxelmorph
huenet.compat.monai.GlobalMutualInformationLoss()(torch.rand(1, 9), torch.rand(1, 9))
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x, loss: loss(x, x[:1]), ValueError, r"target must have the shape of pred, expected \(2, 1, 4, 5\), got \(1, 1, 4"),
        (lambda x, loss: loss(x.int(), x), TypeError, "pred must be a floating torch.Tensor, got torch.int32"),
        (lambda x, loss: loss(x, x.tolist()), TypeError, "target must be a floating torch.Tensor, got list"),
        (lambda x, loss: loss(x[0, 0, 0, 0], x[0, 0, 0, 0]), ValueError, r"pred must be images \(B, ...\)"),
        (lambda x, loss: loss(x[:0], x[:0]), ValueError, "pred must be images .* of at least one pixel"),
        (lambda x, loss: loss(x, x.to("meta")), ValueError, "target must be on the device of pred, expected cpu, got meta"),
        (lambda x, loss: type(loss)("box"), ValueError, "kernel_type must be one of 'gaussian', 'b-spline', got 'box'"),
        (lambda x, loss: type(loss)(reduction="max"), ValueError, "reduction must be one of 'mean', 'sum', 'none', got 'max'"),
        (lambda x, loss: type(loss)(num_bins=0), ValueError, "num_bins must be at least 2 with kernel_type='gaussian', got 0"),
        (lambda x, loss: type(loss)("b-spline", 4), ValueError, "num_bins must be at least 5 with kernel_type='b-spline', got 4"),
        (lambda x, loss: type(loss)(num_bins=2.5), TypeError, "num_bins must be an integer, got 2.5"),
        (lambda x, loss: type(loss)(sigma_ratio=0), ValueError, "sigma_ratio must be positive, got 0"),
        (lambda x, loss: type(loss)(smooth_nr=-1e-7), ValueError, "smooth_nr must not be negative, got -1e-07"),
        (lambda x, loss: type(loss)(smooth_dr="0"), TypeError, "smooth_dr must be a real number, got '0'"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(2, 1, 4, 5), GlobalMutualInformationLoss())
