"""No worse than the source: which part of the way hues are left to turn."""

from __future__ import annotations

import pytest
import torch

from huenet.color import hsv_to_rgb
from huenet.color_transfer.config import ModelConfig
from huenet.color_transfer.model import HueNet
from huenet.color_transfer.restraint import PARTS, restrained
from huenet.data.garden import garden
from huenet.metrics.hue import hue_emd


def plain(*hues: float) -> torch.Tensor:
    """HSV pictures of one vivid hue each."""
    hsv = torch.ones(len(hues), 3, 4, 4)
    hsv[:, 0] = torch.tensor(hues)[:, None, None]
    return hsv


@pytest.mark.parametrize(
    ("target", "way", "part"),
    [
        (0.5, 0.3, 1.0),  # nearer, if not there
        (0.5, 0.5, 1.0),
        (0.2, 0.0, 1.0),  # as far as before: nothing is lost by what the network wants
        (0.2, 0.3, 0.0),  # from where it should be
        (0.38, 0.4, 0.5),  # past it, to 0.6: half way is 0.4
        (0.4, 0.8, 0.25),  # all around the circle, from 0.2 to 1: a quarter is there
    ],
)
def test_parts(target: float, way: float, part: float) -> None:
    found = restrained(plain(0.2), plain(target), torch.full((1, 1, 4, 4), way))
    assert found.shape == (1, 1, 1, 1) and found.item() == part


def test_each_picture_has_its_own() -> None:
    ways = torch.tensor([0.3, 0.3]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert restrained(plain(0.2, 0.2), plain(0.5, 0.2), ways).flatten().tolist() == [1.0, 0.0]


def test_no_painting_ends_farther_than_its_source() -> None:
    """By a network that has learnt nothing, and turns hues anywhere. Metrics count in hard bins, the restraint in soft ones, which
    a shift of a bin tells apart: 1/256 of the circle."""
    torch.manual_seed(3)
    config = ModelConfig(size=32, width=4, condition_width=8)
    free, held = HueNet(ModelConfig(**{**vars(config), "restraint": False})).eval(), HueNet(config).eval()
    for network in (free, held):
        network.load_state_dict({name: 3 * weight for name, weight in free.state_dict().items()})
    held.load_state_dict(free.state_dict())
    pictures = garden(24, 32, seed=5).images.float() / 255
    source, target = pictures[:12], pictures[12:]
    before = hue_emd(target, source)
    with torch.no_grad():
        assert (hue_emd(target, free(source, target)) > before).any()  # or the test would prove nothing
        assert (hue_emd(target, held(source, target)) <= before + 1 / 256).all()
        same = hue_emd(target, free(source, target)) <= before - 1 / 256
        assert torch.equal(held(source, target)[same], free(source, target)[same])


def test_a_source_that_is_held_back_stays_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    from huenet.color_transfer import model

    monkeypatch.setattr(model, "restrained", lambda source, target, ways: torch.zeros(len(ways), 1, 1, 1))
    network = HueNet(ModelConfig(size=32, width=4, condition_width=8)).eval()
    source, target = hsv_to_rgb(torch.rand(2, 3, 33, 47)), torch.rand(2, 3, 32, 32)
    assert torch.equal(network(source, target), source)
    assert PARTS[0] == 1.0 and PARTS[-1] == 0.0
