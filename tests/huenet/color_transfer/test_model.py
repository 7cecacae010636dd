"""Painting photos of any size, and the model's file."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from huenet.color import color_weights, hsv_to_rgb, rgb_to_hsv, unit_vector, wrap_hue
from huenet.color_transfer.config import ModelConfig
from huenet.color_transfer.model import HueNet, load_generator, save_generator
from huenet.color_transfer.tones import tone_emd
from huenet.data import bands
from huenet.data.garden import garden
from huenet.training import checkpoint
from huenet.training.checkpoint import CheckpointError
from tests.huenet.color_transfer.small import SMALL, VARIANTS, images

# What heads paint is what is tested here: nothing is held back (test_restraint.py has that).
CONFIG = ModelConfig(size=32, width=2, norm="batch", condition_bins=4, condition_width=4, restraint=False)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_painting_at_the_models_size_is_what_training_sees(variant: dict[str, str]) -> None:
    model = HueNet(dataclasses.replace(SMALL, **variant)).eval()
    source, target = images(2, 3, 32, 32), images(2, 3, 32, 32, seed=1)
    source_hsv = rgb_to_hsv(source)
    hue = model.generator(source_hsv, rgb_to_hsv(target))
    expected = hsv_to_rgb(torch.cat([hue, source_hsv[:, 1:]], dim=1))
    # Painted with the chroma itself, here with saturation times value: a quotient, a product and their difference are rounded.
    assert torch.allclose(model(source, target), expected, rtol=0, atol=4 * 2**-24)


@pytest.mark.parametrize("size", [(32, 32), (20, 300), (47, 35), (90, 64)])
def test_any_sizes_keep_the_sources_saturation_and_value(size: tuple[int, int]) -> None:
    model = HueNet(SMALL).eval()
    source = images(1, 3, *size)
    painted = model(source, images(1, 3, 51, 17, seed=1))
    assert painted.shape == source.shape
    # RGB to HSV and back are a dozen roundings of numbers up to 1, and saturation divides by a value above 1/16 here.
    before, after = rgb_to_hsv(source.clamp_min(1 / 16)), rgb_to_hsv(painted)
    assert torch.allclose(before[:, 2], after[:, 2].clamp_min(1 / 16), atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_painting_in_bands_is_painting_the_whole(variant: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "PIXELS", 1000)
    torch.manual_seed(0)
    model = HueNet(dataclasses.replace(SMALL, **variant)).eval()
    source, target = garden(2, 100, seed=3).pictures([0, 1]).split(1)
    source = F.interpolate(source, (150, 110), mode="bicubic").clamp(0, 1)
    small = lambda picture: rgb_to_hsv(F.interpolate(picture, (44, 32), mode="bilinear", antialias=True).clamp(0, 1))  # noqa: E731
    with torch.no_grad():
        fields, curves, _ = model.generator.predict(small(source), small(target))
        hsv, fields = rgb_to_hsv(source), F.interpolate(fields, (150, 110), mode="bilinear")
        expected = hsv_to_rgb(torch.cat([model.generator.paint(hsv[:, :1], fields, curves), hsv[:, 1:]], dim=1))
        painted = model(source, target)
    # Vectors that are opposite change by 2 within a pixel, and places within 44 pixels are rounded to 2**-24 of it twice: 1e-5. A
    # direction is taken of vectors as short as 1/1000, off then by 0.01 radians, and a channel by 6 * 255 / (2 pi) times that, 2.4
    # steps of eight bits. Nearly everywhere vectors are a thousand times as long.
    error = (painted - expected).abs() * 255
    assert error.max() < 2.5 and error.mean() < 2.5e-3


def test_rotations_are_enlarged_as_unit_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The left half turns by 3/8 and the right by 5/8: between them lies half a turn, not none, within one small pixel."""
    model = HueNet(dataclasses.replace(SMALL, head="rotation")).eval()
    turns = torch.tensor([3 / 8, 5 / 8]).repeat_interleave(16).expand(1, 1, 32, 32)
    monkeypatch.setattr(model.generator.unet, "forward", lambda *_: unit_vector(turns))
    source = hsv_to_rgb(torch.stack([images(1, 256, 256), *torch.full((2, 1, 256, 256), 0.9)], dim=1))
    turned = rgb_to_hsv(model(source, source))[:, 0] - rgb_to_hsv(source)[:, 0]
    # Sixths of a turn over the chroma 0.81: two conversions are some ten roundings of 2**-24.
    assert torch.allclose(turned[..., :124].remainder(1), torch.tensor(3 / 8), atol=1e-5)
    assert torch.allclose(turned[..., 132:].remainder(1), torch.tensor(5 / 8), atol=1e-5)
    between = turned[0, 0, 123:133].remainder(1)
    assert (between.diff() > -1e-5).all() and between.diff().max() > 0.01


def test_grey_photos_have_no_histogram_and_stay_grey() -> None:
    model = HueNet(SMALL).eval()
    grey = images(1, 1, 32, 32).expand(1, 3, 32, 32)
    painted = model(grey, images(1, 3, 32, 32, seed=1))
    assert torch.allclose(painted, grey, atol=1e-6)
    assert model(images(1, 3, 32, 32), grey).isfinite().all()


def test_bad_input_is_named() -> None:
    model = HueNet(SMALL)
    for source, target in (((3, 32, 32), (1, 3, 32, 32)), ((2, 3, 32, 32), (1, 3, 32, 32))):
        with pytest.raises(ValueError, match="source and target"):
            model(torch.rand(source), torch.rand(target))
    by_image = HueNet(dataclasses.replace(SMALL, head="rotation", conditioning="image"))
    with pytest.raises(ValueError, match="one shape"):
        by_image.generator(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 33, 32))


def test_generators_come_back_ready_to_paint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = HueNet(CONFIG)
    image = torch.rand(2, 3, 40, 33)
    model.train()(image, image.flip(0))  # moves the running statistics of batch normalisation
    save_generator(tmp_path / "g.safetensors", model, {"step": 7})
    loaded, metadata = load_generator(tmp_path / "g.safetensors")
    assert loaded.config == CONFIG and metadata["step"] == 7 and not loaded.training
    assert torch.equal(loaded(image, image.flip(0)), model.eval()(image, image.flip(0)))


def test_another_architecture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    state = HueNet(CONFIG).generator.state_dict()
    config = vars(CONFIG)
    for tensors, model in (
        (state, {**config, "width": 4}),
        (state, {**config, "norm": "none"}),
        (state, {**config, "heads": 2}),
        (state, {**config, "size": 3}),
        ({"a": torch.zeros(2)}, config),
    ):
        checkpoint.write(path, "generator", tensors, {"model": model})
        with pytest.raises(CheckpointError, match=r"other.safetensors"):
            load_generator(path)
    checkpoint.write(path, "generator", state, {})
    with pytest.raises(CheckpointError, match=r"other.safetensors"):
        load_generator(path)


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    model = HueNet(CONFIG)
    next(model.parameters()).data.fill_(float("nan"))
    save_generator(path, model)
    with pytest.raises(CheckpointError, match=r"bad.safetensors has weights that are not finite"):
        load_generator(path)


HUGE = [{name: value} for name in ("width", "condition_bins", "condition_width") for value in (10**6, 2**21)]


@pytest.mark.parametrize("setting", [*HUGE, {"knots": 2**21}, {"curves": 2**21}], ids=str)
def test_settings_of_a_huge_network_take_no_memory(
    tmp_path: Path, setting: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused before a tensor of more numbers than the file could hold is made."""
    path, model = tmp_path / "huge.safetensors", HueNet(ModelConfig(size=32, width=2, condition_bins=4, condition_width=4, knots=4))
    settings = {"model": {**vars(model.config), **setting}}
    checkpoint.write(path, "generator", model.generator.state_dict(), settings)
    made, empty = [], torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, **options: made.append(empty(*size, **options)) or made[-1])
    with pytest.raises(
        CheckpointError, match=r"huge.safetensors describes no model this version knows: these settings make a netw"
    ):
        load_generator(path)
    assert sum(tensor.numel() for tensor in made) < 10**7


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"hue_input": "hue"}, "hue_input must be 'value' or 'vector'"),
        ({"conditioning": "none"}, "conditioning must be"),
        ({"head": []}, "head must be"),
        ({"input_skip": "yes"}, "input_skip must be true or false, got 'yes'"),
        ({"dropout": False}, "dropout must be a number, got False"),
        ({"depth": 3.0}, "depth must be an integer or none, got 3.0"),
        ({"size": 10**400}, "size must be at most 2097152"),
        ({"width": 2**62}, "width must be at most 2097152"),
        ({"discriminator_depth": 2**21}, "discriminator_depth 2097152 needs images"),
        ({"new": 1}, "new"),
    ],
    ids=str,
)
def test_settings_of_another_kind_are_named(tmp_path: Path, setting: dict[str, object], named: str) -> None:
    path, model = tmp_path / "other.safetensors", HueNet(CONFIG)
    checkpoint.write(path, "generator", model.generator.state_dict(), {"model": {**vars(model.config), **setting}})
    with pytest.raises(CheckpointError, match=rf"other.safetensors describes no model this version knows: .*{named}"):
        load_generator(path)


@pytest.mark.parametrize("names", [3, None, "a.png", [1], [["a.png"]], ["a.png", "a.png"], {"a.png": 1}], ids=str)
@pytest.mark.parametrize("key", ["trained_on", "held_out"])
def test_names_of_photos_that_are_none_are_named(tmp_path: Path, key: str, names: object) -> None:
    save_generator(tmp_path / "names.safetensors", HueNet(CONFIG), {key: names})
    with pytest.raises(CheckpointError, match=rf"names.safetensors has damaged metadata: {key} is no list of different names"):
        load_generator(tmp_path / "names.safetensors")


def test_a_target_without_hue_leaves_the_sources() -> None:
    """A cast of a step of eight bits is no colour; between one and four steps hues turn a part of their way."""
    torch.manual_seed(0)
    model = HueNet(ModelConfig(size=32, width=4, restraint=False)).eval()
    source = torch.rand(1, 3, 32, 32)
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0] = 1.0
    cast = lambda steps: 0.5 + steps / 255 * red  # noqa: E731
    hue = lambda steps: rgb_to_hsv(model(source, cast(steps)).double())[:, 0]  # noqa: E731
    turned = lambda steps: ((hue(steps) - rgb_to_hsv(source.double())[:, 0] + 0.5) % 1 - 0.5).abs().max().item()  # noqa: E731
    with torch.no_grad():
        assert turned(0) < 1e-5 and turned(0.99) < 1e-5
        assert turned(4) > 0.01 and turned(1.1) < turned(4) / 10


def turned(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """By which part of a turn, from -1/2 to 1/2, (B, H, W)."""
    return wrap_hue(rgb_to_hsv(after)[:, 0] - rgb_to_hsv(before)[:, 0] + 0.5) - 0.5


def half_turns(monkeypatch: pytest.MonkeyPatch, *turns: float) -> HueNet:
    """A model that turns every pixel's hue by one of these, column after column."""
    model = HueNet(dataclasses.replace(SMALL, head="rotation")).eval()
    columns = torch.tensor(turns).repeat(32)[:32].expand(1, 1, 32, 32)
    monkeypatch.setattr(model.generator.unet, "forward", lambda *_: unit_vector(columns))
    return model


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_strength_is_the_share_of_its_way_that_each_hue_turns(variant: dict[str, str]) -> None:
    torch.manual_seed(0)
    model = HueNet(dataclasses.replace(SMALL, **variant)).eval()
    source, target = images(2, 3, 32, 32), images(2, 3, 32, 32, seed=1)
    with torch.no_grad():
        whole = model(source, target)
        painted = [model(source, target, strength=part / 8) for part in range(9)]
    assert torch.equal(painted[0], source) and torch.equal(painted[8], whole)
    steps = torch.stack([turned(before, after) for before, after in itertools.pairwise(painted)])
    colored = color_weights(rgb_to_hsv(source))[:, 0] > 0.1
    # Hues are rounded to 2**-24 some ten times, and by RGB and back, a sixth of which over a chroma of 0.1, ten times more.
    assert (steps - steps.mean(0)).abs()[:, colored].max() < 20 * 20 * 2**-24
    assert (8 * steps.mean(0)).abs()[colored].max() <= 0.75 + 1e-5, "no way is longer than the longest cut allows"
    assert (8 * steps.mean(0)).abs()[colored].max() > 1e-3


def test_neighbours_go_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though one would be nearer to its end by the other one."""
    model = half_turns(monkeypatch, 0.47, 0.53)
    source = hsv_to_rgb(torch.stack([images(1, 32, 32), *torch.full((2, 1, 32, 32), 0.9)], dim=1))
    way = turned(source, model(source, source, strength=0.5))
    ends = torch.tensor([0.47, 0.53]).repeat(16).expand(1, 32, 32)
    # half of each, or of each less a turn; rounded as above
    assert any(torch.allclose(way, (ends - less) / 2, rtol=0, atol=1e-5) for less in (0, 1))
    small = half_turns(monkeypatch, 0.1, -0.2)
    way = turned(source, small(source, source, strength=0.5))
    assert torch.allclose(way, torch.tensor([0.05, -0.1]).repeat(16).expand(1, 32, 32), atol=1e-5), "the shorter way"


def test_strength_and_a_faint_target_are_one_share() -> None:
    torch.manual_seed(0)
    model = HueNet(ModelConfig(size=32, width=4, restraint=False)).eval()
    source, target = images(2, 3, 32, 32), images(2, 3, 32, 32, seed=1)
    share = lambda *chroma, strength: model.predict(source, target, torch.tensor(chroma), strength).share  # noqa: E731
    assert share(0.5, 0.5, strength=1.0) is None
    # 2.5 of 255 lies half way between 1 and 4
    assert share(0.5, 2.5 / 255, strength=0.5).flatten().tolist() == pytest.approx([0.5, 0.25])
    assert share(0.5, 0.0, strength=1.0).flatten().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("strength", [1.5, -0.1, float("nan"), float("inf"), True, "half", None])
def test_what_is_no_strength_is_named(strength: object) -> None:
    model = HueNet(CONFIG).eval()
    with pytest.raises(ValueError, match="strength must be a number from 0 to 1, got"):
        model(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), strength=strength)


@pytest.mark.parametrize("also", [("saturation",), ("value",), ("saturation", "value"), ["value", "saturation"]])
def test_saturation_and_value_too(also: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for comes nearer to the target's, what is not stays, and hues are painted as without."""
    torch.manual_seed(0)
    model = HueNet(SMALL).eval()
    source, target = garden(2, 60, seed=3).pictures([1, 0]).split(1)  # the target has little saturation
    with torch.no_grad():
        plain, painted = model(source, target), model(source, target, also=also)
        half = model(source, target, strength=0.5, also=also)
        assert torch.equal(model(source, target, strength=0, also=also), source)
        monkeypatch.setattr(bands, "PIXELS", 700)
        parts = model(source, target, also=also)
    assert painted.min() >= 0 and painted.max() <= 1
    # as of hues in bands above; curves are of one histogram
    assert (255 * (parts - painted)).abs().max() < 2.5
    before, after, between = (rgb_to_hsv(picture) for picture in (plain, painted, half))
    colored = (after[:, 1] * after[:, 2] > 0.1)[0]
    assert turned(plain, painted)[0, colored].abs().max() < 1e-5
    for name, channel in (("saturation", 1), ("value", 2)):
        # roundings as above, of saturations over values of 1/10 at least
        near = lambda first, second: torch.allclose(first[:, colored], second[:, colored], rtol=0, atol=1e-5)  # noqa: E731
        if name in also:
            assert tone_emd(target, painted)[name] < 0.5 * tone_emd(target, plain)[name]
            assert near(between[:, channel], (before[:, channel] + after[:, channel]) / 2)
        else:
            assert near(before[:, channel], after[:, channel])


def test_grey_stays_grey_whatever_the_target() -> None:
    grey = images(1, 1, 32, 32).expand(1, 3, 32, 32)
    vivid = hsv_to_rgb(torch.stack([images(1, 32, 32, seed=1), *torch.full((2, 1, 32, 32), 1.0)], dim=1))
    painted = HueNet(SMALL).eval()(grey, vivid, also=("saturation", "value"))
    assert torch.equal(painted.amax(1), painted.amin(1)) and painted.mean() > grey.mean()
