"""The metrics of the Hue-Net paper's Table 1, on seeded pairs of photographs.

    result = evaluate(model, photos, pairs=200, seed=0)
    result.write("out/")                                        # table1.md and table1.json

Hues are counted in hard bins. A grey pixel has no hue: pixels vote by saturation * value. Both metrics depend
on the size of the pictures (fewer pixels share more bins by chance), so quote the size with every number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..color import color_weights, rgb_to_hsv
from ..data import Photos
from ..kernels import emd
from .baselines import match_hue, reinhard

Painter = Callable[[Tensor, Tensor], Tensor]
METRICS = ("emd_target_source", "emd_target_output", "mi_source_target", "mi_source_output")
_OF_OUTPUT = ("emd_target_output", "mi_source_output")
_EXAMPLES = 7  # rows of the paper's table


def hue_histogram(rgb: Tensor, bins: int = 256) -> Tensor:
    """Hard histogram (B, bins) of the hues of RGB pictures (B, 3, H, W).

    Each pixel counts by its saturation * value. float64 on the CPU; every row sums to 1. A picture without
    any colour has no hue to count: its row is uniform.
    """
    hue, weights = _hues_and_votes(rgb)
    counts = _count(_bin(hue, bins), weights, bins)
    total = counts.sum(dim=1, keepdim=True)
    return torch.where(total > 0, counts / total.where(total > 0, 1.0), 1.0 / bins)


def hue_joint_histogram(first: Tensor, second: Tensor, bins: int = 256) -> Tensor:
    """Hard joint histogram (B, bins, bins) of the hues of two batches (B, 3, H, W) of one size.

    Each pixel counts by the first picture's saturation * value. float64 on the CPU; each histogram sums to 1,
    or to 0 where the first picture has no colour.
    """
    hue, weights = _hues_and_votes(first)
    cell = _bin(hue, bins) * bins + _bin(_hues_and_votes(second)[0], bins)
    counts = _count(cell, weights, bins * bins)
    total = counts.sum(dim=1, keepdim=True)
    return (counts / total.where(total > 0, 1.0)).unflatten(1, (bins, bins))


def hue_emd(first: Tensor, second: Tensor, bins: int = 256) -> Tensor:
    """Circular earth mover's distance (B,) between the hue histograms of two batches (B, 3, H, W).

    Eq. 14 in the RMS form of Eq. 12: from 0 to sqrt(1/2), for two opposite hues. Sizes may differ.
    """
    return emd(hue_histogram(first, bins), hue_histogram(second, bins), circular=True)


def hue_mutual_information(first: Tensor, second: Tensor, bins: int = 256) -> Tensor:
    """Relative mutual information I / H (B,) of the hues of two batches (B, 3, H, W) of one size, in [0, 1].

    It is 1 - D_MI of Eq. 17. Each pixel counts by the first picture's saturation * value. Where the joint
    entropy is 0 nothing can be shared: 0.
    """
    joint = hue_joint_histogram(first, second, bins)
    entropy, first_entropy, second_entropy = (
        torch.special.entr(p).flatten(1).sum(dim=1) for p in (joint, joint.sum(dim=2), joint.sum(dim=1))
    )
    information = (first_entropy + second_entropy - entropy).clamp(min=0.0)
    return torch.where(entropy > 0, information / entropy.where(entropy > 0, 1.0), 0.0)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    `pairs`: for each pair the names `source` and `target`, the four `METRICS`, and by painter ("reinhard",
    "matching", "without_mi") the two that depend on the output. `settings`: how it was measured.
    """

    pairs: list[dict]
    settings: dict

    def means(self, painter: str | None = None) -> dict[str, float]:
        """The four metrics' means over all pairs, of the evaluated model or of another `painter`."""
        rows = [row if painter is None else row | row[painter] for row in self.pairs]
        return {metric: float(np.mean([row[metric] for row in rows])) for metric in METRICS}

    @property
    def others(self) -> list[str]:
        """The painters beside the evaluated model: the baselines, and "without_mi" where one was given."""
        return [name for name, value in self.pairs[0].items() if isinstance(value, dict)]

    def as_dict(self) -> dict:
        """The content of table1.json."""
        others = {painter: self.means(painter) for painter in self.others}
        return {"mean": self.means(), **others, "pairs": self.pairs, "settings": self.settings}

    def as_markdown(self) -> str:
        """The content of table1.md: the first pairs as in the paper, then the means of all painters."""
        columns = ["No.", "source", "target", "EMD TAR-SRC", "EMD TAR-OUT", "MI SRC-TAR", "MI SRC-OUT"]
        rows = [
            [str(number), *(row[role].replace("|", "\\|") for role in ("source", "target")), *_format(row)]
            for number, row in enumerate(self.pairs[:_EXAMPLES], start=1)
        ]
        rows.append(["mean", f"of {len(self.pairs)} pairs", "", *_format(self.means())])
        if "without_mi" in self.others:
            columns.append("MI SRC-OUT w/o L_MI")
            information = [row["without_mi"]["mi_source_output"] for row in self.pairs[:_EXAMPLES]]
            information.append(self.means("without_mi")["mi_source_output"])
            rows = [[*row, f"{number:.3f}"] for row, number in zip(rows, information)]
        titles = {
            "without_mi": "Hue-Net without L_MI",
            "reinhard": "Reinhard (Lab)",
            "matching": "hue histogram matching",
        }
        painters = [["Hue-Net", *_format(self.means())]]
        painters += [[titles[painter], *_format(self.means(painter))] for painter in self.others]
        return "\n".join(
            [
                "# Table 1: colour transfer",
                "",
                *_markdown_table(columns, rows, text_columns=3),
                "",
                *_markdown_table(["mean", *columns[3:7]], painters, text_columns=1),
                "",
                _how_measured(self.settings),
                "",
            ]
        )

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write table1.md and table1.json into `folder`, which is made where it is missing."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / "table1.md").write_text(self.as_markdown(), encoding="utf-8", errors="backslashreplace")
        table = json.dumps(self.as_dict(), indent=1, allow_nan=False)
        (path / "table1.json").write_text(table + "\n", encoding="utf-8")


def evaluate(
    paint: Painter,
    photos: Photos,
    pairs: int = 200,
    seed: int = 0,
    *,
    without_mi: Painter | None = None,
    batch_size: int = 16,
    bins: int = 256,
) -> Evaluation:
    """Table 1 of `paint`, of the two classical baselines and, where given, of a model trained without L_MI.

    `paint` takes sources and targets, float RGB (B, 3, S, S) in [0, 1] on the photos' device with S =
    `photos.size`, and returns outputs like the sources. The pairs are those of `draw_pairs`. Raises
    ValueError for fewer than two photos, `pairs` below 1, and an output of another shape, not finite or
    outside [0, 1].
    """
    drawn = draw_pairs(len(photos), pairs, seed)
    painters = {"output": paint, "reinhard": reinhard, "matching": match_hue}
    if without_mi is not None:
        painters["without_mi"] = without_mi
    rows: list[dict] = []
    with tqdm(total=len(drawn), desc="evaluating", unit="pair", disable=None, leave=False) as progress:
        for start in range(0, len(drawn), batch_size):
            batch = drawn[start : start + batch_size]
            rows += _measure(painters, photos, batch, bins)
            progress.update(len(batch))
    settings = {
        "size": photos.size,
        "pairs": len(drawn),
        "photos": len(photos),
        "seed": seed,
        "bins": bins,
        "emd": "circular, RMS (Eq. 12, 14), hard bins, weighted by each image's own saturation * value",
        "mi": "relative mutual information I / H, hard bins, weighted by the source's saturation * value",
    }
    return Evaluation(rows, settings)


def draw_pairs(photos: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Seeded (source, target) indices of `photos` photos, the two different and no pair twice.

    There are photos * (photos - 1) such pairs; where `pairs` asks for more, all are returned.
    """
    if photos < 2:
        raise ValueError(f"a pair needs two photos, got {photos}")
    if pairs < 1:
        raise ValueError(f"pairs must be at least 1, got {pairs}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    possible = photos * (photos - 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    source, step = np.divmod(rng.choice(possible, min(pairs, possible), replace=False), photos - 1)
    target = (source + 1 + step) % photos
    return list(zip(source.tolist(), target.tolist()))


def _measure(painters: dict[str, Painter], photos: Photos, batch: Sequence[tuple[int, int]], bins: int) -> list[dict]:
    sources, targets = zip(*batch)
    source, target = photos.pictures(sources), photos.pictures(targets)
    between = {
        "emd_target_source": hue_emd(target, source, bins).tolist(),
        "mi_source_target": hue_mutual_information(source, target, bins).tolist(),
    }
    rows = [
        {
            "source": photos.names[i],
            "target": photos.names[j],
            **{name: values[n] for name, values in between.items()},
        }
        for n, (i, j) in enumerate(batch)
    ]
    for painter, paint in painters.items():
        with torch.no_grad():
            output = paint(source, target)
        _check_output(output, source)
        of_output = zip(hue_emd(target, output, bins).tolist(), hue_mutual_information(source, output, bins).tolist())
        for row, values in zip(rows, of_output):
            found = dict(zip(_OF_OUTPUT, values))
            row.update(found if painter == "output" else {painter: found})
    return rows


def _check_output(output: Tensor, source: Tensor) -> None:
    if output.shape != source.shape:
        raise ValueError(f"paint must return the source's shape {tuple(source.shape)}, got {tuple(output.shape)}")
    if not (output.isfinite().all() and output.min() >= -1e-3 and output.max() <= 1 + 1e-3):
        raise ValueError(f"paint must return RGB in [0, 1], got {output.min():g} to {output.max():g}")


def _hues_and_votes(rgb: Tensor) -> tuple[Tensor, Tensor]:
    hsv = rgb_to_hsv(rgb.detach().cpu())
    return hsv[:, 0].flatten(1), color_weights(hsv).flatten(1).double()


def _bin(hue: Tensor, bins: int) -> Tensor:
    return (hue.double() * bins).long()  # a hue below 1 in float32 is below `bins` in float64


def _count(cell: Tensor, weights: Tensor, cells: int) -> Tensor:
    """Sum of `weights` (B, N) by `cell` (B, N): (B, cells)."""
    offset = cells * torch.arange(len(cell))[:, None]
    counts = torch.bincount((cell + offset).flatten(), weights.flatten(), minlength=cells * len(cell))
    return counts.reshape(len(cell), cells)


def _format(metrics: dict) -> list[str]:
    return [f"{metrics[metric]:.3f}" for metric in METRICS]


def _markdown_table(columns: list[str], rows: list[list[str]], text_columns: int) -> list[str]:
    alignment = ["---" if index < text_columns else "---:" for index in range(len(columns))]
    return [f"| {' | '.join(row)} |" for row in (columns, alignment, *rows)]


def _how_measured(settings: dict) -> str:
    return (
        f"{settings['pairs']} pairs of {settings['photos']} photos (seed {settings['seed']}) at "
        f"{settings['size']} x {settings['size']}, {settings['bins']} bins. "
        f"EMD: {settings['emd']}; less is closer to the target. "
        f"MI: {settings['mi']}; more keeps more of the source."
    )
