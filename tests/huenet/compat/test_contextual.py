"""huenet.compat.contextual: against contextual_loss_pytorch's formulas, right and as its code has them, written out densely."""

from __future__ import annotations

import statistics
import subprocess
import sys
import types

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from huenet.compat.contextual import ContextualBilateralLoss, ContextualLoss, contextual_bilateral_loss, contextual_loss
from huenet.losses import VGG19Features
from tests.assertions import assert_close, relative_error
from tests.largest import LargestTensor
from tests.paths import REPOSITORY

LOSS_TYPES = ["cosine", "l1", "l2"]
#: relative to float64's formula; gradients' errors are relative to the largest
VALUE = {torch.float32: 1e-6, torch.float64: 1e-10}
GRADIENT = {torch.float32: 1e-5, torch.float64: 1e-10}


def features(*shape: int, seed: int = 0, relu: bool = False) -> tuple[Tensor, Tensor]:
    """Float64, but numbers of float32. With `relu` many zeros, as in a network."""
    x, y = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))
    y = 0.5 * x.roll(1, -1) + y + 0.3
    return tuple((z.relu() if relu else z).double() for z in (x, y))


def distances(x: Tensor, y: Tensor, loss_type: str, strict: bool) -> Tensor:
    """(B, C, H, W) twice -> (B, N, N), x's points first."""
    if loss_type == "cosine":
        mean = y.mean((0, 2, 3), keepdim=True)
        u, v = (F.normalize(z - mean, dim=1).flatten(2) for z in (x, y))
        return 1 - u.mT @ v
    u, v = (z.flatten(2).mT for z in (x, y))
    difference = u.unsqueeze(2) - v.unsqueeze(1)
    if loss_type == "l1":
        return difference.sum(-1).abs() if strict else difference.abs().sum(-1)
    if strict:
        return (v.square().sum(-1).unsqueeze(2) - 2 * u @ v.mT + u.square().sum(-1).unsqueeze(1)).clamp_min(0)
    return difference.square().sum(-1)


def affinities(d: Tensor, band_width: float) -> Tensor:
    w = torch.exp((1 - d / (d.min(2, keepdim=True).values + 1e-5)) / band_width)
    return w / w.sum(2, keepdim=True)


def plain(x: Tensor, y: Tensor, band_width: float = 0.5, loss_type: str = "cosine", strict: bool = False) -> Tensor:
    p = affinities(distances(x, y, loss_type, strict), band_width)
    return -(p.max(1).values.mean(1) + 1e-5).log().mean()


def plain_bilateral(
    x: Tensor, y: Tensor, weight_sp: float = 0.1, band_width: float = 1.0, loss_type: str = "cosine", strict: bool = False
) -> Tensor:
    p = affinities(distances(x, y, loss_type, strict), band_width)
    height, width = x.shape[-2:]
    rows, columns = (torch.arange(side, dtype=x.dtype) / (side + 1) for side in (height, width))
    places = torch.stack([rows.repeat_interleave(width), columns.repeat(height)], 1)
    s = affinities((places.unsqueeze(1) - places).square().sum(-1).unsqueeze(0), band_width)
    return -(((1 - weight_sp) * p + weight_sp * s).max(2).values.mean(1) + 1e-5).log().mean()


def with_gradients(loss, x: Tensor, y: Tensor, *settings, **options) -> tuple[Tensor, list[Tensor]]:
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    value = loss(x, y, *settings, **options)
    return value, list(torch.autograd.grad(value, (x, y)))


def largest_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


def check(found, formula, *pairs: tuple[Tensor, Tensor], settings: tuple, dtype: torch.dtype, **options) -> None:
    """Value and gradients of `found` in dtype against the formula's in float64, to a tolerance or twice the rounding of the formula
    in that dtype, in the median over pairs: what rounding makes of one pair is chance, of either formula."""
    errors = []
    for x, y in pairs:
        x, y = x.to(dtype), y.to(dtype)
        value, gradients = with_gradients(found, x, y, *settings, **options)
        expected, expected_gradients = with_gradients(formula, x.double(), y.double(), *settings, **options)
        rounded, rounded_gradients = with_gradients(formula, x, y, *settings, **options)
        assert value.dtype == dtype and value.shape == ()
        assert expected_gradients[0].any() and expected_gradients[1].any()
        errors += [[relative_error(value, expected), relative_error(rounded, expected)]]
        for results in (gradients, rounded_gradients):
            errors[-1] += [largest_error(gradient, wanted) for gradient, wanted in zip(results, expected_gradients)]
    ours, theirs, *slopes = map(statistics.median, zip(*errors))
    allowed = 2 if dtype == torch.float32 else 0
    assert ours <= max(VALUE[dtype], allowed * theirs)
    for gradient, own in zip(slopes[:2], slopes[2:]):
        assert gradient <= max(GRADIENT[dtype], allowed * own)


def draws(shape: tuple[int, ...], dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    return [features(*shape, seed=seed) for seed in range(8 if dtype == torch.float32 else 1)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(1, 8, 5, 6), (3, 4, 7, 3), (1, 3, 24, 23), (2, 16, 1, 9)], ids=str)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("band_width", [0.5, 0.1, 2.0])
def test_contextual_loss(dtype, shape, strict, loss_type, band_width):
    if strict and loss_type == "l2":
        shape = (1, *shape[1:])
    check(contextual_loss, plain, *draws(shape, dtype), settings=(band_width, loss_type), strict=strict, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "shape", [(1, 8, 5, 6), (3, 4, 7, 3), (1, 3, 24, 23), (1, 40, 24, 23), (2, 40, 5, 6), (2, 4, 2, 400)], ids=str
)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("weight_sp, band_width", [(0.1, 1.0), (0.5, 0.4)])
def test_contextual_bilateral_loss(dtype, shape, strict, loss_type, weight_sp, band_width):
    """Also of maps of several blocks, and so wide that a place has affinity to its neighbours'."""
    if strict:
        shape = (1, *shape[1:])
    settings = weight_sp, band_width, loss_type
    check(contextual_bilateral_loss, plain_bilateral, *draws(shape, dtype), settings=settings, strict=strict, dtype=dtype)


@pytest.mark.parametrize("seed", range(12))
def test_random_shapes_and_settings(seed):
    generator = torch.Generator().manual_seed(seed)
    batch, channels, height, width = (int(torch.randint(1, most, (), generator=generator)) for most in (4, 20, 12, 12))
    pair = features(batch, channels + 1, height + 1, width + 1, seed=seed, relu=seed % 2 == 0)
    band_width = 0.1 + torch.rand((), generator=generator).item()
    loss_type = LOSS_TYPES[seed % 3]
    check(contextual_loss, plain, pair, settings=(band_width, loss_type), dtype=torch.float64)
    check(contextual_bilateral_loss, plain_bilateral, pair, settings=(0.2, band_width, loss_type), dtype=torch.float64)


def test_defaults_are_the_originals():
    x, y = features(1, 6, 5, 4)
    assert_close(contextual_loss(x, y), plain(x, y, 0.5, "cosine"), 1e-10)
    assert_close(contextual_bilateral_loss(x, y), plain_bilateral(x, y, 0.1, 1.0, "cosine"), 1e-10)
    assert_close(ContextualLoss()(x, y), plain(x, y, 0.5, "cosine"), 1e-10)
    assert_close(ContextualBilateralLoss()(x, y), plain_bilateral(x, y, 0.1, 0.5, "cosine"), 1e-10)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_modules(loss_type):
    """As their settings say; strict, as the original's modules do: always cosine, the band width in place of the weight."""
    x, y = features(1, 6, 5, 4)
    assert_close(ContextualLoss(0.3, loss_type.upper())(x, y), plain(x, y, 0.3, loss_type), 1e-10)
    assert_close(ContextualLoss(0.3, loss_type, strict=True)(x, y), plain(x, y, 0.3, "cosine"), 1e-10)
    bilateral = plain_bilateral(x, y, 0.2, 0.3, loss_type)
    assert_close(ContextualBilateralLoss(0.2, 0.3, loss_type)(x, y), bilateral, 1e-10)
    theirs = ContextualBilateralLoss(0.2, 0.3, loss_type, strict=True)(x, y)
    assert_close(theirs, plain_bilateral(x, y, 0.3, 1.0, "cosine"), 1e-10)
    assert relative_error(theirs, bilateral) > 1e-3
    assert "band_width=0.3" in repr(ContextualBilateralLoss(0.2, 0.3)) and "strict=True" in repr(ContextualLoss(strict=True))


@pytest.mark.parametrize("loss_type", ["l1", "l2"])
def test_strict_differs(loss_type):
    x, y = features(1, 6, 5, 4)
    for loss in (contextual_loss, contextual_bilateral_loss):
        assert relative_error(loss(x, y, loss_type=loss_type, strict=True), loss(x, y, loss_type=loss_type)) > 1e-3


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_constant_features(loss_type):
    """All affinities are alike, whatever the rounding of the mean; gradients are finite."""
    x, y = (torch.full((2, 5, 4, 6), 0.1) for _ in range(2))
    value, gradients = with_gradients(contextual_loss, x, y, loss_type=loss_type)
    assert_close(value, -torch.tensor(1 / 24 + 1e-5).log(), 1e-6)
    assert all(gradient.isfinite().all() for gradient in gradients)
    value, gradients = with_gradients(contextual_bilateral_loss, x, y, loss_type=loss_type)
    assert_close(value, -torch.tensor(0.9 / 24 + 0.1 + 1e-5).log(), 1e-6)
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_equal_features(loss_type):
    """Every point is its own nearest, at distance 0: the loss is that of the similarity 1."""
    x, _ = features(2, 5, 4, 6)
    for loss in (contextual_loss, contextual_bilateral_loss):
        value, gradients = with_gradients(loss, x, x, loss_type=loss_type)
        assert abs(value.item() + 1e-5) < 1e-9
        assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("loss", [contextual_loss, contextual_bilateral_loss])
def test_a_nan_shows(loss):
    x, y = features(2, 5, 4, 6)
    y[0, 0, 0, 0] = torch.nan
    assert loss(x, y).isnan()


@pytest.mark.parametrize("call", [contextual_bilateral_loss, lambda x, y: contextual_loss(x, y, loss_type="l2", strict=True)])
def test_distances_are_never_stored_whole(call):
    """Blocks of 2^18 numbers, at most of float64, of 2^22 distances."""
    x, y = (z.float().requires_grad_() for z in features(1, 3, 32, 64))
    with LargestTensor() as largest:
        call(x, y).backward()
    assert x.grad.any() and y.grad.any()
    assert largest.bytes <= 2**18 * 8


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("loss", [contextual_loss, contextual_bilateral_loss])
def test_half_precision(loss, dtype):
    """The inputs' dtype, as there; computed in float32. Under autocast float32, as there."""
    x, y = (z.to(dtype) for z in features(2, 5, 4, 6))
    expected = loss(x.float(), y.float())
    assert expected.dtype == torch.float32
    assert loss(x, y).dtype == dtype and torch.equal(loss(x, y), expected.to(dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(x, y), expected) and torch.equal(loss(x.float(), y.float()), expected)


@pytest.mark.parametrize("loss", [contextual_loss, contextual_bilateral_loss])
def test_compiles_in_one_graph(loss):
    x, y = features(2, 5, 4, 6)
    value, gradients = with_gradients(loss, x, y)
    found, found_gradients = with_gradients(torch.compile(loss, backend="aot_eager", fullgraph=True), x, y)
    assert_close(found, value, 1e-12)
    for gradient, expected in zip(found_gradients, gradients):
        assert_close(gradient, expected, 1e-9)


@pytest.mark.parametrize("loss", [contextual_loss, contextual_bilateral_loss])
def test_a_second_derivative_is_an_error(loss):
    x, y = features(1, 5, 4, 6)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        gradient.sum().backward()


def test_the_backend_is_the_operators():
    x, y = features(1, 5, 4, 6)
    assert_close(contextual_loss(x, y, backend="reference"), contextual_loss(x, y, backend="torch"), 1e-12)
    with pytest.raises(ValueError, match="backend must be None or one of"):
        ContextualLoss(backend="cuda")(x, y)


@pytest.fixture
def torchvision(monkeypatch) -> dict[str, Tensor]:
    """Something in torchvision's place that has weights of VGG19's shapes; the weights."""
    torch.manual_seed(0)
    network = VGG19Features(["relu5_4"], weights=None).network
    state = {f"features.{name}": value for name, value in network.state_dict().items()}
    weights = types.SimpleNamespace(IMAGENET1K_V1=types.SimpleNamespace(get_state_dict=lambda **_: state))
    models = types.ModuleType("torchvision.models")
    models.VGG19_Weights = weights
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    return state


def vgg_relu3_4(image: Tensor, state: dict[str, Tensor]) -> Tensor:
    """torchvision's layers up to there, by their numbers."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    for block in ((0, 2), (5, 7), (10, 12, 14, 16)):
        x = x if block[0] == 0 else F.max_pool2d(x, 2)
        for layer in block:
            x = F.conv2d(x, state[f"features.{layer}.weight"], state[f"features.{layer}.bias"], padding=1).relu()
    return x


def test_vgg(torchvision):
    x, y = torch.rand(2, 1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    maps = [vgg_relu3_4(image, torchvision) for image in (x, y)]
    assert maps[0].shape == (1, 256, 4, 6)
    # convolutions of a whole image round in another order
    assert_close(ContextualLoss(use_vgg=True)(x, y), plain(*maps), 1e-4)
    loss = ContextualBilateralLoss(use_vgg=True)
    assert_close(loss(x, y), plain_bilateral(*maps, 0.1, 0.5), 1e-4)
    x.requires_grad_()
    loss(x, y).backward()
    assert x.grad.any() and not any(parameter.requires_grad for parameter in loss.parameters())
    assert ContextualLoss(use_vgg=True, vgg_layer="relu2_2")(x, y) != ContextualLoss(use_vgg=True)(x, y)
    with pytest.raises(ValueError, match="y must have 3 channels with use_vgg=True"):
        loss(x, y[:, :1])
    with pytest.raises(ValueError, match="layers must be among"):
        ContextualLoss(use_vgg=True, vgg_layer="relu9_9")


def test_vgg_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    for module in (ContextualLoss, ContextualBilateralLoss):
        with pytest.raises(ImportError, match=r"use_vgg=True needs torchvision: pip install 'huenet\[vgg\]'"):
            module(use_vgg=True)


def test_imports_load_nothing_optional():
    code = """
import sys
sys.modules["torchvision"] = None
import huenet
assert not any(name.startswith("huenet.") for name in sys.modules)
import huenet.compat.contextual, huenet.compat.torch
import torch
assert huenet.compat.torch.histc is not torch.histc
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda x: contextual_loss(x, x[:, :2]),
            ValueError,
            r"y must have the shape of x, expected \(2, 3, 4, 5\), got \(2, 2, 4, 5\)",
        ),
        (lambda x: contextual_loss(x[0], x[0]), ValueError, r"x must be a floating-point tensor \(B, C, H, W\)"),
        (lambda x: contextual_loss(x, x.long()), ValueError, "y must be a floating-point tensor"),
        (lambda x: contextual_loss(x[:0], x[:0]), ValueError, "x must be .* of at least one element"),
        (lambda x: contextual_loss(x, None), TypeError, "y must be a torch.Tensor, got NoneType"),
        (lambda x: contextual_loss(x, x, 0), ValueError, "band_width must be positive, got 0"),
        (lambda x: contextual_loss(x, x, "0.5"), TypeError, "band_width must be a real number"),
        (lambda x: contextual_loss(x, x, loss_type="dot"), ValueError, "loss_type must be one of 'cosine', 'l1', 'l2', got 'dot'"),
        (lambda x: contextual_loss(x, x, loss_type=2), ValueError, "loss_type must be one of"),
        (lambda x: contextual_loss(x, x, loss_type="l2", strict=True), ValueError, "x and y must be a single sample .* got 2"),
        (lambda x: contextual_bilateral_loss(x, x, strict=True), ValueError, "x and y must be a single sample .* got 2"),
        (lambda x: ContextualBilateralLoss(strict=True)(x, x), ValueError, "x and y must be a single sample .* got 2"),
        (lambda x: contextual_bilateral_loss(x, x, torch.inf), ValueError, "weight_sp must be finite"),
        (lambda x: contextual_bilateral_loss(x, x, band_width=-1.0), ValueError, "band_width must be positive, got -1"),
        (lambda x: ContextualLoss(band_width=0), ValueError, "band_width must be positive"),
        (lambda x: ContextualBilateralLoss(loss_type="ssim"), ValueError, "loss_type must be one of"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(2, 3, 4, 5))
