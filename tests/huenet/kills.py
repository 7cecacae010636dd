"""Commands are killed at any moment and called again, or called twice at once: is anything half-written, and do they end as if not?

    make kills KILLS=100 SEED=0

Two fifths of the kills fall on a training run, a fifth each on transfer of a folder, on evaluate, and on training a translation;
every other one on a moment when a file is being written, the others anywhere. Before that, each is called twice at once, into
one folder.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from huenet.data.garden import garden
from huenet.training import checkpoint
from tests.huenet import forked
from tests.huenet.cli.options import OPTIONS
from tests.huenet.mangled.cases import TRANSLATE
from tests.huenet.mangled.faults import KINDS, damage_of
from tests.huenet.training.runs import rows, timeless

STEPS = 12
_RUN = shlex.split("--hold-out 3 --ema 0.9 --log-every 1 --checkpoint-every 3 --sample-every 2")
_TRAIN = ["train", "--data", "../photos", "--out", "out", *_RUN, *OPTIONS]
_USE = ["--checkpoint", "../good/generator.safetensors", "--device", "cpu", "--out", "out"]
COMMANDS = {
    "train": [*_TRAIN, "--steps", str(STEPS)],
    "transfer": ["transfer", *_USE, "../photos", "../photos/garden_0000.png"],
    "evaluate": ["evaluate", *_USE, "--data", "../photos", "--pairs", "9"],
    "translate": [
        "translate",
        "train",
        "--a",
        "../photos",
        "--b",
        "../photos",
        "--out",
        "out",
        *_RUN,
        *TRANSLATE,
        "--steps",
        str(STEPS),
    ],
}
SHARES = {"train": 2, "transfer": 1, "evaluate": 1, "translate": 1}


class Trial:
    """Lives of one command, each in a folder of its own: some kills, then the command left alone."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.place = name, place
        self.errors = place / "errors"
        started = time.monotonic()
        self.expected = self._finish(f"{name}-unkilled")
        self.seconds = time.monotonic() - started
        #: kills, those that left a file half-written under its temporary name, lives
        self.counts: collections.Counter[str] = collections.Counter()

    def live(self, rng: random.Random, most: int) -> None:
        """A life with up to so many kills. Raises AssertionError where it does not end as it should."""
        folder = self.place / self.name
        for _ in range(min(most, rng.randint(1, 4))):
            self._kill(rng, folder)
        assert (found := self._finish(self.name)) == self.expected, _different(found, self.expected)
        self.counts["lives"] += 1
        shutil.rmtree(folder)

    def _kill(self, rng: random.Random, folder: Path) -> None:
        process = self._start(folder, self.errors)
        deadline = time.monotonic() + rng.uniform(0, self.seconds)
        if rng.random() < 0.5:
            _until_something_is_written(folder / "out", time.monotonic() + self.seconds, rng)
        else:
            time.sleep(max(0.0, deadline - time.monotonic()))
        os.kill(process, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self.counts["kills"] += code == -signal.SIGKILL
        files = [path for path in folder.rglob("*") if path.is_file()]
        partial = [path for path in files if ".partial" in path.name]
        self.counts["partial"] += bool(partial)
        damaged = [fault for path in files if path not in partial for fault in damage_of(path)]
        assert not damaged, damaged

    def at_once(self) -> None:
        """Two lives in one folder: each ends well, or is refused as the other one writes. Raises AssertionError as `live`."""
        folder, errors = self.place / f"{self.name}-twice", [self.errors, self.errors.with_name("other errors")]
        processes = [self._start(folder, said) for said in errors]
        endings = [forked.wait(process, said) for process, said in zip(processes, errors)]
        refused = [ending for ending in endings if ending.code != 0]
        assert len(refused) < 2, endings
        assert all(ending.code == 2 and "is being written by" in ending.errors for ending in refused), endings
        assert (found := self._left(folder)) == self.expected, _different(found, self.expected)

    def _start(self, folder: Path, errors: Path) -> int:
        folder.mkdir(exist_ok=True)
        return forked.start(forked.command(COMMANDS[self.name], folder), errors)

    def _finish(self, name: str) -> dict[str, object]:
        """What an undisturbed run leaves."""
        ending = forked.wait(self._start(self.place / name, self.errors), self.errors)
        assert ending.code == 0, ending.errors
        return self._left(self.place / name)

    def _left(self, folder: Path) -> dict[str, object]:
        """The content of all files, but times."""
        out = folder / "out"
        found: dict[str, object] = {}
        for path in sorted(path for path in out.rglob("*") if path.is_file()):
            if not path.name.startswith(("events.", ".lock", ".table1.lock")):
                found[str(path.relative_to(out))] = _content(path)
        if self.name in ("train", "translate"):
            assert [int(row["step"]) for row in rows(out)] == list(range(1, STEPS + 1))
        return found


def _until_something_is_written(out: Path, deadline: float, rng: random.Random) -> None:
    """Returns within some milliseconds of a temporary file's appearance, the first or a later one."""
    for _ in range(rng.randint(1, 8)):
        while time.monotonic() < deadline and not any(".partial" in path.name for path in out.rglob("*")):
            time.sleep(0.0002)
        time.sleep(rng.uniform(0, 0.003))


def _content(path: Path) -> object:
    """What the same run writes again, bit for bit: not times, nor the order of tensors in a file."""
    if path.name == "metrics.csv":
        return timeless(path.parent)
    if path.suffix == ".safetensors":
        tensors, metadata = checkpoint.read(path, KINDS[path.stem])
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, metadata
    return path.read_bytes()


def _different(found: dict[str, object], expected: dict[str, object]) -> str:
    names = [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]
    tables = zip(*(content.get("metrics.csv", ()) for content in (found, expected)))
    row = next((f"; the first row that differs is {one}, expected {other}" for one, other in tables if one != other), "")
    return f"other content of {', '.join(names)}{row}"


def prepare(place: Path) -> None:
    """A drawn garden as photos, and a model."""
    (place / "photos").mkdir()
    flowers = garden(8, 96, seed=2)
    for image, name in zip(flowers.images, flowers.names):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / "photos" / name)
    (place / "model").mkdir()
    errors = place / "errors"
    ending = forked.wait(forked.start(forked.command([*_TRAIN, "--steps", "1"], place / "model"), errors), errors)
    assert ending.code == 0, ending.errors
    (place / "model" / "out").rename(place / "good")


def run(place: Path, kills: int, seed: int, names: list[str]) -> dict[str, collections.Counter[str]]:
    """So many kills of these commands in the empty folder `place`; returns what was counted for each."""
    forked.get_ready()
    prepare(place)
    rng, counts = random.Random(seed), {}
    for name in names:
        wanted = max(1, kills * SHARES[name] // sum(SHARES[name] for name in names))
        trial = Trial(name, place)
        trial.at_once()
        with tqdm(total=wanted, desc=name, unit="kill", disable=None) as bar:
            while (left := wanted - trial.counts["kills"]) > 0:
                trial.live(rng, left)
                bar.update(trial.counts["kills"] - bar.n)
        counts[name] = trial.counts
    return counts


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="killed") as folder:
        for name, counted in run(Path(folder), options.kills, options.seed, options.commands).items():
            left = f"{counted['partial']} times a temporary file was left"
            print(f"{name}: {counted['kills']} kills in {counted['lives']} lives, {left}; all ended as if they had not been killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
