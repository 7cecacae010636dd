"""The command line: what works, and that every mistake is one clear line and exit code 2."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import huenet
from huenet.cli import arguments, commands, main
from huenet.cli.arguments import Mistake, parse
from huenet.color_transfer import gan
from huenet.color_transfer.presets import DEFAULT, PAPER, SMALL
from tests.huenet.color_transfer.tiny import tiny
from tests.paths import REPOSITORY

OPTIONS = shlex.split(
    "--size 32 --width 4 --discriminator-width 4 --bins 16 --batch-size 4 --schedule constant --device cpu --no-progress"
)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    assert main(["train", "--data", str(folder), "--out", str(out), "--steps", "2", "--hold-out", "3", *OPTIONS]) == 0
    return out


def interrupted_by(function: Callable) -> Callable:
    """The function, pressing Ctrl-C when it is called first."""
    calls = []

    def interrupting(*arguments: object) -> object:
        if not calls:
            os.kill(os.getpid(), signal.SIGINT)
        calls.append(arguments)
        return function(*arguments)

    return interrupting


@pytest.fixture
def mistakes(folder: Path, trained: Path, tmp_path: Path) -> dict[str, Path]:
    """Files and folders of every kind, by name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.png").touch()
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
    ("train --data {photos} --out {tmp}/a --mi-wieght 3", "--mi-wieght"),
    ("train --data {photos} --out {tmp}/a --preset huge", "--preset"),
    ("train --data {photos} --out {tmp}/a --steps many", "--steps"),
    ("train --data {photos} --out {tmp}/a --size 16", "size must be an integer of at least 32"),
    ("train --data {photos} --out {tmp}/a --hold-out 8 --preset small", "cannot hold out 8 of 8"),
    ("train --data {photos} --out {tmp}/a --device cuda:77", "cuda:77"),
    ("train --data {photos} --out {tmp}/a --device meta", "device meta is not available"),
    ("train --data {photos} --out {tmp}/a --seed 99999999999999999999", "seed must be below"),
    ("train --data {photos} --out {tmp}/a --size 2000000", "out of memory"),
    ("train --data {tmp}/nowhere --out {tmp}/a", "nowhere"),
    ("train --data {tmp}/empty --out {tmp}/a", "empty has 0 usable images"),
    ("train --data {tmp}/one --out {tmp}/a", "1 usable image"),
    ("train --data {photo} --out {tmp}/a", "is not a folder"),
    ("train --data {photos} --out {tmp}/zero.png", "zero.png"),
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
    ("transfer {photos} {photo} --checkpoint {generator} --out {photos}", "overwrite the sources"),
    ("transfer --checkpoint {generator} --bogus 3 {photo} {photo} --out {tmp}/o.png", "has no option --bogus"),
    ("transfer {photo} {photo} --checkpoint {generator} --out {tmp}/zero.png/o.png", "zero.png"),
    ("transfer {photo} {photo} --checkpoint {tmp}/none --out {tmp}/o.png", "none"),
    ("transfer {photo} {photo} --checkpoint {photo} --out {tmp}/o.png", "damaged or no checkpoint"),
    ("transfer {photo} {photo} --checkpoint {run} --out {tmp}/o.png", "{run}"),
    ("transfer {photo} {photo} --checkpoint {training} --out {tmp}/o.png", "is a training checkpoint"),
    ("transfer {photo} {photo} --checkpoint {tmp}/foreign.safetensors --out {tmp}/o.png", "foreign.safetensors is not a huenet"),
    ("transfer {photo} {photo} --checkpoint {tmp}/cut.safetensors --out {tmp}/o.png", "cut.safetensors is damaged"),
    ("transfer {photo} {photo} --checkpoint {generator} --device abacus --out {tmp}/o.png", "abacus"),
    ("evaluate --checkpoint {generator} --data {tmp}/nowhere --out {tmp}/e", "nowhere"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --pairs 0", "pairs"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --seed -1", "seed must be"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --preset small", "huenet evaluate has no option --preset"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/zero.png", "zero.png"),
    ("evaluate --checkpoint {generator} --data {photos} --out {tmp}/e --without-mi {training}", "is a training checkpoint"),
    ("demo --minutes 0 --out {tmp}/d", "minutes"),
    ("demo --data {tmp}/nowhere --out {tmp}/d", "nowhere"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=lambda text: text.replace("{tmp}", "")[:60])
def test_mistakes_are_one_clear_line(line: str, said: str, mistakes: dict[str, Path], capsys: pytest.CaptureFixture) -> None:
    code = main(line.format(**mistakes).split())
    errors = [text for text in capsys.readouterr().err.splitlines() if "warning" not in text]
    assert code == 2
    assert len(errors) == 1 and errors[0].startswith("huenet: error: ") and said.format(**mistakes) in errors[0]


def test_no_traceback_and_a_quick_answer_in_a_process_of_its_own() -> None:
    def huenet_command(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "huenet", *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COLUMNS": "80"},
        )

    wrong = huenet_command("train", "--bogus")
    said = [line for line in wrong.stderr.splitlines() if not line.startswith("import time:")]
    assert wrong.returncode == 2 and len(said) == 1 and said[0].startswith("huenet: error: ") and "--bogus" in said[0]
    helped = huenet_command("--help")
    assert helped.returncode == 0 and all(name in helped.stdout for name in ("demo", "train", "transfer", "evaluate"))
    imported = {line.rsplit("|", 1)[-1].strip() for line in helped.stderr.splitlines()}
    assert "huenet.cli" in imported and not imported & {"torch", "numpy", "matplotlib"}


def test_bugs_are_not_disguised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "run", lambda _: [][1])
    with pytest.raises(IndexError):
        main(["demo"])


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run", interrupted)
    assert main(["demo"]) == 130 and capsys.readouterr().err == "huenet: interrupted\n"


@pytest.mark.parametrize(("arguments", "preset"), [([], DEFAULT), (["--preset", "small"], SMALL), (["--preset=paper"], PAPER)])
def test_presets_come_first_wherever_they_stand(arguments: list[str], preset) -> None:
    command = parse(["train", "--steps", "7", "--data", "d", "--out", "o", *arguments])
    assert command.model == preset.model and command.loss == preset.loss
    assert command.train.steps == 7 and command.train.batch_size == preset.train.batch_size


def test_every_option_of_the_issue_is_there() -> None:
    line = "train --data d --out o --preset small --steps 9 --size 48 --batch-size 3 --bins 99 --hold-out 4 --seed 5"
    command = parse(f"{line} --device cpu --checkpoint-every 6 --max-minutes 1.5".split())
    assert (command.train.steps, command.model.size, command.train.batch_size, command.loss.bins) == (9, 48, 3, 99)
    assert (command.train.hold_out, command.train.seed, command.run.device) == (4, 5, "cpu")
    assert (command.run.checkpoint_every, command.run.max_minutes) == (6, 1.5)


@pytest.mark.parametrize("name", ["demo", "train", "transfer", "evaluate", "experiment"])
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        parse([name, "--help"])
    assert end.value.code == 0
    assert f"    huenet {name}" in capsys.readouterr().out


def test_options_are_known_in_every_spelling() -> None:
    command = parse(["train", "--data=d", "--out", "o", "--batch_size", "3", "--no-flips", "--no-progress"])
    assert command.train.batch_size == 3 and not command.train.flips and not command.run.progress
    assert parse(["transfer", "--checkpoint", "c", "--out", "o", "--", "--s.png", "t.png"]).source == Path("--s.png")
    with pytest.raises(Mistake, match="did you mean --hold-out"):
        parse(["train", "--data", "d", "--out", "o", "--hold-oot", "3"])


def test_mistakes_are_clear_where_no_boxes_can_be_drawn() -> None:
    said = " Required options \n -------- \n Missing from huenet train: \n --out PATH \n -------- \n For full helptext, run: \n"
    assert arguments._unboxed(said) == "Missing from huenet train: --out PATH"


def test_parse_raises_mistakes() -> None:
    with pytest.raises(Mistake, match="--data"):
        parse(["train"])


def test_training_started_again_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["train", "--data", str(folder), "--out", str(tmp_path), *OPTIONS]
    assert main([*command, "--steps", "1000", "--max-minutes", "0.0001"]) == 0
    assert "the same command goes on" in capsys.readouterr().out
    assert main([*command, "--steps", "3"]) == 0
    assert "trained 3 steps" in capsys.readouterr().out


def test_interrupted_training_saves_and_is_130(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, usual_signals: None
) -> None:
    monkeypatch.setattr(gan.HueGAN, "model", interrupted_by(gan.HueGAN.model))
    command = ["train", "--data", str(folder), "--out", str(tmp_path), *OPTIONS, "--steps", "4", "--sample-every", "2"]
    assert main(command) == 130
    assert "stopped (SIGINT) after step 2 of 4" in capsys.readouterr().out
    assert (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("size", [(64, 48), (33, 100)])
def test_transfer_of_one_photo_keeps_its_size(trained: Path, folder: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    source, out = tmp_path / "source.png", tmp_path / "new" / "painted.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(source)
    assert (
        main(
            [
                "transfer",
                str(source),
                str(next(folder.iterdir())),
                "--checkpoint",
                str(trained / "generator.safetensors"),
                "--out",
                str(out),
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert Image.open(out).size == size and Image.open(out).format == "JPEG"


def test_transfer_of_a_folder(trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    flower = Image.open(next(folder.iterdir()))
    flower.save(sources / "a.png")
    flower.convert("P").save(sources / "b.gif")
    (sources / "broken.jpg").write_text("no")
    assert (
        main(
            [
                "transfer",
                str(sources),
                str(next(folder.iterdir())),
                "--checkpoint",
                str(trained / "generator.safetensors"),
                "--out",
                str(tmp_path / "out"),
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.gif.png"]
    assert "huenet: warning: skipped" in (errors := capsys.readouterr().err) and "broken.jpg" in errors


def test_in_python(trained: Path, folder: Path) -> None:
    paint = huenet.load(trained / "generator.safetensors")
    path, other = sorted(folder.iterdir())[:2]
    from_paths, from_images = paint(path, other), paint(Image.open(path), Image.open(other))
    assert from_paths.size == (40, 40) and np.array_equal(np.asarray(from_paths), np.asarray(from_images))
    tensors = [torch.from_numpy(np.array(Image.open(name))).permute(2, 0, 1) / 255 for name in (path, other)]
    painted = paint(*tensors)
    assert painted.shape == (3, 40, 40)
    assert torch.equal(paint(tensors[0].double(), other), painted.double())
    assert np.array_equal(np.asarray(from_paths), (painted.permute(1, 2, 0) * 255).round().byte().numpy())
    assert paint(torch.stack(tensors), torch.stack(tensors)).shape == (2, 3, 40, 40)
    for wrong, error in (
        (tensors[0].byte(), TypeError),
        (7, TypeError),
        (tensors[0][:2], ValueError),
        (tensors[0][:, :0], ValueError),
    ):
        with pytest.raises(error, match="source"):
            paint(wrong, other)


def test_evaluation_of_the_training_folder_uses_what_was_held_out(trained: Path, folder: Path, tmp_path: Path) -> None:
    generator = str(trained / "generator.safetensors")
    held_out = set(commands.Painter.load(generator).metadata["held_out"])
    assert len(held_out) == 3
    assert (
        main(
            [
                "evaluate",
                "--checkpoint",
                generator,
                "--data",
                str(folder),
                "--out",
                str(tmp_path),
                "--device",
                "cpu",
                "--without-mi",
                generator,
            ]
        )
        == 0
    )
    table = json.loads((tmp_path / "table1.json").read_text())
    assert {pair[role] for pair in table["pairs"] for role in ("source", "target")} == held_out
    assert table["mean"].keys() == {"emd_target_source", "emd_target_output", "mi_source_target", "mi_source_output"}
    assert table["without_mi"]["mi_source_output"] == table["mean"]["mi_source_output"]
    assert (tmp_path / "table1.md").exists() and len(list(tmp_path.glob("*.png"))) == 3


def test_evaluation_of_another_folder_uses_all_of_it(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    sorted(other.iterdir())[0].rename(other / "renamed.png")
    assert (
        main(
            [
                "evaluate",
                "--checkpoint",
                str(trained / "generator.safetensors"),
                "--data",
                str(other),
                "--out",
                str(tmp_path / "e"),
                "--pairs",
                "60",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    assert "all 8 photos" in capsys.readouterr().out
    pairs = json.loads((tmp_path / "e" / "table1.json").read_text())["pairs"]
    assert len({pair["source"] for pair in pairs}) == 8


def test_evaluation_of_a_part_of_the_training_folder_says_so(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    part, names = tmp_path / "part", commands.Painter.load(trained / "generator.safetensors").metadata["trained_on"]
    part.mkdir()
    for name in names[:3]:
        shutil.copy(folder / name, part)
    options = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu", "--out", str(tmp_path / "e")]
    assert main(["evaluate", "--data", str(part), *options]) == 0
    printed = capsys.readouterr()
    assert "3 of these photos have names of photos the model was trained on" in printed.err
    assert "all 3 photos" in printed.out and "not trained on" not in printed.out


def test_names_in_another_encoding(trained: Path, folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    first, second = sorted(folder.iterdir())[:2]
    shutil.copy(first, photos / "ä.png")
    try:
        shutil.copy(second, os.fsencode(photos) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    checkpoint = ["--checkpoint", str(trained / "generator.safetensors"), "--device", "cpu"]
    lines = [
        ["evaluate", *checkpoint, "--data", str(photos), "--out", str(tmp_path / "e")],
        ["transfer", *checkpoint, str(photos), str(first), "--out", str(tmp_path / "o")],
    ]
    for line in lines:
        subprocess.run(
            [sys.executable, "-m", "huenet", *line],
            cwd=REPOSITORY,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
    assert len(list((tmp_path / "o").iterdir())) == 2
    assert "caf\\udce9.png" in (tmp_path / "e" / "table1.md").read_text(encoding="utf-8")


def test_demo_trains_evaluates_and_paints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(commands, "DEMO", tiny(steps=2))
    monkeypatch.setattr(commands, "GARDEN", 8)
    for _ in range(2):  # and shows the finished result when called again
        assert main(["demo", "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert "EMD TAR-OUT" in printed and str(tmp_path) in printed
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"generator.safetensors", "metrics.csv", "table1.md", "table1.json", "comparison.png", "samples"}


def test_experiment_writes_its_figure_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, out = np.random.default_rng(0), tmp_path / "out"
    for number in range(17):
        field = rng.integers(0, 255, (12, 12, 3)).astype(np.uint8).repeat(10, 0).repeat(10, 1)
        Image.fromarray(field).save(tmp_path / f"{number}.png")
    assert main(["experiment", "contextual", "--data", str(tmp_path), "--out", str(out)]) == 0
    assert json.loads((out / "contextual.json").read_text())["quoted"]["contextual"] < 1
    assert (out / "contextual.png").is_file()
    assert "written to" in capsys.readouterr().out


def test_experiment_names_what_its_data_lacks(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "structure", "--data", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "at least two pairs of images NAME_A and NAME_B" in capsys.readouterr().err
