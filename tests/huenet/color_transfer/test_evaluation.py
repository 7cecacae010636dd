"""Table 1 of known methods, and how it is written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from huenet.color_transfer.baselines import match_hue
from huenet.color_transfer.evaluation import METRICS, draw_pairs, evaluate
from huenet.data import Photos
from huenet.data.garden import garden
from huenet.metrics.hue import hue_emd, hue_mutual_information


@pytest.fixture(scope="module")
def photos():
    return garden(6, 32, seed=0)


def test_pairs() -> None:
    pairs = draw_pairs(30, 200, seed=0)
    assert len(set(pairs)) == 200 and all(source != target for source, target in pairs)
    assert {source for source, _ in pairs} == {target for _, target in pairs} == set(range(30))
    assert draw_pairs(30, 200, seed=0) == pairs != draw_pairs(30, 200, seed=1)
    assert sorted(draw_pairs(3, 200, seed=0)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    for arguments, message in [
        ((1, 5, 0), "needs two photos, got 1"),
        ((5, 0, 0), "pairs must be at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            draw_pairs(*arguments)


def test_evaluation_of_known_painters(photos) -> None:
    result = evaluate(lambda source, target: source, photos, pairs=10, seed=0, without_mi=match_hue, batch_size=4)
    assert len(result.pairs) == 10 and result.others == ["reinhard", "matching", "without_mi"]
    mean = result.means()
    assert mean["emd_target_output"] == pytest.approx(mean["emd_target_source"])  # nothing painted
    assert mean["mi_source_output"] == pytest.approx(1.0)
    assert result.means("matching")["emd_target_output"] < 0.2 * mean["emd_target_source"]
    assert result.means("without_mi") == result.means("matching")
    for row in result.pairs:
        index = [photos.names.index(row[role]) for role in ("source", "target")]
        source, target = (photos.pictures([i]) for i in index)
        assert row["emd_target_source"] == pytest.approx(hue_emd(target, source).item())
        assert row["mi_source_target"] == pytest.approx(hue_mutual_information(source, target).item())
    same = evaluate(lambda source, target: source, photos, pairs=10, seed=0, without_mi=match_hue, batch_size=10)
    assert [row["source"] for row in same.pairs] == [row["source"] for row in result.pairs]
    assert same.means() == pytest.approx(mean)


def test_table(photos, tmp_path: Path) -> None:
    evaluate(match_hue, photos, pairs=9, seed=3).write(tmp_path / "new" / "folder")
    table = json.loads((tmp_path / "new" / "folder" / "table1.json").read_text())
    assert set(table) == {"mean", "reinhard", "matching", "pairs", "settings"}
    for painter in ("mean", "reinhard", "matching"):
        assert set(table[painter]) == set(METRICS)
    assert table["mean"]["emd_target_output"] == pytest.approx(np.mean([row["emd_target_output"] for row in table["pairs"]]))
    assert table["settings"]["size"] == 32 and table["settings"]["bins"] == 256 and table["settings"]["pairs"] == 9
    text = (tmp_path / "new" / "folder" / "table1.md").read_text()
    assert text.count("| garden_") == 7 * 2 and f"{table['mean']['mi_source_output']:.3f}" in text
    assert "9 pairs of 6 photos (seed 3) at 32 x 32, 256 bins" in text and "w/o L_MI" not in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert widths == {8, 6}  # seven columns, then five


def test_table_with_the_ablation(photos) -> None:
    result = evaluate(match_hue, photos, pairs=3, seed=0, without_mi=lambda source, target: source)
    assert set(result.as_dict()) == {"mean", "reinhard", "matching", "without_mi", "pairs", "settings"}
    assert "MI SRC-OUT w/o L_MI |" in result.as_markdown() and "Hue-Net without L_MI" in result.as_markdown()
    assert result.as_markdown().splitlines()[4].endswith("| 1.000 |")  # the identity keeps all information


def test_grey_photos_give_numbers(tmp_path: Path) -> None:
    photos = garden(3, 16, seed=0)
    photos.images[1] = 90
    result = evaluate(match_hue, photos, pairs=6, seed=0)
    result.write(tmp_path)  # refuses NaN
    assert all(math.isfinite(value) for value in result.means("reinhard").values())


def test_what_is_no_painter(photos) -> None:
    with pytest.raises(ValueError, match=r"the source's shape \(4, 3, 32, 32\), got \(4, 1, 32, 32\)"):
        evaluate(lambda source, target: source[:, :1], photos, pairs=4)
    with pytest.raises(ValueError, match=r"paint must return RGB in \[0, 1\], got nan"):
        evaluate(lambda source, target: source * float("nan"), photos, pairs=4)
    with pytest.raises(ValueError, match="needs two photos, got 1"):
        evaluate(match_hue, photos.subset([0]))


def test_pairs_without_hue_are_left_out_of_the_means() -> None:
    """Reinhard of grey to grey differs from grey by rounding, whose hue is none."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, 3, 32, 32), generator=generator, dtype=torch.uint8)
    images[2:] = images[2:, :1]
    result = evaluate(lambda source, target: source, Photos(images, tuple("abcd")), 12)
    grey = [row for row in result.pairs if {row["source"], row["target"]} & {"c", "d"}]
    assert [row for row in result.pairs if row.get("without_hue")] == grey and len(grey) == 10
    assert result.settings["pairs_without_hue"] == 10
    assert "10 of them have a picture without hue" in result.as_markdown() and "of 2 pairs" in result.as_markdown()
    coloured = [row["emd_target_output"] for row in result.pairs if not row.get("without_hue")]
    assert result.means()["emd_target_output"] == pytest.approx(sum(coloured) / 2)
    with pytest.raises(ValueError, match="all 2 pairs have a picture without hue"):
        evaluate(lambda source, target: source, Photos(images[2:], ("c", "d")), 2)


def test_saturation_and_value_are_measured_where_asked_for(tmp_path: Path, photos) -> None:
    def paint(source, target, also=()):
        return target if len(also) == 2 else source

    result = evaluate(paint, photos, pairs=5, seed=0, also=["value", "saturation"])
    result.write(tmp_path)
    table = json.loads((tmp_path / "table1.json").read_text())
    assert table["settings"]["also"] == ["saturation", "value"]
    assert result.others == ["reinhard", "matching", "also_saturation", "also_value", "also_both"]
    for tone in ("saturation", "value"):
        source, output = (f"{tone}_emd_target_{role}" for role in ("source", "output"))
        assert table["mean"][output] == table["also_value"][output] == table["mean"][source] > 0
        assert table["also_both"][output] == 0
    text = (tmp_path / "table1.md").read_text()
    assert "| Hue-Net, also saturation |" in text and "| Hue-Net, also both |" in text
    assert {line.count("|") for line in text.splitlines() if line.startswith("| ")} == {8, 10}
    assert evaluate(paint, photos, pairs=5, also=("value",)).others == ["reinhard", "matching", "also_value"]
    assert not {"saturation_emd_target_output", "also"} & {*evaluate(paint, photos, pairs=5).means()}
    with pytest.raises(ValueError, match="also must be among saturation, value, got 'hue'"):
        evaluate(paint, photos, pairs=5, also=("hue",))
