"""`huenet translate`: as one uses it, and mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from huenet.cli import main
from huenet.cli.arguments import parse
from huenet.translation.methods import METHODS, configuration
from tests.huenet.training.runs import profiled
from tests.huenet.translation.commands import OPTIONS, train


def apply(place: Path, photos: str, out: Path, *options: str) -> list[str]:
    checkpoint = ["--checkpoint", str(place / "run" / "translator.safetensors"), "--device", "cpu"]
    return ["translate", "apply", *checkpoint, str(place / photos), "--out", str(out), *options]


def test_a_run_leaves_what_it_says(ground: Path) -> None:
    found = {path.name for path in (ground / "run").iterdir() if not path.name.startswith(("events.", ".lock"))}
    assert found == {"checkpoint.safetensors", "translator.safetensors", "metrics.csv", "samples"}


def test_both_directions_at_any_size(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree(ground / "a", tmp_path / "photos")
    Image.open(ground / "a" / "0.png").resize((33, 7)).save(tmp_path / "photos" / "odd.jpg")
    Image.open(ground / "a" / "0.png").convert("L").save(tmp_path / "photos" / "grey.gif")
    for direction, mode in (("a-to-b", "L"), ("b-to-a", "RGB")):
        out = tmp_path / direction
        assert main(apply(ground, str(tmp_path / "photos"), out, "--direction", direction)) == 0
        written = sorted(path.name for path in out.iterdir())
        assert written == [*(f"{number}.png" for number in range(5)), "grey.gif.png", "odd.jpg"]
        assert capsys.readouterr().out.split() == [str(out / name) for name in written]
        for name in written:
            translated, photo = (
                Image.open(out / name),
                Image.open(tmp_path / "photos" / ("grey.gif" if name.startswith("grey") else name)),
            )
            assert translated.mode == mode and (translated.size == photo.size)


def test_a_folder_s_broken_photos_are_skipped(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree(ground / "a", tmp_path / "photos")
    (tmp_path / "photos" / "0.png").write_bytes(b"no picture")
    (tmp_path / "photos" / "below").mkdir()
    shutil.copy(ground / "a" / "1.png", tmp_path / "photos" / "below")
    assert main(apply(ground, str(tmp_path / "photos"), tmp_path / "out", "--recursive")) == 0
    assert "skipped: cannot read the image" in capsys.readouterr().err
    assert len(list((tmp_path / "out").rglob("*.png"))) == 5 and (tmp_path / "out" / "below" / "1.png").exists()


def test_training_goes_on_and_stops_at_its_time(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = train(ground, str(tmp_path / "run"), "--method", "gan", "--directions", "a-to-b")
    assert main([*command, "--steps", "1000", "--max-minutes", "0.0001"]) == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert main([*command, "--steps", "3"]) == 0
    assert "trained 3 steps" in capsys.readouterr().out


def test_a_profile_has_the_parts_of_a_step(ground: Path, tmp_path: Path) -> None:
    options = ["--method", "gan", "--steps", "5", "--profile", "1"]
    assert main(train(ground, str(tmp_path / "out"), *options)) == 0
    assert list(profiled(tmp_path / "out")) == ["data", "generators", "discriminators", "losses", "optimiser", "other"]


@pytest.mark.parametrize("preset", ["photos", "digits"])
@pytest.mark.parametrize("method", METHODS)
def test_methods_are_presets_wherever_they_stand(method: str, preset: str) -> None:
    line = f"translate train --steps 7 --a a --b b --out o --structure-weight 5 --method={method} --preset {preset}"
    command, expected = parse(line.split()), configuration(method, preset)
    assert command.model == expected.model and command.train.batch_size == expected.train.batch_size
    assert command.loss.weights == {**expected.loss.weights, "structure_weight": 5.0} and command.train.steps == 7


@pytest.mark.parametrize("action", ["train", "apply"])
def test_help_has_an_example(action: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["translate", action, "--help"])
    assert end.value.code == 0
    assert f"    huenet translate {action}" in capsys.readouterr().out


MISTAKES = [
    ("translate", "does not stand alone: huenet translate train --help, one of translate train, translate apply"),
    ("translate --help", "one of translate train, translate apply"),
    ("translate paint", "translate train, translate apply"),
    ("translate train --a {a} --out {tmp}/o", "--b"),
    ("translate train --a {a} --b {b} --out {tmp}/o --structur-weight 3", "did you mean --structure-weight?"),
    ("translate train --a {a} --b {b} --out {tmp}/o --method unit", "--method"),
    ("translate train --a {a} --b {b} --out {tmp}/o --size 8", "size must be an integer of at least 16"),
    ("translate train --a {a} --b {b} --out {tmp}/o --adversarial-weight 0 --method gan", "are all 0: there is nothing to learn"),
    ("translate train --a {a} --b {b} --out {tmp}/o", "identity_weight must be 0 where A has 3 channels and B 1, got 5"),
    ("translate train --a {a} --b {b} --out {tmp}/o --directions b-to-a", "cycle_weight must be 0 with directions b-to-a"),
    ("translate train --a {a} --b {b} --out {tmp}/o --channels-a 2", "channels_a must be 1, 3 or none, got 2"),
    ("translate train --a {a} --b {tmp}/nowhere --out {tmp}/o", "nowhere is not a folder of images"),
    ("translate train --a {tmp}/empty --b {b} --out {tmp}/o", "empty has 0 usable images"),
    ("translate train --a {a} --b {b} --out {b}", "is among the photos of {b}"),
    ("translate train --a {a} --b {b} --out {tmp}/o --method gan --hold-out 5", "cannot hold out 5 of 5 photos"),
    ("translate train --a {a} --b {a} --out {run} --method gan", "was trained with other options"),
    (
        "translate train --a {a} --b {b} --out {tmp}/o --method gan --contextual-weight 1 --contextual-features vgg19 "
        "--vgg19-weights {tmp}/none",
        "none: No such file",
    ),
    (
        "translate train --a {a} --b {b} --out {tmp}/o --method gan --contextual-weight 1 --contextual-features vgg19 "
        "--vgg19-weights {a}/0.png",
        "vgg19_weights must be a safetensors file",
    ),
    ("translate apply {a} --out {tmp}/o", "--checkpoint"),
    ("translate apply {a} --checkpoint {run}/checkpoint.safetensors --out {tmp}/o", "is a training checkpoint"),
    ("translate apply {a} --checkpoint {run}/translator.safetensors --out {a}", "overwrite the source"),
    ("translate apply {tmp}/empty --checkpoint {run}/translator.safetensors --out {tmp}/o", "empty has no image"),
    ("translate apply {tmp}/none.png --checkpoint {run}/translator.safetensors --out {tmp}/o", "none.png"),
    ("translate apply {a} --checkpoint {run}/translator.safetensors --out {tmp}/o --direction up", "--direction"),
    ("translate apply {a} --checkpoint {a}/0.png --out {tmp}/o", "damaged or no checkpoint"),
    ("translate apply {a}/0.png --checkpoint {run}/translator.safetensors --out {tmp}/o --max-megapixels 1e-5", "--max-megapixels"),
    ("transfer {a}/0.png {a}/1.png --checkpoint {run}/translator.safetensors --out {tmp}/o.png", "is a translator checkpoint"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=lambda text: text.replace("{tmp}", "")[:70])
def test_mistakes_are_one_clear_line(line: str, said: str, ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "empty").mkdir()
    places = {"tmp": tmp_path, "a": ground / "a", "b": ground / "b", "run": ground / "run"}
    options = OPTIONS if line.startswith("translate train") and "--out" in line and "--size" not in line else []
    code = main([*line.format(**places).split()[:2], *options, *line.format(**places).split()[2:]])
    errors = [text for text in capsys.readouterr().err.splitlines() if "warning" not in text]
    assert code == 2
    assert len(errors) == 1 and errors[0].startswith("huenet: error: ") and said.format(**places) in errors[0]
    assert not list(tmp_path.glob("o*/*.safetensors"))


def test_the_other_direction_than_was_trained_is_named(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = train(ground, str(tmp_path / "run"), "--method", "gan", "--directions", "a-to-b", "--steps", "1")
    assert main(command) == 0
    checkpoint = tmp_path / "run" / "translator.safetensors"
    line = [
        "translate",
        "apply",
        str(ground / "b"),
        "--checkpoint",
        str(checkpoint),
        "--out",
        str(tmp_path / "o"),
        "--direction",
        "b-to-a",
    ]
    assert main(line) == 2
    assert capsys.readouterr().err == (
        f"huenet: error: direction must be a-to-b, which {checkpoint} was trained for, got 'b-to-a'\n"
    )
