"""Every mistake is one clear line and exit code 2; bugs and Ctrl-C are told as what they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from huenet.cli import main
from huenet.cli.demo import Demo
from huenet.training import checkpoint
from tests.huenet.mangled.pictures import picture


@pytest.fixture
def mistakes(folder: Path, trained: Path, tmp_path: Path) -> dict[str, Path]:
    """Files and folders of every kind, by name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.png").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "text.png").write_text("not an image")
    safetensors.torch.save_file({"w": torch.ones(2)}, tmp_path / "foreign.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((trained / "generator.safetensors").read_bytes()[:500])
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(next(folder.iterdir()), one)
    (one / "zero.png").touch()
    return {
        "tmp": tmp_path,
        "photos": folder,
        "photo": sorted(folder.iterdir())[0],
        "other": sorted(folder.iterdir())[1],
        "generator": trained / "generator.safetensors",
        "training": trained / "checkpoint.safetensors",
        "run": trained,
    }


MISTAKES = [
    ("", "demo, train, transfer, evaluate"),
    ("paint", "paint"),
    ("train --out {tmp}/a", "--data"),
    (
        "train --data {photos} --drawn 9 --out {tmp}/a",
        "give --data, a folder of photos, or --drawn",
    ),
    ("train --drawn 0 --out {tmp}/a", "count must be at least 1, got 0"),
    ("train --data {photos} --out {tmp}/a --mi-wieght 3", "--mi-wieght"),
    ("train --data {photos} --out {tmp}/a --preset huge", "--preset"),
    ("train --data {photos} --out {tmp}/a --steps many", "--steps"),
    ("train --data {photos} --out {tmp}/a --size 16", "size must be an integer of at least 32"),
    ("train --data {photos} --out {tmp}/a --hold-out 8 --preset small", "cannot hold out 8 of 8"),
    ("train --data {photos} --out {tmp}/a --device cuda:77", "cuda:77"),
    ("train --data {photos} --out {tmp}/a --device meta", "device meta is not available"),
    ("train --data {photos} --out {tmp}/a --seed 99999999999999999999", "seed must be below"),
    ("train --data {photos} --out {tmp}/a --size 2000000", "out of memory"),
    ("train --data {photos} --out {tmp}/a --size 2000000000000", "size must be at most 2097152"),
    ("train --data {photos} --out {tmp}/a --preset small --size 2000 --batch-size 2000000", "out of memory"),
    ("train --data {photos} --out {tmp}/a --preset small --size 2000000 --batch-size 2000000", "out of memory"),
    ("train --data {photos} --out {tmp}/a --curves 99999999999999999999", "curves must be at most 2097152"),
    ("train --data {photos} --out {tmp}/a --discriminator-depth 2000000", "discriminator_depth 2000000 needs images"),
    ("train --data {photos} --out {tmp}/a --learning-rate 1e300", "learning_rate must be a positive number below 1e+06"),
    ("train --data {tmp}/circle --out {tmp}/a", "circle is not a folder of images: Too many levels of symbolic links"),
    ("train --data {photos} --out {tmp}/circle", "circle"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/circle", "circle"),
    ("transfer {tmp}/circle {photo} --checkpoint {generator} --out {tmp}/o.png", "circle"),
    ("transfer {photo} {photo} --checkpoint {generator} --out /proc/o.png", "/proc/o.png: No such file"),
    ("experiment structure --data {photos} --out {tmp}/e --seed -1", "seed must be an integer of at least 0"),
    ("experiment harmonic --data {photos} --out {tmp}/e --seed 99999999999999999999", "seed must be below 2**63"),
    ("train --data {tmp}/nowhere --out {tmp}/a", "nowhere"),
    ("train --data {tmp}/empty --out {tmp}/a", "empty has 0 usable images"),
    ("train --data {tmp}/one --out {tmp}/a", "1 usable image"),
    ("train --data {photo} --out {tmp}/a", "is not a folder"),
    ("train --data {photos} --out {tmp}/zero.png", "zero.png"),
    ("train --data {photos} --out {photos} --preset small", "is among the photos"),
    ("evaluate --checkpoint {generator} --data {photos} --out {photos}", "is among the photos"),
    ("evaluate --checkpoint {generator} --data {photos} --out {photos}/below --recursive", "is among the photos"),
    ("experiment harmonic --out {tmp}/e", "data must be a folder of images for harmonic, got none: --data FOLDER"),
    ("experiment contextual --data {photos} --out {photos}/../{photos.name}", "is among the photos"),
    ("train --data {photos} --out /proc/nowhere/a", "/proc/nowhere"),
    ("train --data {photos} --out {run} --preset small", "--size: 32 -> 64"),
    ("transfer {photo} --checkpoint {generator} --out {tmp}/o.png", "TARGET"),
    ("transfer {tmp}/none.png {photo} --checkpoint {generator} --out {tmp}/o.png", "none.png"),
    ("transfer {tmp}/zero.png {photo} --checkpoint {generator} --out {tmp}/o.png", "zero.png"),
    ("transfer {photo} {tmp}/text.png --checkpoint {generator} --out {tmp}/o.png", "text.png"),
    ("transfer {photo} {photos} --checkpoint {generator} --out {tmp}/o.png", "{photos}"),
    ("transfer {tmp}/empty {photo} --checkpoint {generator} --out {tmp}/o", "empty has no image"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {tmp}/o.xyz", "o.xyz"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {photo}", "overwrite the source"),
    ("transfer {photo} {other} --checkpoint {generator} --out {other}", "overwrite the target"),
    ("transfer {photos} {photo} --checkpoint {generator} --out {photos}", "overwrite the source"),
    ("transfer --checkpoint {generator} --bogus 3 {photo} {photo} --out {tmp}/o.png", "has no option --bogus"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {tmp}/zero.png/o.png", "zero.png"),
    ("transfer {photo} {photo} --checkpoint {tmp}/none --out {tmp}/o.png", "none"),
    ("transfer {photo} {photo} --checkpoint {photo} --out {tmp}/o.png", "damaged or no checkpoint"),
    ("transfer {photo} {photo} --checkpoint {run} --out {tmp}/o.png", "{run}"),
    ("transfer {photo} {photo} --checkpoint {training} --out {tmp}/o.png", "is a training checkpoint"),
    ("transfer {photo} {photo} --checkpoint {tmp}/foreign.safetensors --out {tmp}/o.png", "foreign.safetensors is not a huenet"),
    ("transfer {photo} {photo} --checkpoint {tmp}/cut.safetensors --out {tmp}/o.png", "cut.safetensors is damaged"),
    ("transfer {photo} {photo} --checkpoint {generator} --device abacus --out {tmp}/o.png", "abacus"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {tmp}/o.png --strength 1.5", "strength must be a number from 0 to 1"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {tmp}/o.png --strength nan", "from 0 to 1, got nan"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {tmp}/o.png --strength much", "--strength"),
    (
        "transfer {photo} {photo} --checkpoint {generator} --out {tmp}/o.png --also hue",
        "invalid choice 'hue' for argument '--also'",
    ),
    ("transfer {photos} {photo} --checkpoint {generator} --out {tmp}/o --like second", "'second' for argument '--like'"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --also hue", "invalid choice 'hue' for argument '--also'"),
    ("evaluate --checkpoint {generator} --data {tmp}/nowhere --out {tmp}/e", "nowhere"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --pairs 0", "pairs"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --seed -1", "seed must be"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --preset small", "huenet evaluate has no option --preset"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/zero.png", "zero.png"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --without-mi {training}", "is a training checkpoint"),
    (
        "questionnaire --checkpoint {generator} --data {photos} --out {tmp}/q --count 9",
        "count must be an even number of at least 2",
    ),
    ("questionnaire --checkpoint {generator} --data {photos} --out {tmp}/q --count 4", "count 4 needs 4 photos with hues"),
    ("questionnaire --checkpoint {generator} --data {tmp}/one --out {tmp}/q --count 2", "got 1 that can be used"),
    ("questionnaire --checkpoint {generator} --data {tmp}/empty --out {tmp}/q", "got 0 that can be used"),
    ("questionnaire --checkpoint {generator} --data {tmp}/nowhere --out {tmp}/q", "nowhere is not a folder of images"),
    ("questionnaire --checkpoint {generator} --data {photos} --out {photos}", "is among the photos"),
    ("questionnaire --checkpoint {generator} --data {photos} --out {tmp}/q --seconds 0", "seconds must be from 0.1 to 60, got 0"),
    ("questionnaire --checkpoint {generator} --data {photos} --out {tmp}/q --seed -1", "seed must be an integer >= 0, got -1"),
    ("questionnaire --checkpoint {photo} --data {photos} --out {tmp}/q", "damaged or no checkpoint"),
    ("questionnaire --out {tmp}/q --checkpoint {generator}", "--data"),
    ("questionnaire score --kee {tmp}/key.json {tmp}/a.json", "huenet questionnaire score has no option --kee: did you mean --key"),
    ("questionnaire score --key {tmp}/key.json", "answers must be at least one file, got none"),
    ("questionnaire score --key {tmp}/none.json {tmp}/a.json", "none.json: No such file"),
    ("questionnaire score --key {photo} {tmp}/a.json", "is damaged or no JSON"),
    ("questionnaire score --key {tmp} {tmp}/a.json", "Is a directory"),
    ("questionnaire score {tmp}/a.json", "--key"),
    ("demo --minutes 0 --out {tmp}/d", "minutes"),
    ("demo --data {tmp}/nowhere --out {tmp}/d", "nowhere"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=lambda text: text.replace("{tmp}", "")[:60])
def test_mistakes_are_one_clear_line(line: str, said: str, mistakes: dict[str, Path], capsys: pytest.CaptureFixture) -> None:
    code = main(line.format(**mistakes).split())
    errors = [text for text in capsys.readouterr().err.splitlines() if "warning" not in text]
    assert code == 2
    assert len(errors) == 1 and errors[0].startswith("huenet: error: ") and said.format(**mistakes) in errors[0]


def test_bugs_are_not_disguised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Demo, "execute", lambda _: [][1])
    with pytest.raises(IndexError):
        main(["demo"])


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Demo, "execute", interrupted)
    assert main(["demo"]) == 130 and capsys.readouterr().err == "huenet: interrupted\n"


def test_warnings_are_one_line_each_with_the_file(
    folder: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """Whoever warns: Pillow does not say of which file."""
    sources = tmp_path / "a\nb"
    sources.mkdir()
    for name in ("1.tif", "2.tif"):
        (sources / name).write_bytes(picture("tiff")[1][:300])
    shutil.copy(sorted(folder.iterdir())[0], sources / "good.png")
    options = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu"]
    assert main(["transfer", str(sources), str(sorted(folder.iterdir())[1]), *options, "--out", str(tmp_path / "o")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert all(line.startswith("huenet: warning: ") and f"{tmp_path}/a b/" in line for line in said)
    warned = [line for line in said if "skipped" not in line]
    for name in ("1.tif", "2.tif"):
        assert any(line.startswith(f"huenet: warning: {tmp_path}/a b/{name}: ") for line in warned), said
    assert not recwarn.list


def test_weights_too_large_to_compute_with_are_named(
    folder: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """They are finite, what they make is not; no picture is painted black for it."""
    tensors, metadata = checkpoint.read(trained / "generator.safetensors", "generator")
    checkpoint.write(tmp_path / "large.safetensors", "generator", {name: one * 1e30 for name, one in tensors.items()}, metadata)
    options = ["--checkpoint", str(tmp_path / "large.safetensors"), "--device", "cpu", "--out", str(tmp_path / "o")]
    photo = str(next(folder.iterdir()))
    assert main(["transfer", str(folder), photo, *options]) == 2
    assert main(["evaluate", "--data", str(folder), *options]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"huenet: error: {tmp_path}/large.safetensors paints what is not finite: its weights are damaged"
    assert second.startswith(f"huenet: error: {tmp_path}/large.safetensors must return RGB in [0, 1], got nan to nan")
    assert not list((tmp_path / "o").glob("*.png"))
