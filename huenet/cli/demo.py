"""`huenet demo`."""

import dataclasses
import math
from pathlib import Path

from ..color_transfer.presets import DEMO
from ..training.config import RunConfig
from .evaluate import report, unseen
from .mistakes import must_be_writable, needs_extra, user_input
from .train import run_training

GARDEN = 240


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train a small Hue-Net, evaluate it and paint pictures, in a few minutes on two CPU cores.

    Without --data it learns from a procedural flower garden. The same command again shows the finished result, or goes on.

        huenet demo
        huenet demo --data photos --out photos-demo
    """

    out: Path = Path("huenet-demo")
    """Folder for the pictures, metrics and the trained model."""
    data: Path | None = None
    """Folder of photos to use instead of the garden."""
    minutes: float = 3.0
    """Longest time to train, in minutes."""
    seed: int = 0
    """Seed of everything random, the garden included."""

    def execute(self) -> int:
        needs_extra("demo")
        from ..color_transfer.painter import Painter
        from ..color_transfer.system import ColorTransfer
        from ..data import LOAD_RATIO, load_folder
        from ..data.garden import garden

        with user_input():
            config = dataclasses.replace(DEMO, train=dataclasses.replace(DEMO.train, seed=self.seed))
            run = RunConfig(max_minutes=self.minutes)
            must_be_writable(self.out)
            size = config.model.size
            if self.data is not None:
                photos = load_folder(self.data, size, minimum=config.train.hold_out + 2, recursive=None)
            else:  # a little larger than needed, as a folder's photos are loaded, so that random crops have room
                photos = dataclasses.replace(garden(GARDEN, math.ceil(size * LOAD_RATIO), self.seed), size=size)
            system = ColorTransfer(config, photos)
        code = run_training(system, self.out, run)
        if code == 0:
            painter = Painter.load(self.out / system.result)
            report(painter.model, unseen(photos, painter.metadata), self.out, pairs=100, seed=self.seed)
        return code
