"""Translating in Python and by files: sizes, channels, directions, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import huenet
from huenet.color_transfer.config import ModelConfig as HueModelConfig
from huenet.color_transfer.model import HueNet, save_generator
from huenet.color_transfer.painter import Painter
from huenet.training import checkpoint
from huenet.training.checkpoint import CheckpointError
from huenet.translation.config import ModelConfig
from huenet.translation.model import save_translator
from huenet.translation.networks import Generators
from huenet.translation.translator import Translator, translate_files


def translator(path: Path, **changes: object) -> Path:
    """A file with weights as they are drawn."""
    torch.manual_seed(0)
    settings = {"size": 16, "width": 4, "blocks": 1, "discriminator_depth": 1, "channels_a": 3, "channels_b": 3, **changes}
    save_translator(path, Generators(ModelConfig(**settings)))
    return path


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("generator", ["resnet", "unet", "digits"])
def test_any_size(tmp_path: Path, generator: str, norm: str) -> None:
    translate = huenet.load(translator(tmp_path / "t.safetensors", generator=generator, depth=3, norm=norm))
    for height, width in ((1, 1), (1, 40), (5, 4), (8, 8), (17, 16), (31, 33), (50, 9)):
        found = translate(noise(2, 3, height, width))
        assert found.shape == (2, 3, height, width) and found.min() >= 0 and found.max() <= 1
    assert translate(noise(2, 3, 17, 16)).std() > 0
    assert translate(noise(3, 20, 21).double()).dtype == torch.float64


def test_mixed_channels_and_directions(tmp_path: Path) -> None:
    translate = huenet.load(translator(tmp_path / "t.safetensors", channels_a=1))
    color, grey = noise(3, 20, 21), noise(1, 20, 21)
    assert translate(grey).shape == (3, 20, 21) and translate(color, "b-to-a").shape == (1, 20, 21)
    assert translate(grey.unsqueeze(0), "a-to-b").shape == (1, 3, 20, 21)
    # a grey picture is the same whether it comes with one channel or with three
    assert torch.allclose(translate(grey), translate(grey.expand(3, -1, -1)), atol=1e-5)
    assert torch.equal(translate(grey, "b-to-a"), translate(grey.expand(3, -1, -1), "b-to-a"))
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    # the weights of 2^-16 differ from these by 1e-5, and networks at their beginning change it little
    assert torch.allclose(translate(color), translate(luma.unsqueeze(0)), atol=1e-3)
    picture = Image.fromarray((color * 255).byte().permute(1, 2, 0).numpy())
    assert translate(picture).mode == "RGB" and translate(picture, "b-to-a").mode == "L"
    assert translate(picture.convert("L"), "b-to-a").size == (21, 20)


def test_pictures_are_translated_as_tensors_are(tmp_path: Path) -> None:
    translate = huenet.load(translator(tmp_path / "t.safetensors"))
    pixels = (noise(19, 23, 3) * 255).byte()
    Image.fromarray(pixels.numpy()).save(tmp_path / "photo.png")
    expected = (translate(pixels.permute(2, 0, 1) / 255) * 255).round().byte().permute(1, 2, 0)
    for photo in (tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.open(tmp_path / "photo.png")):
        assert np.array_equal(np.asarray(translate(photo)), expected.numpy())


def test_transparency_and_data_are_kept(tmp_path: Path) -> None:
    translate = huenet.load(translator(tmp_path / "t.safetensors", channels_b=1))
    image = Image.fromarray((noise(19, 23, 4) * 255).byte().numpy(), "RGBA")
    exif = Image.Exif()
    exif[0x013B] = "an artist"
    image.save(tmp_path / "photo.png", exif=exif, dpi=(72, 72))
    (written,) = translate_files(translate, tmp_path / "photo.png", tmp_path / "out")
    found = Image.open(written)
    assert found.size == (23, 19) and np.array_equal(np.array(found)[..., 3], np.array(image)[..., 3])
    assert found.getexif()[0x013B] == "an artist" and round(found.info["dpi"][0]) == 72
    image.convert("RGB").save(tmp_path / "photo.jpg", exif=exif)
    (written,) = translate_files(translate, tmp_path / "photo.jpg", tmp_path / "out")
    assert Image.open(written).mode == "L" and Image.open(written).getexif()[0x013B] == "an artist"


def test_one_direction_is_the_default_and_the_other_an_error(tmp_path: Path) -> None:
    path = translator(tmp_path / "t.safetensors", directions="b-to-a")
    translate = huenet.load(path)
    photo = noise(3, 16, 16)
    assert translate.directions == ("b-to-a",) and torch.equal(translate(photo), translate(photo, "b-to-a"))
    with pytest.raises(ValueError, match=r"direction must be b-to-a, which .*t.safetensors was trained for, got 'a-to-b'"):
        translate(photo, "a-to-b")
    both = huenet.load(translator(path))
    assert not torch.equal(both(photo, "a-to-b"), both(photo, "b-to-a"))


@pytest.mark.parametrize(
    ("photo", "error"),
    [(7, TypeError), (noise(2, 8, 8), ValueError), (noise(3, 8, 8).byte(), TypeError), (2 * noise(3, 8, 8), ValueError)],
)
def test_what_is_no_photo_is_named(tmp_path: Path, photo: object, error: type) -> None:
    with pytest.raises(error, match="photo must"):
        huenet.load(translator(tmp_path / "t.safetensors"))(photo)


def test_load_tells_painters_and_translators_apart(tmp_path: Path) -> None:
    save_generator(tmp_path / "g.safetensors", HueNet(HueModelConfig(size=32, width=4)))
    assert isinstance(huenet.load(tmp_path / "g.safetensors"), Painter)
    assert isinstance(huenet.load(translator(tmp_path / "t.safetensors")), Translator)
    with pytest.raises(CheckpointError, match=r"g.safetensors is a generator checkpoint where a translator checkpoint"):
        Translator.load(tmp_path / "g.safetensors")
    with pytest.raises(CheckpointError, match=r"t.safetensors is a translator checkpoint where a generator checkpoint"):
        Painter.load(tmp_path / "t.safetensors")
    (tmp_path / "text").write_text("nothing")
    with pytest.raises(CheckpointError, match="text is damaged"):
        huenet.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        huenet.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="max_megapixels must be a number above 0, got 0"):
        huenet.load(tmp_path / "t.safetensors", max_megapixels=0)


def test_damaged_translators_are_named(tmp_path: Path) -> None:
    path = translator(tmp_path / "t.safetensors")
    tensors, metadata = checkpoint.read(path, "translator")
    model = metadata["model"]
    for changed in ({"width": 8}, {"channels_a": None}, {"width": 2**21}, {"size": 0}, {"unknown": 1}, {"generator": "unet"}):
        checkpoint.write(path, "translator", tensors, {"model": {**model, **changed}})
        with pytest.raises(CheckpointError, match=r"t.safetensors (describes no model|holds another architecture)"):
            huenet.load(path)
    checkpoint.write(path, "translator", tensors, {})
    with pytest.raises(CheckpointError, match=r"t.safetensors describes no model this version knows: KeyError"):
        huenet.load(path)
    large = {name: torch.full_like(one, 1e30) for name, one in tensors.items()}
    checkpoint.write(path, "translator", large, {"model": model})
    with pytest.raises(CheckpointError, match=r"t.safetensors makes what is not finite"):
        huenet.load(path)(noise(3, 16, 16))
