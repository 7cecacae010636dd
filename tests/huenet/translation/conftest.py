from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from huenet.cli import main
from tests.huenet.translation.commands import train
from tests.huenet.translation.tiny import photos


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders a, of colour photos of unequal sizes, and b, of grey ones; a run on both."""
    place = tmp_path_factory.mktemp("translation")
    for side, mode in (("a", "RGB"), ("b", "L")):
        (place / side).mkdir()
        flowers = photos(ord(side), count=5, side=30)
        for number, image in enumerate(flowers.images):
            picture = Image.fromarray(image.permute(1, 2, 0).numpy()).crop((0, 0, 20 + number, 30 - number))
            picture.convert(mode).save(place / side / f"{number}.png")
    command = train(place, "run", "--method", "gcgan-rot", "--identity-weight", "0", "--steps", "2", "--hold-out", "1")
    assert main(command) == 0
    return place
