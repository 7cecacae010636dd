"""huenet.compat.histogan: against HistoGAN's formulas, written out densely, image by image and plane by plane."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from huenet.compat.histogan import HellingerLoss, LabHistBlock, RGBuvHistBlock, hellinger_loss, rgChromaHistBlock
from tests.assertions import assert_close
from tests.largest import LargestTensor
from tests.paths import REPOSITORY

METHODS = ["inverse-quadratic", "RBF", "thresholding"]
#: relative to the formula's largest
VALUE = {torch.float32: 1e-6, torch.float64: 1e-10}
GRADIENT = {torch.float32: 1e-5, torch.float64: 1e-10}
#: of equal pixels: 256 at a time are added in float32, and round alike; dense, in one go, the formula itself is off by 1.1e-6
EQUAL = 2e-6
EPS = 1e-6


def resized(x: Tensor, h: int, insz: int, resizing: str, strict: bool) -> Tensor:
    if x.shape[2] <= insz and x.shape[3] <= insz:
        return x
    if resizing == "interpolation":
        return F.interpolate(x, size=(insz, insz), mode="bilinear", align_corners=False)
    side = h if strict else insz
    rows, columns = (torch.from_numpy(np.linspace(0, length, side, endpoint=False)).long() for length in x.shape[2:])
    return x.index_select(2, rows).index_select(3, columns)


def kernel(z: Tensor, h: int, method: str, sigma: float, ends: tuple[float, float], strict: bool) -> Tensor:
    """(N,) -> (N, h), float64, as in the original whatever the images' dtype."""
    d = (z.unsqueeze(1) - torch.from_numpy(np.linspace(*ends, num=h))).abs()
    if method == "thresholding":
        eps = (abs(ends[0]) + abs(ends[1]) if strict else ends[1] - ends[0]) / h
        return (d <= eps / 2).double()
    return torch.exp(-(d**2) / sigma**2) if method == "RBF" else 1 / (1 + d**2 / sigma**2)


def rgb_uv(image: Tensor, green_only: bool) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    red, green, blue = (channel.flatten() for channel in image[:3])
    log_red, log_green, log_blue = (torch.log(channel + EPS) for channel in (red, green, blue))
    planes = [
        (log_red - log_green, log_red - log_blue),
        (log_green - log_red, log_green - log_blue),
        (log_blue - log_red, log_blue - log_green),
    ]
    return planes[1:2] if green_only else planes, torch.sqrt(red**2 + green**2 + blue**2 + EPS)


def rg_chroma(image: Tensor, green_only: bool) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    red, green, blue = (channel.flatten() for channel in image[:3])
    total = red + green + blue + EPS
    return [(red / total, green / total)], torch.sqrt(red**2 + green**2 + blue**2 + EPS)


def lab(image: Tensor, green_only: bool) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    luminance, a, b = (channel.flatten() for channel in image[:3])
    return [(a, b)], luminance


def plain(
    x: Tensor,
    h: int = 64,
    insz: int = 150,
    resizing: str = "interpolation",
    method: str = "inverse-quadratic",
    sigma: float = 0.02,
    intensity_scale: bool = True,
    hist_boundary: tuple[float, float] = (-3, 3),
    green_only: bool = False,
    strict: bool = False,
    *,
    sums: torch.dtype = torch.float64,
    features=rgb_uv,
    constant_divisor: bool = False,
) -> Tensor:
    """The histograms; logarithms and weights are in the images' dtype, distances in float64, kernels and sums in `sums`."""
    histograms = []
    for image in resized(x.clamp(0, 1), h, insz, resizing, strict):
        planes, weights = features(image, green_only)
        weights = weights.to(sums).unsqueeze(1) if intensity_scale else 1
        kernels = [[kernel(z, h, method, sigma, hist_boundary, strict).to(sums) for z in plane] for plane in planes]
        histograms.append(torch.stack([(weights * of_u).T @ of_v for of_u, of_v in kernels]))
    histograms = torch.stack(histograms)
    divisor = histograms.sum((1, 2, 3), keepdim=True) + EPS
    return histograms / (divisor.detach() if constant_divisor else divisor)


def plain_hellinger(target: Tensor, generated: Tensor, alpha: float = 2.0, strict: bool = False) -> Tensor:
    squares = (target.sqrt() - generated.sqrt()).square()
    distances = squares.sum().sqrt() if strict else squares.sum((1, 2, 3)).sqrt().sum()
    return alpha / math.sqrt(2) * distances / len(target)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Float64, but numbers of float32, with values that are clamped."""
    return (1.2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.1).double()


def dark(*shape: int) -> Tensor:
    return 0.01 * noise(*shape, seed=1).clamp(0, 1).float().double()


def constant(*shape: int) -> Tensor:
    """Of one colour, whose log ratios are no centres."""
    return torch.tensor([0.31, 0.25, 0.4]).double().view(3, 1, 1).expand(shape).contiguous()


def saturated(*shape: int) -> Tensor:
    """Channels of 0 and 1: log ratios of 0 and of 13.8."""
    return (noise(*shape, seed=2) > 0.5).double()


def gradient(histogram, x: Tensor, upstream: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad((histogram(x) * upstream).sum(), x)
    return found


def error(found: Tensor, expected: Tensor) -> float:
    """Relative to the largest, or to the least normal number of float32: of what lies below, that keeps no digits."""
    largest = expected.double().abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    return ((found.double() - expected.double()).abs().max() / largest).item()


def check(block, formula, x: Tensor, dtype: torch.dtype) -> None:
    """Values against the formula's with logarithms in dtype; gradients against its in float64, to a tolerance or twice the rounding
    of the formula in float32. The derivative of the division subtracts two terms, which cancel in an image of one bin: what is left
    is their rounding."""
    x = x.to(dtype)
    expected = formula(x)
    found = block(x)
    assert found.dtype == dtype and found.shape == expected.shape
    equal = bool((x == x[..., :1, :1]).all())
    assert error(found, expected) <= (EQUAL if equal and dtype == torch.float32 else VALUE[dtype])
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(5)).double()
    wanted = gradient(formula, x.double(), upstream)
    own = 0.0
    if dtype == torch.float32:
        own = error(gradient(lambda x: formula(x, sums=torch.float32), x, upstream.float()), wanted)
    left = 8 * torch.finfo(dtype).eps * gradient(lambda x: formula(x, constant_divisor=True), x.double(), upstream).abs().max()
    found = gradient(block, x, upstream.to(dtype))
    assert error(found, wanted) <= max(GRADIENT[dtype], min(2 * own, 1e-3)) or (found - wanted).abs().max() <= left


def pair(of=RGBuvHistBlock, features=rgb_uv, **settings):
    """A block, and the formula of its settings."""

    def formula(x: Tensor, **options) -> Tensor:
        return plain(x, **settings, features=features, **options)

    return of(**settings), formula


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("image", [noise, dark, constant, saturated, torch.zeros, torch.ones], ids=lambda image: image.__name__)
@pytest.mark.parametrize("h", [16, 64])
@pytest.mark.parametrize("method", METHODS)
def test_rgb_uv(dtype, image, h, method):
    check(*pair(h=h, method=method), image(2, 3, 21, 33), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("resizing", ["interpolation", "sampling"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 40, 61), (1, 4, 19, 61), (1, 3, 25, 17), (1, 3, 24, 24)], ids=str)
def test_images_larger_than_insz(dtype, resizing, strict, shape):
    """And smaller, and exactly so large; a fourth channel does not count."""
    check(*pair(h=16, insz=24, resizing=resizing, strict=strict), noise(*shape), dtype)


@pytest.mark.parametrize("seed", range(12))
def test_random_shapes_and_settings(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda low, high: int(torch.randint(low, high, (), generator=generator))  # noqa: E731
    settings = {
        "h": draw(2, 40),
        "insz": draw(5, 30),
        "resizing": ["interpolation", "sampling"][draw(0, 2)],
        "method": METHODS[seed % 3],
        "sigma": 0.01 + 0.2 * torch.rand((), generator=generator).item(),
        "intensity_scale": bool(draw(0, 2)),
        "hist_boundary": [(-3, 3), (-1.5, 2.25), (0.25, 2)][draw(0, 3)],
        "green_only": bool(draw(0, 2)),
        "strict": bool(draw(0, 2)),
    }
    x = noise(draw(1, 4), draw(3, 5), draw(1, 40), draw(1, 40), seed=seed)
    for dtype in (torch.float32, torch.float64):
        block, formula = pair(**settings)
        if settings["method"] != "thresholding":
            check(block, formula, x, dtype)
        else:  # without a gradient where pixels count alike
            assert error(block(x.to(dtype)), formula(x.to(dtype))) <= VALUE[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("of, features", [(rgChromaHistBlock, rg_chroma), (LabHistBlock, lab)], ids=["rgChroma", "Lab"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("h", [16, 64])
def test_relatives(dtype, of, features, method, h):
    settings = {"h": h, "insz": 24, "method": method, "hist_boundary": (0, 1), "intensity_scale": True}
    for image in (noise, dark):
        check(*pair(of, features, **settings), image(2, 3, 30, 17), dtype)


def test_defaults_are_the_originals():
    x = noise(1, 3, 180, 160)
    assert_close(RGBuvHistBlock()(x), plain(x), 1e-10)
    for of, features in ((rgChromaHistBlock, rg_chroma), (LabHistBlock, lab)):
        assert_close(of()(x), plain(x, intensity_scale=False, hist_boundary=(0, 1), features=features), 1e-10)
    positional = RGBuvHistBlock(16, 100, "sampling", "RBF", 0.3, False, [1, -1], True, "cpu")
    assert_close(positional(x), plain(x, 16, 100, "sampling", "RBF", 0.3, False, (-1, 1), True), 1e-10)
    for of in (rgChromaHistBlock, LabHistBlock):
        assert of(16, 100, "sampling", "RBF", 0.3, False, [1, -1], "cpu")(x).shape == (1, 1, 16, 16)


def test_strict_differs():
    x = noise(1, 3, 40, 61)
    for settings in ({"resizing": "sampling", "insz": 24}, {"method": "thresholding", "hist_boundary": (0.25, 2)}):
        assert error(RGBuvHistBlock(16, strict=True, **settings)(x), RGBuvHistBlock(16, **settings)(x)) > 1e-2


def test_what_is_given_is_not_changed():
    """The original sorts the list it is given."""
    ends = [2, -1]
    block = RGBuvHistBlock(hist_boundary=ends)
    assert ends == [2, -1] and block.hist_boundary == (-1, 2)
    assert "hist_boundary=(-1.0, 2.0)" in repr(block) and "method='inverse-quadratic'" in repr(block)


def test_sums():
    """1, less what is added to the divisor; grey pixels are in no bin where their distance from all centres exceeds half of one."""
    x = noise(3, 3, 8, 9)
    for method in METHODS:
        assert_close(RGBuvHistBlock(16, method=method)(x).sum((1, 2, 3)), torch.ones(3), 1e-4)
    grey = torch.full((1, 3, 8, 9), 0.5)
    assert not RGBuvHistBlock(64, method="thresholding")(grey).any()
    assert RGBuvHistBlock(63, method="thresholding")(grey)[0, :, 31, 31].sum() > 0.999


def test_a_nan_shows():
    x = noise(2, 3, 8, 9)
    x[0, 1, 0, 0] = torch.nan
    histograms = RGBuvHistBlock(16)(x)
    assert histograms[0].isnan().all() and histograms[1].isfinite().all()


def test_black_lab_is_nothing():
    x = noise(1, 3, 8, 9)
    x[:, 0] = 0
    block = LabHistBlock(16, intensity_scale=True)
    assert not block(x).any()
    assert not gradient(block, x, torch.ones(())).any()


def test_responses_are_never_stored_whole():
    """Pieces of 2^17 responses of either coordinate, in float64, where a single plane has 22500 x 64."""
    x = noise(1, 3, 150, 150).float().requires_grad_()
    with LargestTensor() as largest:
        RGBuvHistBlock()(x).square().sum().backward()
    assert x.grad.any()
    assert largest.bytes <= 2 * 2**17 * 8 < 22500 * 64 * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype):
    """Computed and returned in float32, as there; under autocast too."""
    block, x = RGBuvHistBlock(16, insz=6), noise(2, 3, 8, 9).to(dtype)
    expected = block(x.float())
    assert expected.dtype == torch.float32 and torch.equal(block(x), expected)
    loss = hellinger_loss(expected, expected.roll(1, 0))
    halves = (histogram.to(dtype) for histogram in (expected, expected.roll(1, 0)))
    assert hellinger_loss(*halves).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(block(x), expected) and torch.equal(block(x.float()), expected)
        assert torch.equal(hellinger_loss(expected, expected.roll(1, 0)), loss)


def test_compiles_in_one_graph():
    block, x, upstream = RGBuvHistBlock(16, insz=6), noise(2, 3, 8, 9), noise(2, 3, 16, 16)
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    assert_close(compiled(x), block(x), 1e-12)
    assert_close(gradient(compiled, x, upstream), gradient(block, x, upstream), 1e-9)


def test_a_second_derivative_is_an_error():
    x = noise(1, 3, 8, 9).requires_grad_()
    (first,) = torch.autograd.grad(RGBuvHistBlock(16)(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        first.sum().backward()


def test_the_backend_is_the_operators():
    x = noise(1, 3, 8, 9)
    assert_close(RGBuvHistBlock(16, backend="reference")(x), RGBuvHistBlock(16, backend="torch")(x), 1e-12)
    with pytest.raises(ValueError, match="backend must be None or one of"):
        RGBuvHistBlock(backend="cuda")(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("strict", [False, True])
def test_hellinger_loss(dtype, strict):
    target, generated = (RGBuvHistBlock(16)(noise(3, 3, 8, 9, seed=seed)) for seed in (0, 1))
    expected = plain_hellinger(target, generated, 3.0, strict)
    wanted = gradient(lambda h: plain_hellinger(target, h, 3.0, strict), generated, torch.ones(()))
    loss = lambda h: hellinger_loss(target.to(dtype), h, 3.0, strict=strict)  # noqa: E731
    found = loss(generated.to(dtype))
    assert found.dtype == dtype and error(found, expected) <= VALUE[dtype]
    assert error(gradient(loss, generated.to(dtype), torch.ones(())), wanted) <= GRADIENT[dtype]
    assert torch.equal(HellingerLoss(3.0, strict=strict)(target, generated), hellinger_loss(target, generated, 3.0, strict=strict))
    assert_close(hellinger_loss(target, generated), 2 / 3 * hellinger_loss(target, generated, 3.0), 1e-12)


def test_hellinger_loss_of_a_batch():
    """The mean of each pair's, whatever the size of the batch; strict, sqrt(B) times smaller."""
    target, generated = (RGBuvHistBlock(16)(noise(1, 3, 8, 9, seed=seed)) for seed in (0, 1))
    one = hellinger_loss(target, generated)
    assert 0.1 < one < 2
    four = target.expand(4, -1, -1, -1), generated.expand(4, -1, -1, -1)
    assert_close(hellinger_loss(*four), one, 1e-12)
    assert_close(hellinger_loss(*four, strict=True), one / 2, 1e-12)
    assert_close(hellinger_loss(target, generated, strict=True), one, 1e-12)


@pytest.mark.parametrize("strict", [False, True])
def test_hellinger_loss_has_a_gradient_everywhere(strict):
    """Of equal histograms, and in empty bins, as RBF leaves them; the formula's are NaN. A NaN shows."""
    block = RGBuvHistBlock(64, method="RBF")
    x = constant(1, 3, 8, 9)
    histogram = block(x)
    assert (histogram == 0).any()
    assert hellinger_loss(histogram, histogram, strict=strict) == 0
    for target in (histogram, block(noise(1, 3, 8, 9))):
        found = gradient(lambda x, target=target: hellinger_loss(target, block(x), strict=strict), x, torch.ones(()))
        assert found.isfinite().all()
        assert found.any() == (target is not histogram)
        plainly = gradient(lambda x, target=target: plain_hellinger(target, block(x), strict=strict), x, torch.ones(()))
        assert plainly.isnan().any()
    assert hellinger_loss(histogram, torch.full_like(histogram, torch.nan), strict=strict).isnan()


def test_imports_load_nothing_optional():
    code = "import sys; sys.modules.update(torchvision=None, matplotlib=None); import huenet.compat.histogan"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda x: RGBuvHistBlock(1), ValueError, "h must be at least 2, got 1"),
        (lambda x: RGBuvHistBlock(64.0), TypeError, "h must be an integer, got 64.0"),
        (lambda x: RGBuvHistBlock(insz=0), ValueError, "insz must be at least 1, got 0"),
        (lambda x: RGBuvHistBlock(resizing="nearest"), ValueError, "resizing must be one of 'interpolation', 'sampling', got"),
        (lambda x: RGBuvHistBlock(method="rbf"), ValueError, "method must be one of 'thresholding', 'RBF', .* got 'rbf'"),
        (lambda x: RGBuvHistBlock(method=["RBF"]), ValueError, "method must be one of"),
        (lambda x: RGBuvHistBlock(sigma=0), ValueError, "sigma must be positive, got 0"),
        (lambda x: RGBuvHistBlock(sigma=-1), ValueError, "sigma must be positive, got -1"),
        (lambda x: RGBuvHistBlock(sigma="0.02"), TypeError, "sigma must be a real number"),
        (lambda x: RGBuvHistBlock(hist_boundary=[1]), ValueError, r"hist_boundary must be two numbers, got \[1\]"),
        (lambda x: RGBuvHistBlock(hist_boundary=3), ValueError, "hist_boundary must be two numbers, got 3"),
        (lambda x: RGBuvHistBlock(hist_boundary=[2, 2]), ValueError, r"hist_boundary must be two different numbers, got \[2, 2\]"),
        (lambda x: RGBuvHistBlock(hist_boundary=[0, torch.inf]), ValueError, "hist_boundary must be finite"),
        (lambda x: RGBuvHistBlock(device="meta")(x), ValueError, "x must be on the device of this block, expected meta, got cpu"),
        (lambda x: RGBuvHistBlock()(x[0]), ValueError, r"x must be a floating-point tensor \(B, C, H, W\)"),
        (lambda x: RGBuvHistBlock()(x.long()), ValueError, "x must be a floating-point tensor"),
        (lambda x: RGBuvHistBlock()(x[:0]), ValueError, "x must be .* of at least one element"),
        (lambda x: RGBuvHistBlock()(x[:, :2]), ValueError, r"x must have at least 3 channels, got \(2, 2, 4, 5\)"),
        (lambda x: LabHistBlock()(None), TypeError, "x must be a torch.Tensor, got NoneType"),
        (lambda x: hellinger_loss(x, x[:1]), ValueError, r"generated must have the shape of target, expected \(2, 3, 4, 5\), got"),
        (
            lambda x: hellinger_loss(x, x.to("meta")),
            ValueError,
            "generated must be on the device of target, expected cpu",
        ),
        (lambda x: hellinger_loss(x.long(), x), ValueError, "target must be floating-point histograms"),
        (lambda x: hellinger_loss(x, [x]), TypeError, "generated must be a torch.Tensor, got list"),
        (lambda x: hellinger_loss(x, x, -1), ValueError, "alpha must not be negative, got -1"),
        (lambda x: HellingerLoss("2"), TypeError, "alpha must be a real number"),
    ],
)
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call(torch.rand(2, 3, 4, 5))
