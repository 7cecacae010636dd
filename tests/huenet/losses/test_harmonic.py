"""HarmonicLoss: what it means, its ranges and features, gradients in both directions of a cycle, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from huenet.kernels import Bins, harmonic_energy, patch_histogram
from huenet.losses import HarmonicLoss


def images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def checkerboard() -> Tensor:
    """(1, 1, 32, 32): 8 x 8 patches, every other one black."""
    place = torch.arange(4)
    return ((place[:, None] + place) % 2).double().repeat_interleave(8, 0).repeat_interleave(8, 1)[None, None]


def test_values_by_hand() -> None:
    """Of 16 patches half are black, half white, shares of histograms 2 apart. Painted by their colour, alike patches stay alike:
    the energy comes from unlike pairs, half of all, whose weight is exp(-2 / 0.25). Painted by place, left black and right white,
    half of the alike pairs end up 2 apart too."""
    board, loss = checkerboard(), HarmonicLoss()
    unlike = torch.exp(torch.tensor(-8.0, dtype=torch.float64))
    assert loss(board, 1 - board).item() == pytest.approx(unlike.item(), rel=1e-12)
    sides = (torch.arange(32) >= 16).double().expand(1, 1, 32, 32)
    assert loss(board, sides).item() == pytest.approx(2 * (0.25 + 0.25 * unlike.item()), rel=1e-12)


def test_it_is_the_energy_of_shares_of_histograms() -> None:
    source, translated = images(2, 3, 20, 26), images(2, 1, 20, 26, seed=1)
    loss = HarmonicLoss(6, patch=4, stride=3, sigma=0.7, distance="l2")
    f, a = (patch_histogram(x, 6, patch=4, stride=3) / (16 * x.shape[1]) for x in (source, translated))
    assert torch.allclose(f.sum(-1), torch.ones((), dtype=torch.float64), rtol=1e-12)
    assert torch.equal(loss(source, translated), harmonic_energy(f, a, sigma=0.7, distance="l2").mean())


def test_counts_are_rescaled_as_documented() -> None:
    source, translated = images(1, 3, 32, 32), images(1, 3, 32, 32, seed=1)
    counts = [patch_histogram(x, 16) for x in (source, translated)]
    by_counts = harmonic_energy(*counts, sigma=(64 * 3 * 0.5**2) ** 0.5)
    assert by_counts.item() == pytest.approx(64 * 3 * HarmonicLoss()(source, translated).item(), rel=1e-12)


def test_ranges_of_values() -> None:
    source, translated = images(1, 3, 16, 16), images(1, 3, 16, 16, seed=1)
    here = HarmonicLoss()(source, translated).item()
    assert HarmonicLoss(low=-1)(2 * source - 1, 2 * translated - 1).item() == pytest.approx(here, rel=1e-12)
    bins = Bins(16, 0, 255, boundary="reflect", window="triangular")
    assert HarmonicLoss(bins)(255 * source, 255 * translated).item() == pytest.approx(here, rel=1e-12)
    assert 0 < here < 2


def test_any_features() -> None:
    source, translated = images(2, 3, 16, 16), images(2, 3, 16, 16, seed=1)
    pooled = HarmonicLoss(features=lambda x: nn.functional.avg_pool2d(x, 4), sigma=1.0)
    f, a = (nn.functional.avg_pool2d(x, 4).flatten(2).mT for x in (source, translated))
    assert torch.equal(pooled(source, translated), harmonic_energy(f, a, sigma=1.0).mean())
    network = nn.Conv2d(3, 5, 3, stride=2).double()
    learned = HarmonicLoss(features=network, sigma=1.0)
    assert dict(learned.named_parameters()).keys() == {"features.weight", "features.bias"}
    learned(source, translated).backward()
    assert network.weight.grad.any()


def test_both_terms_of_a_cycle() -> None:
    source = images(1, 1, 8, 8)
    translated, reconstructed = images(1, 1, 8, 8, seed=1).requires_grad_(), images(1, 1, 8, 8, seed=2).requires_grad_()
    loss = HarmonicLoss(4, patch=4, stride=2)

    def smoothness(translated: Tensor, reconstructed: Tensor) -> Tensor:
        return loss(source, translated) + loss(translated, reconstructed)

    assert torch.autograd.gradcheck(smoothness, (translated, reconstructed))
    first, both = (
        torch.autograd.grad(value, translated)[0] for value in (loss(source, translated), smoothness(translated, reconstructed))
    )
    assert first.any() and not torch.allclose(first, both)  # the weights of the second term are differentiated too


def test_training_makes_alike_what_was_alike() -> None:
    source = checkerboard()
    painting = images(1, 1, 32, 32).requires_grad_()
    loss, optimizer = HarmonicLoss(8), torch.optim.Adam([painting], 0.02)
    before = loss(source, painting).item()
    for _ in range(20):
        optimizer.zero_grad()
        loss(source, painting).backward()
        optimizer.step()
    assert loss(source, painting).item() < 0.8 * before


def test_half_precision_and_autocast_are_computed_in_float32() -> None:
    source, translated = images(1, 3, 16, 16, dtype=torch.float16), images(1, 3, 16, 16, seed=1, dtype=torch.float16)
    expected = HarmonicLoss()(source.float(), translated.float())
    with torch.autocast("cpu", torch.bfloat16):
        half = HarmonicLoss()(source, translated)
    assert half.dtype == torch.float32 and half == expected


def test_compiles_in_one_graph() -> None:
    loss, source = HarmonicLoss(4, patch=4), images(1, 3, 8, 8, dtype=torch.float32)
    translated = images(1, 3, 8, 8, seed=1, dtype=torch.float32).requires_grad_()
    (expected,) = torch.autograd.grad(loss(source, translated), translated)
    (compiled,) = torch.autograd.grad(torch.compile(loss, backend="aot_eager", fullgraph=True)(source, translated), translated)
    assert expected.any() and torch.allclose(compiled, expected, rtol=1e-5, atol=1e-7)


def test_bad_input_is_named() -> None:
    image, loss = images(1, 3, 16, 16), HarmonicLoss()
    for call, named in (
        (lambda: loss(image[0], image), r"source must be .*\(B, C, H, W\)"),
        (lambda: loss(image, (image * 8).long()), "translated must be a floating-point"),
        (lambda: loss(image, image[..., :8]), "translated must match source in batch, height and width"),
        (lambda: loss(image, image.expand(2, 3, 16, 16)), "translated must match source in batch"),
        (lambda: loss(image[..., :4], image[..., :4]), "patch must fit into x, expected at most 4"),
        (lambda: HarmonicLoss(sigma=0.0)(image, image), "sigma must be positive"),
        (lambda: HarmonicLoss(distance="l3")(image, image), "distance must be one of"),
        (lambda: HarmonicLoss(features=lambda x: x), "sigma must be given with features"),
        (lambda: HarmonicLoss(features=lambda x: x.flatten(1), sigma=1.0)(image, image), r"features must give maps \(B, D, h, w\)"),
        (lambda: HarmonicLoss(Bins(16), low=-1), "low and high belong to a number of bins"),
    ):
        with pytest.raises(ValueError, match=named):
            call()
