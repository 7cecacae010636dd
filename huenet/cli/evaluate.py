"""`huenet evaluate`."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .mistakes import must_be_writable, needs_extra, outputs_are_not_inputs, user_input

if TYPE_CHECKING:
    from ..color_transfer.model import HueNet
    from ..data import Photos

EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a trained model as the paper's Table 1 does, beside two classical methods, with figures.

    If DATA is the folder the model was trained on, only the photos held out of training are used.

        huenet evaluate --checkpoint run/generator.safetensors --data photos --out report
    """

    data: Path
    """Folder of photos."""
    out: Path
    """Folder for index.html, a report to look at, table1.md, table1.json and the figures."""
    checkpoint: Path | None = None
    """A training run's generator.safetensors. None: the model in the package."""
    recursive: bool = False
    """Take the photos of subfolders too."""
    pairs: int = 200
    """Source and target pairs."""
    without_mi: Path | None = None
    """generator.safetensors of a model trained with --mi-weight 0, for the table's last column."""
    also: tuple[Literal["saturation", "value"], ...] = ()
    """saturation, value or both: measure the model with these of huenet transfer --also as well, each and both."""
    seed: int = 0
    """Seed that draws the pairs."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""

    def execute(self) -> int:
        needs_extra("evaluate")
        from ..color_transfer.evaluation import draw_pairs
        from ..color_transfer.painter import Painter
        from ..data import load_folder

        with user_input():
            painter = Painter.load(self.checkpoint, self.device)
            without_mi = None if self.without_mi is None else Painter.load(self.without_mi, self.device).model
            outputs_are_not_inputs(self.out, self.data, self.recursive)
            must_be_writable(self.out)
            photos = load_folder(self.data, painter.model.config.size, recursive=self.recursive)
            photos = unseen(photos, painter.metadata).to(painter.device)
            draw_pairs(len(photos), self.pairs, self.seed)
        report(painter.model, photos, self.out, self.pairs, self.seed, without_mi, self.also)
        return 0


def unseen(photos: Photos, metadata: dict[str, Any]) -> Photos:
    """The photos that `unseen_names` takes."""
    names = unseen_names(photos.names, metadata)
    return photos if names == photos.names else photos.subset([photos.names.index(name) for name in names])


def unseen_names(names: tuple[str, ...], metadata: dict[str, Any]) -> tuple[str, ...]:
    """Those of the photos held out of training if these are photos the model was trained on, else all of them; says which."""
    held_out, trained_on = metadata.get("held_out", []), metadata.get("trained_on", [])
    if not trained_on or not {*held_out, *trained_on} <= {*names}:
        if seen := {*trained_on} & {*names}:  # part of the training folder, or names that every camera gives
            warnings.warn(f"{len(seen)} of these photos have names of photos the model was trained on", stacklevel=3)
        print(f"using all {len(names)} photos" + ", which the model was not trained on" * (bool(trained_on) and not seen))
        return names
    if len(held_out) < 2:
        warnings.warn(f"the model was trained on these photos, and {len(held_out)} were held out: using all", stacklevel=3)
        return names
    print(f"using the {len(held_out)} photos that were held out of training")
    return tuple(held_out)


def report(
    paint: HueNet,
    photos: Photos,
    out: Path,
    pairs: int,
    seed: int,
    without_mi: HueNet | None = None,
    also: tuple[str, ...] = (),
) -> None:
    """Write Table 1, the figures and the page that shows all pairs, print the table."""
    import torch

    from ..color_transfer import figures
    from ..color_transfer.evaluation import compared, draw_pairs, evaluate
    from ..color_transfer.pages.report import report as page
    from ..files import claimed, replacing
    from ..plotting import save

    with contextlib.ExitStack() as stack:
        with user_input():
            stack.enter_context(claimed(out, "table1"))
            result = evaluate(paint, photos, pairs, seed, without_mi=without_mi, also=also)
        result.write(out)
        sources, targets = zip(*draw_pairs(len(photos), pairs, seed)[:EXAMPLES])
        source, target = photos.pictures(sources), photos.pictures(targets)
        with torch.no_grad():
            output = paint(source, target)
            ablated = None if without_mi is None else without_mi(source, target)
        save(figures.color_transfer(source[:2], target[:2], output[:2]), out / "color_transfer.png")
        save(figures.joint_histograms(source, target, output), out / "joint_histograms.png")
        save(figures.comparison(source, target, output, ablated), out / "comparison.png")
        with replacing(out / "index.html") as temporary:
            temporary.write_text(page(result, photos, compared(paint, without_mi, also)), encoding="utf-8")
    print(result.as_markdown())
    print(f"written to {out}: index.html, table1.md, table1.json, color_transfer.png, joint_histograms.png, comparison.png")
