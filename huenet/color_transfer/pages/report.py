"""The report of an evaluation as a page: every pair with its pictures, hue histograms and joint histograms.

    (folder / "index.html").write_text(report(evaluation, photos, methods), encoding="utf-8")

Pairs can be sorted by all their numbers, and a source be compared with its output by a slider.
"""

import base64
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from ...data import Photos
from ...metrics.hue import hue_histogram, hue_joint_histogram
from ..evaluation import METRICS, TITLES, Evaluation, Method, draw_pairs
from .page import data_url, escaped, jpeg, render

MOST = 400
"""Pairs on a page: all where there are no more, else the worst half of that, and of the others the first."""
BYTES = 8_000_000
"""Of all pictures together; base64 makes four thirds of it, and numbers and histograms add up to four megabytes."""
HISTOGRAM_BINS, JOINT_BINS = 64, 40
FAINTEST, STRONGEST = 1e-5, 1e-1
"""Shares in a joint histogram between which cells have shades; one pixel of 256 x 256 weighs about the first."""
_QUALITIES = (90, 80, 70)
_BATCH = 16


def report(evaluation: Evaluation, photos: Photos, methods: dict[str, Method], *, most: int = MOST, bytes_: int = BYTES) -> str:
    """HTML, of the evaluation of these `methods` ("output" the evaluated model) on pairs of these `photos`.

    Pictures are JPEG files without chroma subsampling, at the size that was measured, unless they would take more than about
    `bytes_` together: then of less quality, then smaller.
    """
    drawn = draw_pairs(len(photos), evaluation.settings["pairs"], evaluation.settings["seed"])
    shown = _shown(evaluation.pairs, most)
    used = sorted({photo for number in shown for photo in drawn[number]})
    side, quality = _affordable(photos, used, len(shown) * len(methods), bytes_)
    place = {photo: index for index, photo in enumerate(used)}
    pairs = []
    with tqdm(total=len(shown), desc="report", unit="pair", disable=None, leave=False) as progress:
        for start in range(0, len(shown), _BATCH):
            numbers = shown[start : start + _BATCH]
            sources, targets = zip(*(drawn[number] for number in numbers))
            outputs = _outputs(photos, sources, targets, methods, side, quality)
            for number, source, target, made in zip(numbers, sources, targets, outputs):
                pairs.append(_pair(evaluation.pairs[number], number, place[source], place[target], dict(zip(methods, made))))
            progress.update(len(numbers))
    data = {
        "methods": [{"key": key, "title": TITLES[key]} for key in methods],
        "photos": [_photo(photos, index, side, quality) for index in used],
        "pairs": pairs,
        "joint_bins": JOINT_BINS,
        "size": side,
    }
    settings = evaluation.settings
    measured = settings["pairs"] - settings["pairs_without_hue"]
    worse = sum(row["emd_target_output"] > row["emd_target_source"] for row in evaluation.pairs if not row.get("without_hue"))
    mean = evaluation.means()
    return render(
        "report",
        f"Hue-Net on {settings['pairs']} pairs",
        data,
        lead=escaped(
            f"{settings['pairs']} pairs of {settings['photos']} photos, measured at {settings['size']} x {settings['size']} pixels "
            f"with {settings['bins']} bins (seed {settings['seed']})."
        ),
        before=f"{mean['emd_target_source']:.3f}",
        after=f"{mean['emd_target_output']:.3f}",
        information=f"{mean['mi_source_output']:.3f}",
        information_before=f"{mean['mi_source_target']:.3f}",
        worse=str(worse),
        measured=str(measured),
        methods=_table(evaluation),
        emd=escaped(settings["emd"]),
        mi=escaped(settings["mi"]),
        which=escaped(_which(evaluation, len(shown), most, side)),
    )


def _shown(rows: list[dict], most: int) -> list[int]:
    """The numbers of the pairs on the page, in order."""
    if len(rows) <= most:
        return [*range(len(rows))]
    worst = sorted(range(len(rows)), key=lambda number: _ratio(rows[number]) or 0.0, reverse=True)[: most // 2]
    others = (number for number in range(len(rows)) if number not in {*worst})
    return sorted([*worst, *(number for number, _ in zip(others, range(most - len(worst))))])


def _ratio(row: dict) -> float | None:
    """The share of the distance to the target's hues that is left; None where there was none, or no hue."""
    before = row["emd_target_source"]
    return None if row.get("without_hue") or not before else row["emd_target_output"] / before


def _affordable(photos: Photos, used: list[int], outputs: int, bytes_: int) -> tuple[int, int]:
    """The side in pixels, and the quality, of JPEG files that together take about `bytes_`, foretold from a few photos."""
    sample = photos.pictures(used[:: max(1, len(used) // 24)])
    side, count = photos.size, len(used) + outputs
    for quality in _QUALITIES:
        size = sum(len(jpeg(image, quality)) for image in sample) / len(sample) * count
        if size <= bytes_:
            return side, quality
    return max(16, min(side, int(side * (bytes_ / size) ** 0.5))), _QUALITIES[-1]


def _outputs(
    photos: Photos, sources: tuple[int, ...], targets: tuple[int, ...], methods: dict[str, Method], side: int, quality: int
) -> Iterator[list[dict]]:
    """For each pair what the page has of each method's output: picture, hue histogram, joint histogram with the source."""
    source, target = photos.pictures(sources), photos.pictures(targets)
    made = []
    for paint in methods.values():
        with torch.no_grad():
            output = paint(source, target)
        histograms, joints = hue_histogram(output, HISTOGRAM_BINS), hue_joint_histogram(source, output, JOINT_BINS)
        rows = zip(_reduced(output, side), histograms, joints)
        made.append([{"src": data_url(jpeg(i, quality)), "hues": _shares(h), "joint": _shades(j)} for i, h, j in rows])
    return map(list, zip(*made))


def _pair(row: dict, number: int, source: int, target: int, outputs: dict[str, dict]) -> dict[str, Any]:
    for method, output in outputs.items():
        values = row if method == "output" else row[method]
        output |= {"emd": round(values["emd_target_output"], 5), "mi": round(values["mi_source_output"], 5)}
    return {
        "number": number + 1,
        "source": source,
        "target": target,
        "emd": round(row["emd_target_source"], 5),
        "mi": round(row["mi_source_target"], 5),
        "hue": not row.get("without_hue"),
        "outputs": [*outputs.values()],
    }


def _photo(photos: Photos, index: int, side: int, quality: int) -> dict[str, Any]:
    image = photos.pictures([index])
    picture = jpeg(_reduced(image, side)[0], quality)
    return {"name": photos.names[index], "src": data_url(picture), "hues": _shares(hue_histogram(image, HISTOGRAM_BINS)[0])}


def _reduced(images: Tensor, side: int) -> Tensor:
    return images if side == images.shape[-1] else interpolate(images, (side, side), mode="bilinear", antialias=True)


def _shares(histogram: Tensor) -> list[int]:
    """In hundredths of a per cent."""
    return (histogram * 10_000).round().int().tolist()


def _shades(joint: Tensor) -> str:
    """A byte for each cell, rows of the output's hue from 0 up, in base64: 0 where it is empty, else 1 to 255, logarithmic."""
    depth = (joint.clamp(min=FAINTEST) / FAINTEST).log() / torch.tensor(STRONGEST / FAINTEST).log()
    shades = torch.where(joint > 0, 1 + 254 * depth.clamp(max=1.0), 0.0)
    return base64.b64encode(shades.T.round().byte().contiguous().numpy()).decode()


def _table(evaluation: Evaluation) -> str:
    """The means of all methods, rows of an HTML table."""
    means = {"output": evaluation.means()} | {method: evaluation.means(method) for method in evaluation.others}
    cells = {method: "".join(f"<td>{values[metric]:.3f}</td>" for metric in METRICS) for method, values in means.items()}
    return "\n".join(f'<tr><th scope="row">{escaped(TITLES[method])}</th>{row}</tr>' for method, row in cells.items())


def _which(evaluation: Evaluation, shown: int, most: int, side: int) -> str:
    pairs, without = evaluation.settings["pairs"], evaluation.settings["pairs_without_hue"]
    said = (
        f"All {pairs} pairs" if shown == pairs else f"{shown} of {pairs} pairs: the worst {most // 2}, and the first of the others"
    )
    said += f", with pictures of {side} x {side}." + " All are in table1.json." * (shown < pairs)
    if without:
        said += f" {without} of the {pairs} have a picture without hue, and are left out of the means."
    return said
