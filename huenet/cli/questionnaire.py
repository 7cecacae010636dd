"""`huenet questionnaire` and `huenet questionnaire score`."""

import contextlib
import dataclasses
from pathlib import Path

import tyro

from .evaluate import unseen_names
from .mistakes import must_be_writable, needs_extra, outputs_are_not_inputs, user_input


@dataclasses.dataclass(frozen=True)
class Questionnaire:
    """Ask people which photos are real: a page for a browser, of real photos and painted ones.

    Each picture is shown for a while, then hidden; the page saves the answers as a file, which `huenet questionnaire score` takes.
    No photo is shown twice. If PHOTOS is the folder the model was trained on, only the photos held out of training are used.

        huenet questionnaire --checkpoint run/generator.safetensors --data photos --out questionnaire
        huenet questionnaire score --key questionnaire/key.json answers-1.json answers-2.json

    Give people index.html only: key.json tells which photos are real.
    """

    data: Path
    """Folder of photos."""
    out: Path
    """Folder for index.html and key.json."""
    checkpoint: Path | None = None
    """A training run's generator.safetensors. None: the model in the package."""
    recursive: bool = False
    """Take the photos of subfolders too."""
    count: int = 40
    """Pictures, half of them real and half painted, of as many photos."""
    seconds: float = 3.0
    """How long each picture is shown."""
    seed: int = 0
    """Seed that draws the photos, their order, and what they are painted with."""
    device: str = "auto"
    """cpu, cuda, ... auto: the GPU where there is one."""

    def execute(self) -> int:
        from ..color_transfer.pages.questionnaire import check, make
        from ..color_transfer.painter import Painter
        from ..data import find_images
        from ..files import claimed, replacing

        with contextlib.ExitStack() as stack:
            with user_input():
                check(self.count, self.seconds, self.seed)
                painter = Painter.load(self.checkpoint, self.device)
                outputs_are_not_inputs(self.out, self.data, self.recursive)
                must_be_writable(self.out)
                stack.enter_context(claimed(self.out, "questionnaire"))
                files = {path.relative_to(self.data).as_posix(): path for path in find_images(self.data, self.recursive)}
                names = unseen_names(tuple(files), painter.metadata)
                made = make(painter, [(name, files[name]) for name in names], self.count, self.seconds, self.seed)
            for name, text in (("key.json", made.key), ("index.html", made.page)):
                with replacing(self.out / name) as temporary:
                    temporary.write_text(text, encoding="utf-8")
        print(f"written to {self.out}: index.html, to be opened in a browser or sent, and key.json, to be kept from who answers")
        return 0


@dataclasses.dataclass(frozen=True)
class QuestionnaireScore:
    """Score answers to a questionnaire: how often real and painted photos were called real.

        huenet questionnaire score --key questionnaire/key.json answers-1.json answers-2.json

    The shares have 95 % intervals, which take into account that answers of one person are alike.
    """

    answers: tyro.conf.Positional[tuple[Path, ...]]
    """Files that the page saved, one of each person."""
    key: Path
    """The questionnaire's key.json."""

    def execute(self) -> int:
        needs_extra("questionnaire score")
        from ..color_transfer.pages.answers import score

        with user_input():
            scored = score(self.key, self.answers)
        print(scored.as_markdown())
        return 0
