"""The Hue-Net paper's Table 1, on seeded pairs of photographs.

    result = evaluate(model, photos, pairs=200, seed=0)
    result.write("out/")                                        # table1.md and table1.json

It has the `metrics` of the evaluated model and of the classical `baselines`.
"""

import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..color import hue_presence, mean_chroma
from ..data import Photos
from ..files import replacing
from ..metrics.hue import hue_emd, hue_mutual_information
from .baselines import match_hue, reinhard
from .tones import TONES, check_also, tone_emd

Method = Callable[[Tensor, Tensor], Tensor]
"""A method of colour transfer: sources and targets, RGB (B, 3, H, W) in [0, 1], to outputs like the sources."""
METRICS = ("emd_target_source", "emd_target_output", "mi_source_target", "mi_source_output")
TONE_METRICS = tuple(f"{tone}_emd_target_{role}" for role in ("source", "output") for tone in TONES)
_OF_OUTPUT = ("emd_target_output", "mi_source_output")
TITLES = {
    "output": "Hue-Net",
    "without_mi": "Hue-Net without L_MI",
    "reinhard": "Reinhard (Lab)",
    "matching": "hue histogram matching",
    **{f"also_{tone}": f"Hue-Net, also {tone}" for tone in (*TONES, "both")},
}
"""How methods are called where they are shown."""
_EXAMPLES = 7  # rows of the paper's table


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    `pairs`: for each pair the names `source` and `target`, the four `METRICS`, and by method ("reinhard",
    "matching", "without_mi") the two that depend on the output. `settings`: how it was measured.
    """

    pairs: list[dict]
    settings: dict

    def means(self, method: str | None = None) -> dict[str, float]:
        """The four metrics' means over the pairs whose pictures have hues, of the evaluated model or of another `method`."""
        rows = [row if method is None else row | row[method] for row in self.pairs if not row.get("without_hue")]
        metrics = METRICS + TONE_METRICS * bool(self.settings.get("also"))
        return {metric: float(np.mean([row[metric] for row in rows])) for metric in metrics}

    @property
    def others(self) -> list[str]:
        """The methods beside the evaluated model: the baselines, and "without_mi" where one was given."""
        return [name for name, value in self.pairs[0].items() if isinstance(value, dict)]

    def as_dict(self) -> dict:
        """The content of table1.json."""
        others = {method: self.means(method) for method in self.others}
        return {"mean": self.means(), **others, "pairs": self.pairs, "settings": self.settings}

    def as_markdown(self) -> str:
        """The content of table1.md: the first pairs as in the paper, then the means of all methods."""
        columns = ["No.", "source", "target", "EMD TAR-SRC", "EMD TAR-OUT", "MI SRC-TAR", "MI SRC-OUT"]
        rows = [
            [str(number), *(row[role].replace("|", "\\|") for role in ("source", "target")), *_format(row)]
            for number, row in enumerate(self.pairs[:_EXAMPLES], start=1)
        ]
        measured = len(self.pairs) - self.settings.get("pairs_without_hue", 0)
        rows.append(["mean", f"of {measured} pairs", "", *_format(self.means())])
        if "without_mi" in self.others:
            columns.append("MI SRC-OUT w/o L_MI")
            information = [row["without_mi"]["mi_source_output"] for row in self.pairs[:_EXAMPLES]]
            information.append(self.means("without_mi")["mi_source_output"])
            rows = [[*row, f"{number:.3f}"] for row, number in zip(rows, information)]
        shown, heads = METRICS, ["mean", *columns[3:7]]
        if self.settings.get("also"):
            shown += TONE_METRICS
            heads += [f"{tone} EMD TAR-{role}" for role in ("SRC", "OUT") for tone in TONES]
        methods = [[TITLES["output"], *_format(self.means(), shown)]]
        methods += [[TITLES[method], *_format(self.means(method), shown)] for method in self.others]
        tables = _markdown_table(columns, rows, text_columns=3), _markdown_table(heads, methods, text_columns=1)
        return "\n\n".join(["# Table 1: colour transfer", *tables, _how_measured(self.settings)]) + "\n"

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write table1.md and table1.json into `folder`, which is made where it is missing."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        table = json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n"
        for name, text in (("table1.md", self.as_markdown()), ("table1.json", table)):
            with replacing(path / name) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def evaluate(
    paint: Method,
    photos: Photos,
    pairs: int = 200,
    seed: int = 0,
    *,
    without_mi: Method | None = None,
    also: Collection[str] = (),
    batch_size: int = 16,
    bins: int = 256,
) -> Evaluation:
    """Table 1 of `paint`, of the two classical baselines and, where given, of a model trained without L_MI.

    `paint` takes sources and targets, float RGB (B, 3, S, S) in [0, 1] on the photos' device with S = `photos.size`, and returns
    outputs like the sources. With `also`, of "saturation" and "value", it must take an argument of that name, as `HueNet.forward`,
    and is measured with each of them and with both too, and all by the distances of `tone_emd`. The pairs are those of
    `draw_pairs`. Raises ValueError for fewer than two photos, `pairs` below 1, another `also`, and an output of another shape, not
    finite or outside [0, 1].
    """
    drawn = draw_pairs(len(photos), pairs, seed)
    methods = compared(paint, without_mi, also)
    rows: list[dict] = []
    with tqdm(total=len(drawn), desc="evaluating", unit="pair", disable=None, leave=False) as progress:
        for start in range(0, len(drawn), batch_size):
            batch = drawn[start : start + batch_size]
            rows += _measure(methods, photos, batch, bins, bool(also))
            progress.update(len(batch))
    without_hue = sum("without_hue" in row for row in rows)
    if without_hue == len(rows):
        raise ValueError(f"all {len(rows)} pairs have a picture without hue: there is nothing to measure")
    settings = {"size": photos.size, "pairs": len(drawn), "photos": len(photos), "seed": seed, "bins": bins}
    settings["pairs_without_hue"] = without_hue
    settings |= {
        "emd": "circular, RMS (Eq. 12, 14), hard bins, weighted by each image's own saturation * value",
        "mi": "relative mutual information I / H, hard bins, weighted by the source's saturation * value",
    }
    if also:
        settings["also"] = [tone for tone in TONES if tone in also]
    return Evaluation(rows, settings)


def compared(paint: Method, without_mi: Method | None = None, also: Collection[str] = ()) -> dict[str, Method]:
    """The methods of `evaluate`: "output", which is evaluated, the baselines, "without_mi" where one is given, and `paint` with
    each of `also`, and with both."""
    check_also(also)
    methods = {"output": paint, "reinhard": reinhard, "matching": match_hue}
    if without_mi is not None:
        methods["without_mi"] = without_mi
    methods |= {f"also_{tone}": partial(paint, also=(tone,)) for tone in TONES if tone in also}
    return methods | {"also_both": partial(paint, also=TONES)} if {*TONES} <= {*also} else methods


def draw_pairs(photos: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Seeded (source, target) indices of `photos` photos, the two different and no pair twice.

    There are photos * (photos - 1) such pairs; where `pairs` asks for more, all are returned.
    """
    if photos < 2:
        raise ValueError(f"a pair needs two photos, got {photos}")
    for name, value, least in (("pairs", pairs, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    possible = photos * (photos - 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    source, step = np.divmod(rng.choice(possible, min(pairs, possible), replace=False), photos - 1)
    target = (source + 1 + step) % photos
    return list(zip(source.tolist(), target.tolist()))


def _measure(methods: dict[str, Method], photos: Photos, batch: Sequence[tuple[int, int]], bins: int, tones: bool) -> list[dict]:
    sources, targets = zip(*batch)
    source, target = photos.pictures(sources), photos.pictures(targets)
    between = zip(batch, hue_emd(target, source, bins).tolist(), hue_mutual_information(source, target, bins).tolist())
    rows = [
        {"source": photos.names[i], "target": photos.names[j], "emd_target_source": distance, "mi_source_target": information}
        for (i, j), distance, information in between
    ]
    has_hue = (hue_presence(mean_chroma(source)) > 0) & (hue_presence(mean_chroma(target)) > 0)
    for row, has in zip(rows, has_hue.tolist()):
        row |= {} if has else {"without_hue": True}
    if tones:
        _add_tones(rows, target, source, "source")
    for method, paint in methods.items():
        with torch.no_grad():
            output = paint(source, target)
        _check_output(output, source, getattr(paint, "origin", "paint"))
        of_output = zip(hue_emd(target, output, bins).tolist(), hue_mutual_information(source, output, bins).tolist())
        found = [dict(zip(_OF_OUTPUT, values)) for values in of_output]
        if tones:
            _add_tones(found, target, output.clamp(0.0, 1.0), "output")
        for row, values in zip(rows, found):
            row.update(values if method == "output" else {method: values})
    return rows


def _add_tones(rows: list[dict], target: Tensor, picture: Tensor, role: str) -> None:
    for tone, distances in tone_emd(target, picture).items():
        for row, distance in zip(rows, distances.tolist()):
            row[f"{tone}_emd_target_{role}"] = distance


def _check_output(output: Tensor, source: Tensor, paint: str) -> None:
    if output.shape != source.shape:
        raise ValueError(f"{paint} must return the source's shape {tuple(source.shape)}, got {tuple(output.shape)}")
    if not (output.isfinite().all() and output.min() >= -1e-3 and output.max() <= 1 + 1e-3):
        raise ValueError(f"{paint} must return RGB in [0, 1], got {output.min():g} to {output.max():g}")


def _format(metrics: dict, shown: Sequence[str] = METRICS) -> list[str]:
    return [f"{metrics[metric]:.3f}" for metric in shown]


def _markdown_table(columns: list[str], rows: list[list[str]], text_columns: int) -> str:
    alignment = ["---" if index < text_columns else "---:" for index in range(len(columns))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, alignment, *rows))


def _how_measured(settings: dict) -> str:
    without = settings.get("pairs_without_hue")
    left_out = f" {without} of them have a picture without hue and are left out of the means." if without else ""
    return (
        f"{settings['pairs']} pairs of {settings['photos']} photos (seed {settings['seed']}) at "
        f"{settings['size']} x {settings['size']}, {settings['bins']} bins.{left_out} "
        f"EMD: {settings['emd']}; less is closer to the target. "
        f"MI: {settings['mi']}; more keeps more of the source."
        + " Saturation and value EMD: RMS on a line (Eq. 12), 256 levels; saturation is weighted by value."
        * bool(settings.get("also"))
    )
