"""The terms: what each is, that it pulls, and that one of weight 0 is not computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch.nn import functional as F

from huenet.losses import ContextualLoss, HarmonicLoss, MutualInformationLoss, StructureConsistencyLoss, VGG19Features
from huenet.translation import gan
from huenet.translation.config import LossConfig
from huenet.translation.networks import TURNS, Translated
from huenet.translation.system import Translation
from huenet.translation.terms import Terms
from tests.huenet.translation.tiny import ALL_TERMS, grey, photos, system, tiny

OFF = {"adversarial_weight": 0.0}


def images(channels: int = 3, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(2, channels, 16, 16, generator=torch.Generator().manual_seed(seed)) - 1


def made(channels: int = 3) -> Translated:
    return Translated(*(images(channels, seed) for seed in range(10, 15)))


def terms(**weights: Any) -> dict[str, torch.Tensor]:
    return Terms(LossConfig(**OFF, **weights))(images(), images(seed=1), made(), [])


def test_the_simple_terms_are_their_formulas() -> None:
    source, target, some = images(), images(seed=1), made()
    l1 = lambda x, y: pytest.approx((x - y).abs().double().mean().item(), rel=1e-6)  # noqa: E731  sums of 1,536 floats
    assert terms(cycle_weight=2.0)["cycle"].item() == l1(some.back, source)
    assert terms(cycle_weight=2.0, cycle_form="l2")["cycle"] == F.mse_loss(some.back, source)
    assert terms(identity_weight=2.0)["identity"].item() == l1(some.same, target)
    both = terms(identity_weight=1.0, geometry_weight=1.0)
    there = target.transpose(2, 3).flip(3)  # a quarter turn clockwise, as GcGAN's code makes it
    assert torch.equal(TURNS["rotation"][0](target), there)
    assert both["identity"] == F.l1_loss(some.same, target) + F.l1_loss(some.same_turned, there)
    assert both["geometry"].item() == l1(some.output.transpose(2, 3).flip(3), some.turned)
    assert terms(geometry_weight=1.0, geometry="flip")["geometry"].item() == l1(some.output.flip(2), some.turned)


def test_geometry_consistency_has_the_gradient_of_the_published_two_terms() -> None:
    """Each between a translation and the other one, turned and held fixed."""
    output, turned = images(seed=1).requires_grad_(), images(seed=2).requires_grad_()
    there, back = TURNS["rotation"]
    published = F.l1_loss(output, back(turned.detach())) + F.l1_loss(turned, there(output.detach()))
    expected = torch.autograd.grad(published, (output, turned))
    loss = Terms(LossConfig(geometry_weight=1.0, **OFF))(images(), images(), Translated(output, turned=turned), [])["geometry"]
    # quotients by the number of pixels
    assert all(torch.equal(found, one) for found, one in zip(torch.autograd.grad(loss, (output, turned)), expected))


def test_structure_harmonic_contextual_and_information_are_the_losses_of_those_names() -> None:
    source, target, some = images(), images(seed=1), made()
    assert terms(structure_weight=1.0)["structure"] == StructureConsistencyLoss()(source, some.output)
    narrow = terms(structure_weight=1.0, structure_form="gaussian", structure_sigma=0.25, structure_ridge=0.01)
    assert narrow["structure"] == StructureConsistencyLoss(sigma=0.25, sign=-1, ridge=0.01)(source, some.output)
    wide = terms(structure_weight=1.0, structure_form="gaussian")
    assert wide["structure"] == StructureConsistencyLoss(sign=-1, ridge=0.001)(source, some.output)
    smooth = HarmonicLoss(low=-1.0)
    assert terms(harmonic_weight=1.0)["harmonic"] == smooth(source, some.output) + smooth(some.output, some.back)
    alone = Terms(LossConfig(harmonic_weight=1.0, **OFF))(source, target, Translated(some.output), [])
    assert alone["harmonic"] == smooth(source, some.output)
    assert terms(contextual_weight=1.0)["contextual"] == ContextualLoss()(some.output, target)
    bins = Terms(LossConfig(mi_weight=1.0, **OFF)).mi.bins
    assert terms(mi_weight=1.0)["mi"] == MutualInformationLoss(bins)((some.output + 1) / 2, (source + 1) / 2)


def test_grey_images_are_compared_with_each_channel_of_the_others() -> None:
    source, target, some = images(1), images(seed=1), made()
    found = Terms(LossConfig(structure_weight=1.0, mi_weight=1.0, **OFF))(source, target, some, [])
    assert found["structure"] == StructureConsistencyLoss()(source.expand(-1, 3, -1, -1), some.output)
    back = Terms(LossConfig(structure_weight=1.0, **OFF))(target, source, made(1), [])
    assert back["structure"] == StructureConsistencyLoss()(target, made(1).output.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("name", ["cycle", "identity", "geometry", "structure", "harmonic", "contextual", "mi"])
def test_each_term_pulls(name: str) -> None:
    """Alone, it falls by a fifth of what it was within 40 steps. Structure, minus a dependence that an identity brings to about .25
    in either direction, gains a tenth; mutual information, 2 less its shares of both directions, three times its share."""
    config = tiny(**OFF, **{f"{name}_weight": 1.0}, learning_rate=1e-2, mi_bins=16, harmonic_bins=4, batch_size=3, ema=0.0)
    training = system(config)
    values = [float(training.step(step)[name]) for step in range(40)]
    before, after = sum(values[:3]) / 3, sum(values[-3:]) / 3
    if name == "structure":
        assert after < before - 0.1
    elif name == "mi":
        assert 2 - after > 3 * (2 - before)
    else:
        assert after < 0.8 * before


def test_without_weight_nothing_is_built_or_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("StructureConsistencyLoss", "HarmonicLoss", "ContextualLoss", "MutualInformationLoss"):
        monkeypatch.setattr(f"huenet.translation.terms.{name}", lambda *_, **__: pytest.fail("built"))
    monkeypatch.setattr(gan, "Discriminators", lambda *_: pytest.fail("built"))
    training, calls = system(tiny(**OFF, identity_weight=1.0)), []
    for generator in training.gan.generators.generators.values():
        generator.register_forward_hook(lambda *_: calls.append(1))
    losses = training.step(0)
    assert len(calls) == 4, "translations and those of the identity term; no cycle, nothing turned"
    assert training.gan.pools == {} and not any("discriminator" in name for name in training.state())
    assert {name for name, value in losses.items() if value} == {"total", "identity"}


def test_the_total_is_the_weighted_sum() -> None:
    weights = {name: 0.5 + place for place, name in enumerate(name for name in ALL_TERMS if name.endswith("_weight"))}
    training = system(tiny(**{**ALL_TERMS, **weights}))
    losses = {name: float(value) for name, value in training.step(0).items()}
    expected = losses["adversarial"] + sum(weight * losses[name.removesuffix("_weight")] for name, weight in weights.items())
    assert losses["total"] == pytest.approx(expected, rel=1e-6)  # float32 sums
    assert list(losses) == list(training.losses) and all(losses.values())


def test_cross_entropy_in_place_of_squares() -> None:
    squares, entropy = (system(tiny(adversarial_form=form)).step(0) for form in ("lsgan", "cross-entropy"))
    assert float(squares["adversarial"]) != float(entropy["adversarial"]) > 0


def test_any_callables_features() -> None:
    halved = lambda image: F.avg_pool2d(image, 2)  # noqa: E731
    config = tiny(**OFF, harmonic_weight=1.0, harmonic_sigma=1.0, contextual_weight=1.0)
    training = Translation(config, photos(1), grey(2), contextual_features=halved, harmonic_features=halved)
    usual = Translation(config, photos(1), grey(2))
    found, other = training.step(0), usual.step(0)
    assert all(float(found[name]) != float(other[name]) > 0 for name in ("harmonic", "contextual"))
    with pytest.raises(ValueError, match="sigma must be given with features"):
        Translation(tiny(**OFF, harmonic_weight=1.0), photos(1), grey(2), harmonic_features=halved)


def test_vgg19_from_a_file_of_its_weights(tmp_path: Path) -> None:
    """Random ones, of the shapes and names of torchvision's, which are not to be had here."""
    torch.manual_seed(0)
    modules = torch.nn.Sequential(*VGG19Features._architecture(torch.nn.MaxPool2d)[1])
    weights = {f"features.{name}": value for name, value in modules.state_dict().items()}
    path = tmp_path / "vgg19.safetensors"
    safetensors.torch.save_file(weights, path)
    options = {"contextual_weight": 1.0, "contextual_features": "vgg19"}
    config = LossConfig(**OFF, **options, vgg19_weights=str(path))
    output = images().requires_grad_()
    loss = Terms(config)(images(1), images(seed=1), Translated(output), [])["contextual"]
    expected = ContextualLoss(VGG19Features(weights=weights, low=-1.0))(output, images(seed=1))
    assert torch.equal(loss, expected) and torch.autograd.grad(loss, output)[0].abs().max() > 0
    path.write_bytes(path.read_bytes()[:1000])
    named = r"vgg19_weights must be a safetensors file of torchvision's VGG19, got .*vgg19.safetensors"
    with pytest.raises(ValueError, match=named):
        Terms(config)
    safetensors.torch.save_file({"features.0.weight": torch.ones(3)}, path)
    with pytest.raises(ValueError, match=named):
        Terms(config)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"vgg19.safetensors"):
        Terms(config)
