"""`huenet demo`."""

import dataclasses
from pathlib import Path

from ..color_transfer.presets import DEMO
from ..training.config import RunConfig
from .evaluate import report, unseen
from .mistakes import must_be_writable, needs_extra, user_input
from .train import run_training

GARDEN = 240


@dataclasses.dataclass(frozen=True)
class Demo:
    """Paint three photos with the model in the package, then train a small Hue-Net, evaluate it and paint pictures with it, in a
    few minutes on two CPU cores.

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
        from ..color_transfer.examples import paint_examples
        from ..color_transfer.painter import Painter
        from ..color_transfer.system import ColorTransfer
        from ..data import load_folder
        from ..data.garden import garden

        with user_input():
            config = dataclasses.replace(DEMO, train=dataclasses.replace(DEMO.train, seed=self.seed))
            run = RunConfig(max_minutes=self.minutes)
            must_be_writable(self.out)
        print(f"painted with the model in the package: {', '.join(str(path) for path in paint_examples(self.out))}")
        with user_input():
            size = config.model.size
            if self.data is not None:
                photos = load_folder(self.data, size, minimum=config.train.hold_out + 2, recursive=None)
            else:
                photos = garden(GARDEN, size, self.seed, margin=True)
            system = ColorTransfer(config, photos)
        code = run_training(system, self.out, run)
        if code == 0:
            painter = Painter.load(self.out / system.result)
            report(painter.model, unseen(photos, painter.metadata), self.out, pairs=100, seed=self.seed)
        return code
