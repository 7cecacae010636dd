"""The structure-consistency loss as a module on images."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels import squared_mutual_information
from huenet.kernels.squared_mutual_information.reference import published
from huenet.losses import StructureConsistencyLoss


def _images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1).to(dtype)


def test_is_minus_the_mean_over_images_of_pooled_channels() -> None:
    source, translated = _images(2, 3, 8, 6), _images(2, 3, 8, 6, seed=1)
    rsmi = [squared_mutual_information(a.reshape(-1), b.reshape(-1), sign=1) for a, b in zip(source, translated)]
    expected = -sum(rsmi) / 2
    assert StructureConsistencyLoss()(source, translated).item() == pytest.approx(expected.item(), abs=1e-12)


def test_defaults_are_the_published_code() -> None:
    source, translated = _images(2, 3, 8, 6), _images(2, 3, 8, 6, seed=1)
    expected = -published(source.flatten(1), translated.flatten(1)).mean()
    assert StructureConsistencyLoss()(source, translated).item() == pytest.approx(expected.item(), abs=1e-10)


def test_settings_reach_the_operator() -> None:
    source, translated = _images(1, 1, 8, 6), _images(1, 1, 8, 6, seed=1)
    settings = {"beta": 0.3, "ridge": 0.02, "sign": -1, "low": -1.5, "high": 1.2}
    expected = squared_mutual_information(source.flatten(1), translated.flatten(1), centers=5, sigma=1.3, **settings)
    loss = StructureConsistencyLoss(5, 1.3, **settings)
    assert loss(source, translated) == -expected.mean()
    assert "centers=5" in repr(loss) and "sign=-1" in repr(loss)
    assert StructureConsistencyLoss(backend="reference")(source, translated).item() == pytest.approx(
        StructureConsistencyLoss()(source, translated).item(), abs=1e-12
    )


def test_images_between_0_and_1() -> None:
    source, translated = _images(2, 1, 8, 6), _images(2, 1, 8, 6, seed=1)
    expected = StructureConsistencyLoss()(source, translated).item()
    actual = StructureConsistencyLoss(sigma=0.5, low=0.0)((source + 1) / 2, (translated + 1) / 2).item()
    assert actual == pytest.approx(expected, abs=1e-12)


def test_prefers_what_keeps_structure() -> None:
    """Recoloured and negative images are as good as the original, shuffled ones are not."""
    source = _images(2, 3, 24, 24)
    loss = StructureConsistencyLoss()
    recoloured, shuffled = loss(source, -0.8 * source + 0.1), loss(source, source.flip(2))
    assert loss(source, source) < recoloured < -0.1
    assert abs(shuffled) < 0.02
    assert loss(source, -source).item() == pytest.approx(loss(source, source).item(), abs=1e-12)


def test_trains_a_translation_under_autocast() -> None:
    """One line in a training loop: gradient steps on a convolution make its output depend on its input's structure."""
    torch.manual_seed(0)
    source = _images(2, 3, 16, 16, dtype=torch.float32)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Tanh())
    optimizer, values = torch.optim.Adam(network.parameters(), 0.03), []
    for _ in range(40):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = StructureConsistencyLoss()(source, network(source))
        assert loss.dtype == torch.float32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < values[0] - 0.1


def test_gradcheck_and_compile() -> None:
    source, translated = _images(1, 2, 3, 3), _images(1, 2, 3, 3, seed=1).requires_grad_()
    loss = StructureConsistencyLoss()
    assert torch.autograd.gradcheck(lambda y: loss(source, y), (translated,))
    (expected,) = torch.autograd.grad(loss(source, translated), translated)
    (compiled,) = torch.autograd.grad(torch.compile(loss, backend="aot_eager", fullgraph=True)(source, translated), translated)
    assert expected.any() and torch.allclose(compiled, expected, rtol=1e-12)


def test_bad_input_is_named() -> None:
    image, loss = _images(1, 3, 8, 8), StructureConsistencyLoss()
    for call, error, named in (
        (lambda: loss(image[0], image), ValueError, r"source must be .*\(B, C, H, W\)"),
        (lambda: loss(image, (image * 8).long()), ValueError, "translated must be a floating-point"),
        (lambda: loss(image[:0], image[:0]), ValueError, "source must be .* not empty"),
        (lambda: loss(image, image[:, :1]), ValueError, r"as many channels as source, expected 3, got 1: repeat a grey image"),
        (lambda: loss(image, image[..., :4]), ValueError, "translated must have the shape of source"),
        (lambda: loss(image.expand(2, 3, 8, 8), image), ValueError, "translated must have the shape of source"),
        (lambda: StructureConsistencyLoss(sigma=-1.0), ValueError, "sigma must be positive"),
        (lambda: StructureConsistencyLoss(centers=2.5), TypeError, "centers must be an integer"),
    ):
        with pytest.raises(error, match=named):
            call()
