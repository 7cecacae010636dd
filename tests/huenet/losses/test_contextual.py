"""The contextual loss as a module: what it sums, its spatial term, its feature extractors, bad input."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from huenet.kernels import contextual_similarity
from huenet.losses import ContextualLoss, Patches, VGG19Features
from tests.assertions import assert_close

EXACT = 1e-12  # float64, a few hundred terms


def images(batch: int = 2, channels: int = 3, height: int = 12, width: int = 10, *, seed: int = 0, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, channels, height, width, generator=generator, dtype=torch.float64).to(dtype)


def points(image: Tensor) -> Tensor:
    return image.flatten(2).mT


def two_maps(image: Tensor) -> list[Tensor]:
    return [image, image[:, :2, ::2, ::2] ** 2]


@pytest.mark.parametrize(
    "options", [{}, {"distance": "l2", "bandwidth": 0.2}, {"center": "sample", "reduce": "source", "eps": 1e-3}]
)
def test_is_minus_the_logarithm_of_the_similarity(options):
    output, target = images(), images(height=9, seed=1)
    loss = ContextualLoss(lambda image: image, **options)(output, target)
    assert_close(loss, -contextual_similarity(points(output), points(target), **options).log().mean(), EXACT)
    assert loss > 0


@pytest.mark.parametrize("kind", ["sequence", "mapping"])
def test_feature_maps_are_weighted_and_summed(kind):
    output, target = images(), images(seed=1)
    parts = [ContextualLoss(lambda image, i=i: two_maps(image)[i])(output, target) for i in range(2)]
    if kind == "sequence":
        loss = ContextualLoss(two_maps, weights=[3.0, 0.5])
    else:
        loss = ContextualLoss(lambda image: dict(zip("ab", two_maps(image))), weights={"b": 0.5, "a": 3.0})
    assert_close(loss(output, target), 3 * parts[0] + 0.5 * parts[1], EXACT)
    assert_close(ContextualLoss(two_maps)(output, target), parts[0] + parts[1], EXACT)


def test_patches_are_what_they_say():
    image = images(height=11, width=9)
    patches = Patches(size=3, stride=2)(image)
    assert patches.shape == (2, 27, 5, 4)
    assert torch.equal(patches[1, :, 2, 3], image[1, :, 4:7, 6:9].flatten())
    assert torch.equal(Patches(1, 1)(image), image)


def test_place_does_not_count_unless_asked():
    """A permutation of the pixels costs nothing; with the spatial term it does, the more the farther they went."""
    target = images()
    near, far = target.roll(1, dims=-1), target.roll(5, dims=-1)
    plain, bilateral = ContextualLoss(Patches(1, 1)), ContextualLoss(Patches(1, 1), spatial_weight=0.1)
    assert plain(far, target).item() == pytest.approx(plain(target, target).item(), abs=1e-9)
    assert bilateral(target, target) < bilateral(near, target) < bilateral(far, target)


@pytest.mark.parametrize("distance", ["cosine", "l2", "l1"])
def test_spatial_term_is_added_to_the_distance(distance):
    """Against distances and positions spelt out, for maps of different sizes."""
    output, target, weight = images(1, height=5, width=4), images(1, height=3, width=7, seed=1), 0.3
    x, y = points(output)[0], points(target)[0]
    if distance == "cosine":
        mean = y.mean(0)
        d = (1 - torch.nn.functional.cosine_similarity((x - mean).unsqueeze(1), y - mean, dim=-1)) / 2
    else:
        d = (x.unsqueeze(1) - y).square().sum(-1) if distance == "l2" else (x.unsqueeze(1) - y).abs().sum(-1)
    for side, (mine, other) in enumerate(((5, 3), (4, 7))):
        coordinates = [
            torch.tensor([(place + 0.5) / count for place in range(count)], dtype=torch.float64) for count in (mine, other)
        ]
        rows = coordinates[0].repeat_interleave(4) if side == 0 else coordinates[0].repeat(5)
        columns = coordinates[1].repeat_interleave(7) if side == 0 else coordinates[1].repeat(3)
        difference = rows.unsqueeze(1) - columns
        d = d + weight * (difference.abs() if distance == "l1" else difference.square())
    affinity = torch.softmax(-d / (d.amin(1, keepdim=True) + 1e-5) / 0.5, 1)
    loss = ContextualLoss(lambda image: image, distance=distance, spatial_weight=weight)(output, target)
    assert_close(loss, -affinity.amax(0).mean().log(), 1e-10)  # divided by minima of 1e-2


@pytest.mark.parametrize("spatial_weight", [0.0, 0.1])
def test_gradients(spatial_weight):
    loss = ContextualLoss(Patches(2, 1), spatial_weight=spatial_weight)
    inputs = [images(1, 2, 4, 3).requires_grad_(), images(1, 2, 3, 4, seed=1).requires_grad_()]
    assert torch.autograd.gradcheck(loss, inputs)
    assert all(gradient.any() for gradient in torch.autograd.grad(loss(*inputs), inputs))


def test_descent_makes_an_image_of_the_targets_colours():
    """One line in a training loop: pixels follow the loss, whatever their place."""
    target = images(1, height=8, width=8, dtype=torch.float32)
    output = (0.5 + 0.1 * (images(1, height=8, width=8, seed=1, dtype=torch.float32) - 0.5)).requires_grad_()
    loss, optimizer = ContextualLoss(Patches(2, 1)), torch.optim.Adam([output], lr=0.02)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        values.append(loss(output, target))
        values[-1].backward()
        optimizer.step()
    assert values[-1] < 0.7 * values[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    output, target = images(dtype=dtype), images(seed=1, dtype=dtype)
    for loss in (ContextualLoss(Patches(1, 1)), ContextualLoss(Patches(1, 1), spatial_weight=0.1)):
        result = loss(output, target)
        assert result.dtype == torch.float32 and result == loss(output.float(), target.float())


@pytest.mark.parametrize("spatial_weight", [0.0, 0.1])
def test_autocast_changes_nothing(spatial_weight):
    output, target = images(dtype=torch.float32), images(seed=1, dtype=torch.float32)
    loss = ContextualLoss(spatial_weight=spatial_weight)
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss(output, target)
    assert cast == loss(output, target)


@pytest.mark.parametrize("spatial_weight", [0.0, 0.1])
def test_compiles_in_one_graph(spatial_weight):
    loss, target = ContextualLoss(spatial_weight=spatial_weight), images(seed=1)
    output = images().requires_grad_()
    (expected,) = torch.autograd.grad(loss(output, target), output)
    (actual,) = torch.autograd.grad(torch.compile(loss, backend="aot_eager", fullgraph=True)(output, target), output)
    assert expected.any()
    assert_close(actual, expected, 1e-9)


def test_options_show():
    assert "bandwidth=0.1" in repr(ContextualLoss(bandwidth=0.1)) and "Patches(size=5, stride=2)" in repr(ContextualLoss())


def test_vgg_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ImportError, match=r"pip install 'huenet\[vgg\]'"):
        VGG19Features()
    torch.manual_seed(0)
    features = VGG19Features(["relu1_2", "conv2_1", "relu3_2"], weights=None)
    maps = features(images(1, 3, 16, 12, dtype=torch.float32))
    assert {name: tuple(found.shape[1:]) for name, found in maps.items()} == {
        "relu1_2": (64, 16, 12),
        "conv2_1": (128, 8, 6),
        "relu3_2": (256, 4, 3),
    }
    assert (maps["relu1_2"] >= 0).all() and (maps["conv2_1"] < 0).any()
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert len(features.network) == 14  # nothing beyond the last layer asked for
    loss, output = ContextualLoss(features), images(1, 3, 16, 12, seed=1, dtype=torch.float32).requires_grad_()
    loss(output, images(1, 3, 16, 12, dtype=torch.float32)).backward()
    assert output.grad.any()


def test_vgg_ranges_and_grey_images():
    torch.manual_seed(0)
    features = VGG19Features(["conv1_1"], weights=None)
    signed = VGG19Features(["conv1_1"], weights=features_state(features), low=-1.0)
    image = images(1, 1, 6, 6, dtype=torch.float32)
    expected = features(image.expand(1, 3, 6, 6))["conv1_1"]
    assert_close(features(image)["conv1_1"], expected, 0.0)
    assert_close(signed(2 * image - 1)["conv1_1"], expected, 1e-6)


def features_state(features: VGG19Features) -> dict[str, Tensor]:
    """A whole state dict of torchvision's kind that begins as these features do."""
    state = VGG19Features(["relu5_4"], weights=None).network.state_dict() | features.network.state_dict()
    return {f"features.{name}": value for name, value in state.items()} | {"classifier.0.bias": torch.zeros(1)}


@pytest.mark.parametrize("pool", ["max", "average"])
def test_vgg_is_torchvisions(pool):
    try:
        models = pytest.importorskip("torchvision.models", reason="torchvision, an optional extra, is not installed")
    except RuntimeError as error:
        pytest.skip(f"torchvision is not built for this torch: {error}")
    torch.manual_seed(0)
    theirs = models.vgg19(weights=None)
    features = VGG19Features(["relu3_2", "relu5_4"], weights=theirs.state_dict(), pool=pool)
    image = images(1, 3, 32, 32, dtype=torch.float32)
    mean, deviation = (torch.tensor(value).view(3, 1, 1) for value in (VGG19Features.MEAN, VGG19Features.DEVIATION))
    x, expected = (image - mean) / deviation, []
    for index, module in enumerate(theirs.features[:36]):
        x = torch.nn.functional.avg_pool2d(x, 2) if "Pool" in type(module).__name__ and pool == "average" else module(x)
        expected += [x.clone()] if index in (13, 35) else []
    for found, wanted in zip(features(image).values(), expected, strict=True):
        assert_close(found, wanted, 1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ContextualLoss(spatial_weight=-1), "spatial_weight must not be negative, got -1"),
        (lambda: ContextualLoss(bandwidth=0.0), "bandwidth must be a finite number above 0"),
        (lambda: ContextualLoss(distance="dot"), "distance must be one of"),
        (lambda: ContextualLoss(backend="cuda")(images(), images()), "backend must be None or one of"),
        (lambda: ContextualLoss()(images()[0], images()), r"output must be a floating-point tensor \(B, C, H, W\)"),
        (lambda: ContextualLoss()(images(), images().long()), "target must be a floating-point tensor"),
        (lambda: ContextualLoss()(images(), images(1)), "output and target must agree in batch and channels"),
        (lambda: ContextualLoss()(images(), images(height=4)), "image must be at least 5 pixels"),
        (lambda: ContextualLoss(two_maps, weights=[1.0])(images(), images()), "weights must be one for each of the 2 feature maps"),
        (lambda: ContextualLoss(two_maps, weights={"a": 1.0})(images(), images()), "weights must be those of the feature maps"),
        (lambda: ContextualLoss(points)(images(), images()), r"features must give maps \(B, C, h, w\)"),
        (lambda: ContextualLoss(lambda image: [])(images(), images()), "features must give at least one feature map"),
        (lambda: Patches(0), "size and stride must be at least 1"),
        (lambda: VGG19Features(["relu6_1"], weights=None), "layers must be among .* got .'relu6_1'"),
        (lambda: VGG19Features([], weights=None), "layers must be among"),
        (lambda: VGG19Features(weights="places"), "weights must be 'imagenet', a state dict or None, got 'places'"),
        (lambda: VGG19Features(weights=None, pool="mean"), "pool must be 'max' or 'average', got 'mean'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
