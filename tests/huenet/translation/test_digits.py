"""Digits like MNIST-M's, the classifiers that judge them, and the table of what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huenet.cli.arguments import parse
from huenet.networks import DigitClassifier
from huenet.translation.digit_figures import translations
from huenet.translation.digit_trials import PUBLISHED, SHOWN, Structure, Trial, pictures, rows, table
from huenet.translation.digits import LOOKS, Digits, blended, make_digits, read_mnist, write_pngs
from huenet.translation.judges import accuracy, train_classifier
from tests.huenet.translation.handwriting import bars, written
from tests.huenet.translation.tiny import photos


@pytest.fixture(scope="module")
def digits() -> Digits:
    return make_digits(*bars(80), photos(3, side=40, size=40))


def test_blending_is_the_difference_of_a_patch_and_a_binarised_digit() -> None:
    rng = torch.Generator().manual_seed(0)
    digit, patch = (torch.randint(256, (5, channels, 28, 28), generator=rng, dtype=torch.uint8) for channels in (1, 3))
    digit[digit < 128] = 0
    expected = np.abs(patch.numpy().astype(int) - 255 * (digit.numpy() > 0))
    assert np.array_equal(blended(digit, patch).numpy(), expected)


def test_splits_share_no_digit_and_looks_show_the_same_ones(digits: Digits) -> None:
    assert len(digits.train_labels) == 60 and len(digits.test_labels) == 20
    assert digits.train["mnist"].shape == (60, 1, 32, 32) and digits.test["mnist-m"].shape == (20, 3, 32, 32)
    images, labels = bars(80)
    assert torch.cat([digits.train_labels, digits.test_labels]).tolist() == labels.tolist()
    assert torch.equal(digits.unpaired("mnist"), digits.train["mnist"][:30])
    assert torch.equal(digits.unpaired("mnist-m"), digits.train["mnist-m"][30:])
    # blends of one patch by a digit and by its complement: where one is the patch, the other is 255 - patch
    grey, patch = torch.from_numpy(images[:1, None]), photos(3, side=28).images[:1]
    inverted = 255 * (grey == 0).byte()
    assert (blended(grey, patch).int() + blended(inverted, patch).int() == 255).all()


def test_digits_are_a_function_of_the_seed(digits: Digits) -> None:
    again = make_digits(*bars(80), photos(3, side=40, size=40))
    other = make_digits(*bars(80), photos(3, side=40, size=40), seed=1)
    assert digits.digest() == again.digest() != other.digest()
    assert torch.equal(digits.train["mnist"], other.train["mnist"])


def test_both_usual_files_are_read(tmp_path: Path) -> None:
    images, labels = bars(12)
    np.savez(tmp_path / "keras.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    for path in (written(tmp_path / "plain.npz", 12), tmp_path / "keras.npz"):
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(read_mnist(path), (images, labels)))
    assert len(read_mnist(path, count=5)[0]) == 5


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((3, 28, 28), np.uint8)}, "images and labels or x_train and y_train"),
        ({"images": np.zeros((3, 28, 28)), "labels": np.zeros(3, int)}, r"uint8 images \(N, 28, 28\).* float64"),
        ({"images": np.zeros((3, 28, 28), np.uint8), "labels": np.zeros(2, int)}, r"\(3, 28, 28\), \(2,\)"),
        ({"images": np.zeros((3, 32, 32), np.uint8), "labels": np.zeros(3, int)}, r"\(3, 32, 32\)"),
        ({"images": np.zeros((1, 28, 28), np.uint8), "labels": np.array([10])}, r"labels from 0 to 9, got .*\[10\]"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, int)}, "labels from 0 to 9"),
        ({"images": np.array([{}]), "labels": np.zeros(1, int)}, "Object arrays cannot be loaded"),
        ({"images": np.uint8(3), "labels": np.zeros(1, int)}, "mnist must"),
    ],
)
def test_files_of_something_else_are_named(arrays: dict, said: str, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=said) as error:
        read_mnist(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"no zip at all"])
def test_damaged_files_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mnist must be an \.npz"):
        read_mnist(path)


def test_pngs_are_the_digits_and_stay(digits: Digits, tmp_path: Path) -> None:
    for look in LOOKS:
        write_pngs(digits.test[look], tmp_path / look)
        before = (tmp_path / look / "00003.png").stat().st_mtime_ns
        write_pngs(digits.test[look], tmp_path / look)
        assert (tmp_path / look / "00003.png").stat().st_mtime_ns == before
        with Image.open(tmp_path / look / "00003.png") as image:
            assert image.mode == ("L" if look == "mnist" else "RGB")
            assert np.array_equal(np.asarray(image), digits.test[look][3].permute(1, 2, 0).squeeze(-1).numpy())


def test_a_classifier_learns_what_labels_say_and_no_more() -> None:
    """Bars are read, true ones of places never seen with their photo included; with shuffled labels chance is .1."""
    digits = make_digits(*bars(800), photos(3, side=40, size=40))
    before = torch.random.get_rng_state()
    judge = train_classifier(digits.train["mnist"], digits.train_labels, epochs=6)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert accuracy(judge, digits.test["mnist"], digits.test_labels) > 0.9
    shifted = (digits.test_labels + 1) % 10
    assert accuracy(judge, digits.test["mnist"], shifted) < 0.1
    again = train_classifier(digits.train["mnist"], digits.train_labels, epochs=6)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(judge.state_dict().values(), again.state_dict().values()))


def test_a_judge_has_the_published_shape() -> None:
    judge = DigitClassifier(3)
    shapes = [tuple(weight.shape) for weight in judge.parameters() if weight.ndim > 1]
    assert shapes == [(10, 3, 5, 5), (20, 10, 5, 5), (50, 500), (10, 50)]
    assert judge(torch.rand(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("method", dict.fromkeys(method for method, _ in PUBLISHED))
def test_a_trial_is_a_command(method: str, tmp_path: Path) -> None:
    trial = Trial(tmp_path, method, Structure(30.0, "gaussian", 0.25, 0.01), seed=5, steps=7, width=8)
    trial.check()
    command = parse(trial.train({"mnist": tmp_path / "a", "mnist-m": tmp_path / "b"}))
    assert (command.method, command.preset, command.a.name, command.b.name) == (method, "digits", "a", "b")
    assert (command.loss.structure_weight, command.loss.structure_form) == (30.0, "gaussian")
    assert (command.loss.structure_sigma, command.loss.structure_ridge) == (0.25, 0.01)
    assert (command.train.seed, command.train.steps, command.model.width, command.model.discriminator_width) == (5, 7, 8, 8)
    with_none = Trial(tmp_path, method, Structure(), 5, 7, 8)
    assert parse(with_none.train({"mnist": tmp_path, "mnist-m": tmp_path})).loss.structure_weight == 0
    assert with_none.folder != trial.folder


def record(out: Path, steps: int = 9, **changes: object) -> Path:
    about = {"method": "gan", "structure": vars(Structure()), "seed": 0, "width": 8, "minutes": 2.0, "directions": "both"}
    found = {"test": {"a-to-b": 0.5, "b-to-a": 0.7}, "training": {"a-to-b": 0.25}}
    folder = out / "m" / str(changes.get("folder", "s")) / f"seed{changes.get('seed', 0)}"
    folder.mkdir(parents=True, exist_ok=True)
    known = {key: value for key, value in changes.items() if key != "folder"}
    (folder / f"accuracy-{steps}.json").write_text(json.dumps(about | found | known))
    return folder


def test_the_table_has_means_and_deviations_of_its_steps_alone(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path, seed=1, test={"a-to-b": 0.7, "b-to-a": 0.7}, minutes=4.0)
    record(tmp_path, seed=2, steps=8, test={"a-to-b": 0.0})
    record(tmp_path, folder="t", method="cyclegan", structure=vars(Structure(60.0)))
    lines = table(rows(tmp_path, 9), {"mnist": 0.98, "mnist-m": 0.9}).splitlines()
    assert lines[0] == "Classifiers of true test digits: MNIST 98.0 %, made as MNIST-M 90.0 %."
    gan, cycle = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:])
    # the deviation of .5 and .7, of two seeds: .2 / sqrt(2)
    assert gan[:5] == ["gan", "none", "8", "2", "3.0"]
    assert gan[5:] == ["60.0 ± 14.1", "54.6 ± 40.5", "70.0 ± 0.0", "80.3 ± 3.5", "25.0 ± 0.0", "45.7 ± 31.2", "", "95.5 ± 0.4"]
    assert cycle[:7] == ["cyclegan", "60", "8", "1", "2.0", "50.0", "96.7 ± 0.1"]
    assert len(lines[2].split("|")) == len(lines[3].split("|")) == len(lines[4].split("|"))


def test_the_figure_shows_what_each_row_made_after_these_steps(digits: Digits, tmp_path: Path) -> None:
    made = torch.randint(256, (SHOWN, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_pngs(made, pictures(record(tmp_path), 9, "a-to-b"))
    write_pngs(255 - made, pictures(record(tmp_path, steps=8), 8, "a-to-b"))
    record(tmp_path, folder="t", structure=vars(Structure(40.0)))
    axes = translations(digits, rows(tmp_path, 9)).axes
    shown = [(axis.get_ylabel(), axis.images[0].get_array()) for axis in axes if axis.images]
    assert [name for name, _ in shown] == ["source", "gan", "target", "source", "target"]
    assert [axis.texts[0].get_text() for axis in axes if not axis.images] == ["MNIST to MNIST-M", "MNIST-M to MNIST"]
    expected = torch.cat(list(made), -1).permute(1, 2, 0).numpy() / 255
    np.testing.assert_allclose(shown[1][1], expected, atol=1e-6)  # a byte over 255 in float32
    true = torch.cat(list(digits.test["mnist-m"][:SHOWN]), -1).permute(1, 2, 0).numpy() / 255
    np.testing.assert_allclose(shown[2][1], true, atol=1e-6)
