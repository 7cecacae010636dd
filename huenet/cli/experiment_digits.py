"""`huenet experiment digits`."""

import contextlib
import dataclasses
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from ..files import claimed, replacing
from ..training.config import check_int
from . import trials as running
from .mistakes import must_be_writable, needs_extra, outputs_are_not_inputs, user_input

if TYPE_CHECKING:
    from ..networks import DigitClassifier
    from ..translation.digit_trials import Trial
    from ..translation.digits import Digits, Look

DIGITS = "digits.json"


@dataclasses.dataclass(frozen=True)
class ExperimentDigits:
    """Rerun the SCC paper's Table 1: MNIST to MNIST-M and back, each method with and without structure consistency.

    MNIST-M is made of MNIST and patches of your photos, and so is only like it. Every translation is measured by classifiers of
    digits: how many translated test digits are read right, and how many true ones by a classifier that has learnt from translated
    ones. Stopped, killed, or out of minutes, the same command goes on; the table has all that is in OUT after so many steps.

        huenet experiment digits --mnist mnist.npz --photos photos --out runs/digits --jobs 2
        huenet experiment digits --mnist mnist.npz --photos photos --out runs/digits --methods gan --steps 800 --minutes 60
    """

    mnist: Path
    """An .npz with images (N, 28, 28) and labels (N,), or Keras's mnist.npz."""
    photos: Path
    """Folder of photos, for the patches."""
    out: Path
    """Folder for table.md, translations.png, the digits, and a folder for each training."""
    methods: tuple[Literal["gan", "cyclegan", "gcgan-rot", "gcgan-vf"], ...] = ("gan", "cyclegan", "gcgan-rot", "gcgan-vf")
    """Methods, each without and with structure consistency."""
    structure_weights: tuple[float, ...] = (40.0,)
    """Weights of structure consistency, each a row of its own. Which is good depends on the data: docs/digits.md."""
    structure_form: Literal["published", "gaussian"] = "published"
    """Its kernels, as of huenet translate train; so the next two."""
    structure_sigma: float | None = None
    """Width of these kernels."""
    structure_ridge: float | None = None
    """Added to the diagonal of their system."""
    directions: Literal["both", "a-to-b", "b-to-a"] = "both"
    """a-to-b: MNIST to MNIST-M alone, in half the time; not for cyclegan."""
    seeds: int = 3
    """Seeds of the first method; the others have one, unless they are given alone."""
    steps: int = 2_000
    """Training steps of each model. The same command with more of them goes on from there."""
    width: int = 32
    """Channels of the networks' first layers; 64 as published takes three times as long."""
    count: int = 8_000
    """Digits of the file, at most: three quarters of them for training, half of these in either look."""
    minutes: float = float("inf")
    """Begin no training after so many minutes."""
    jobs: int = 1
    """Trainings at a time, each with its share of the cores."""

    def execute(self) -> int:
        needs_extra("experiment digits")
        with contextlib.ExitStack() as stack:
            with user_input():
                plan = self._plan()
                must_be_writable(self.out)
                stack.enter_context(claimed(self.out, "table"))
                digits = self._digits()
            folders, judges = self._written(digits), self._judges(digits)
            measuring = threading.Lock()  # torch has one seed for all threads

            def run(trial: "Trial") -> None:
                running.run_huenet(trial.train(folders), self.jobs)
                with measuring, user_input():
                    trial.measure(digits, judges)

            left = running.run_trials(plan, run, self.jobs, self.minutes, "digits")
            self._write_results(digits, judges)
        print(f"written to {self.out}: table.md, translations.png{running.what_is_left(left, plan)}")
        return 0

    def _plan(self) -> "list[Trial]":
        """What is to be trained: seed by seed, so that a run that is cut short has the whole table of one seed."""
        from ..translation.digit_trials import Structure, Trial

        for name in ("seeds", "steps", "width"):
            check_int(name, getattr(self, name), 1)
        check_int("count", self.count, 64)
        running.check_budget(self.jobs, self.minutes)
        outputs_are_not_inputs(self.out, self.photos)
        if not self.methods or not self.structure_weights:
            raise ValueError("methods and structure_weights must have at least one value each, got none")
        if "cyclegan" in self.methods and self.directions != "both":
            raise ValueError(f"directions must be both for cyclegan, whose cycle needs both, got {self.directions}")
        form = self.structure_form, self.structure_sigma, self.structure_ridge
        structures = [Structure(), *(Structure(weight, *form) for weight in dict.fromkeys(self.structure_weights) if weight)]
        about = self.steps, self.width, self.directions
        plan = [
            Trial(self.out, method, structure, seed, *about)
            for seed in range(self.seeds)
            for method in dict.fromkeys(self.methods if seed == 0 else self.methods[:1])
            for structure in structures
        ]
        for trial in plan:
            trial.check()
        return plan

    def _digits(self) -> "Digits":
        from ..data import load_folder
        from ..translation.digits import PHOTO_SIZE, make_digits, read_mnist

        images, labels = read_mnist(self.mnist, self.count)
        digits = make_digits(images, labels, load_folder(self.photos, PHOTO_SIZE, minimum=1, margin=False))
        record, about = self.out / DIGITS, {"sha256": digits.digest(), "training": len(digits.train_labels)}
        if not record.exists():
            with replacing(record) as temporary:
                temporary.write_text(json.dumps(about) + "\n", encoding="utf-8")
        elif json.loads(record.read_text(encoding="utf-8")) != about:
            raise ValueError(
                f"{self.out} has translations of other digits: repeat --mnist, --photos and --count, or choose another --out"
            )
        return digits

    def _written(self, digits: "Digits") -> "dict[Look, Path]":
        """The training digits of both looks as PNGs, which the trainings read."""
        from ..translation.digits import LOOKS, write_pngs

        folders = {look: self.out / "digits" / look for look in LOOKS}
        for look, folder in folders.items():
            write_pngs(digits.unpaired(look), folder)
        return folders

    def _judges(self, digits: "Digits") -> "dict[Look, DigitClassifier]":
        from ..translation.judges import train_classifier

        looks = tqdm(digits.train.items(), "classifiers", disable=None, leave=False)
        return {look: train_classifier(images, digits.train_labels) for look, images in looks}

    def _write_results(self, digits: "Digits", judges: "dict[Look, DigitClassifier]") -> None:
        from .. import plotting
        from ..translation.digit_figures import translations
        from ..translation.digit_trials import rows, table
        from ..translation.judges import accuracy

        found = rows(self.out, self.steps)
        plotting.save(translations(digits, found), self.out / "translations.png")
        real = {look: accuracy(judge, digits.test[look], digits.test_labels) for look, judge in judges.items()}
        text = table(found, real)
        with replacing(self.out / "table.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(text)
