"""A mangled file among good ones, and a command that comes upon it: everything drawn from a seed and a number."""

from __future__ import annotations

import random
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from huenet.cli import main
from huenet.data.garden import garden
from tests.huenet.cli.options import OPTIONS
from tests.huenet.mangled import damage
from tests.huenet.mangled.pictures import flower, names, picture

STEPS = 4
TRAIN = ["--hold-out", "3", "--log-every", "1", "--checkpoint-every", "2", "--sample-every", "3", *OPTIONS]
TRANSLATE = shlex.split(
    "--size 16 --width 4 --blocks 1 --discriminator-width 4 --discriminator-depth 1 --batch-size 2 --schedule constant "
    "--pool-size 3 --device cpu --no-progress --log-every 1"
)
TABLE = ["table1.md", "table1.json", "color_transfer.png", "joint_histograms.png", "comparison.png", "index.html"]


@dataclass
class Case:
    """`arguments` of the command, run within the folder; the file that is `mangled`, and `how`; what an error must have one of, to
    be clear; and what must be there, whole, after success."""

    arguments: list[str]
    mangled: Path
    how: str
    named: list[str]
    outputs: list[str]
    #: paths that were there before
    before: set[Path] = field(default_factory=set)


def ground(place: Path) -> None:
    """Good files: photos, a run that was trained on them, and pairs for the experiments."""
    for name in ("photos", "sources", "pairs"):
        (place / name).mkdir(parents=True)
    flowers = garden(8, 40, seed=2)
    for image, name in zip(flowers.images, flowers.names):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / "photos" / name)
    for number in range(3):
        flower(number).save(place / "sources" / f"{number}.png")
        for role in "AB":
            flower(number).rotate(0 if role == "A" else 180).save(place / "pairs" / f"{number}_{role}.png")
    assert main(["train", "--data", str(place / "photos"), "--out", str(place / "run"), "--steps", str(STEPS), *TRAIN]) == 0
    folders = ["--a", str(place / "photos"), "--b", str(place / "sources"), "--out", str(place / "translation")]
    assert main(["translate", "train", *folders, "--steps", "1", *TRANSLATE]) == 0


def prepare(good: Path, place: Path, seed: int, number: int) -> Case:
    """The case in a new folder `place`, from the `ground` in `good`."""
    rng = random.Random(f"{seed}/{number}")
    shutil.copytree(good, place)
    make = rng.choices((_picture, _generator, _translator, _checkpoint, _metrics, _beside), (45, 14, 6, 17, 12, 6))[0]
    case = make(rng, place)
    case.before = set(place.rglob("*"))
    return case


def _picture(rng: random.Random, place: Path) -> Case:
    suffix, content = picture(rng.choice(names()))
    roles = {"source": 6, "target": 4, "folder": 6, "apply": 4, "evaluate": 2, "pairs": 1, "train": 2, "resume": 1}
    role = rng.choices([*roles], [*roles.values()])[0]
    chance = rng.random()
    if chance < 0.1:
        suffix, how = (
            rng.choice((".png", ".jpg", ".gif", ".webp", ".tif", ".bmp", ".ico", ".txt", "", ".PNG", ".eps", ".mpg")),
            "renamed",
        )
    elif chance < 0.2:
        content, how = damage.header_of_another(rng, content, picture(rng.choice(names()))[1]), "header of another"
    elif chance < 0.3:
        how = rng.choice(damage.NO_FILES)
    else:
        how = rng.choice(damage.OF_PICTURES)
    stem = rng.choice(("bad", "b a d", "-bad", "bäd", "bad" * 70, "b\nad", "%s{}"))
    folder = {"evaluate": "photos", "train": "photos", "resume": "photos", "pairs": "pairs"}.get(role, "sources")
    if role == "pairs":
        stem = "2_A"
        (place / "pairs" / "2_A.png").unlink()
    elif role == "resume":
        stem, suffix = "garden_0003", ".png"
        (place / "photos" / "garden_0003.png").unlink()
    mangled = place / folder / (stem + suffix)
    told = _mangle(rng, how, mangled, content)
    relative = str(mangled.relative_to(place))
    one = f"out/painted{rng.choice(('.png', '.jpg', '.webp', '.tif', '.bmp'))}"
    transfer = ["transfer", "--checkpoint", "run/generator.safetensors", "--device", "cpu"]
    train = ["train", "--data", "photos", *TRAIN, "--steps"]
    good = [f"out/{number}.png" for number in range(3)]
    experiment = rng.choice(("structure", "harmonic"))
    arguments, outputs = {
        "source": ([*transfer, "--out", one, "--", relative, "sources/0.png"], [one]),
        "target": ([*transfer, "--out", one, "--", "sources/0.png", relative], [one]),
        "folder": ([*transfer, "--out", "out", "sources", "photos/garden_0000.png"], good),
        "apply": ([*_apply(), "sources"], good),
        "evaluate": (_evaluate(), [f"out/{name}" for name in TABLE]),
        "pairs": (
            ["experiment", experiment, "--data", "pairs", "--out", "out"],
            [f"out/{experiment}.{end}" for end in ("png", "json")],
        ),
        "train": ([*train, "2", "--out", "out"], ["out/checkpoint.safetensors", "out/generator.safetensors", "out/metrics.csv"]),
        "resume": ([*train, str(STEPS + 1), "--out", "run"], ["run/checkpoint.safetensors", "run/metrics.csv"]),
    }[role]
    named = ["checkpoint.safetensors"] if role == "resume" else []
    return Case(arguments, mangled, told, [" ".join(mangled.name.split()), *named], outputs)


def _evaluate(checkpoint: str = "run/generator.safetensors", *rest: str) -> list[str]:
    return ["evaluate", "--checkpoint", checkpoint, "--data", "photos", "--out", "out", "--pairs", "9", "--device", "cpu", *rest]


def _generator(rng: random.Random, place: Path) -> Case:
    mangled = place / "run" / "generator.safetensors"
    good = place / "good.safetensors"
    shutil.copy(mangled, good)
    how = rng.choice(damage.OF_CHECKPOINTS) if rng.random() < 0.93 else rng.choice(damage.NO_FILES)
    told = _mangle_there(rng, how, mangled)
    if rng.random() < 0.8:
        arguments = ["transfer", "--checkpoint", "run/generator.safetensors", "--device", "cpu", "--out", "out/o.png"]
        return Case([*arguments, "sources/0.png", "sources/1.png"], mangled, told, [mangled.name], ["out/o.png"])
    arguments = _evaluate() if rng.random() < 0.7 else _evaluate("good.safetensors", "--without-mi", "run/generator.safetensors")
    return Case(arguments, mangled, told, [mangled.name], [f"out/{name}" for name in TABLE])


def _apply() -> list[str]:
    return ["translate", "apply", "--checkpoint", "translation/translator.safetensors", "--device", "cpu", "--out", "out"]


def _translator(rng: random.Random, place: Path) -> Case:
    mangled = place / "translation" / "translator.safetensors"
    how = rng.choice(damage.OF_CHECKPOINTS) if rng.random() < 0.93 else rng.choice(damage.NO_FILES)
    return Case([*_apply(), "sources/0.png"], mangled, _mangle_there(rng, how, mangled), [mangled.name], ["out/0.png"])


def _resume(mangled: Path, told: str, rng: random.Random) -> Case:
    steps = rng.choice((STEPS, STEPS + 1, STEPS + 2))
    outputs = ["run/checkpoint.safetensors", "run/generator.safetensors", "run/metrics.csv"]
    arguments = ["train", "--data", "photos", "--out", "run", *TRAIN, "--steps", str(steps)]
    return Case(arguments, mangled, told, [mangled.name], outputs)


def _checkpoint(rng: random.Random, place: Path) -> Case:
    mangled = place / "run" / "checkpoint.safetensors"
    how = rng.choice(damage.OF_CHECKPOINTS) if rng.random() < 0.93 else rng.choice(damage.NO_FILES)
    return _resume(mangled, _mangle_there(rng, how, mangled), rng)


def _metrics(rng: random.Random, place: Path) -> Case:
    mangled = place / "run" / "metrics.csv"
    how = rng.choice(damage.OF_TABLES) if rng.random() < 0.9 else rng.choice(damage.NO_FILES)
    return _resume(mangled, _mangle_there(rng, how, mangled), rng)


def _beside(rng: random.Random, place: Path) -> Case:
    """Locks, leftovers of killed writers, samples: what else a run's folder has, or where its outputs go."""
    names = [".lock", ".lock.holder", "samples", ".checkpoint.partial.safetensors", ".metrics.partial.csv", "generator.safetensors"]
    names += ["samples/step_000006.png", next((place / "run").glob("events.*")).name]
    mangled = place / "run" / rng.choice(names)
    if mangled.is_dir():
        shutil.rmtree(mangled)
    mangled.unlink(missing_ok=True)
    told = _mangle(rng, rng.choice((*damage.NO_FILES, damage.noise, damage.nothing)), mangled, b"")
    return _resume(mangled, told, rng)


def _mangle_there(rng: random.Random, how: Callable, path: Path) -> str:
    content = path.read_bytes()
    path.unlink()
    return _mangle(rng, how, path, content)


def _mangle(rng: random.Random, how: Callable | str, path: Path, content: bytes) -> str:
    """Make the file; returns how, in words."""
    if how in damage.NO_FILES:
        how(path)
    else:
        path.write_bytes(content if isinstance(how, str) else how(rng, content))
    return how if isinstance(how, str) else how.__name__.replace("_", " ")
