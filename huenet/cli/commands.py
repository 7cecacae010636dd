"""What the commands of the command line do."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import math
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..color_transfer import figures
from ..color_transfer.config import Config
from ..color_transfer.evaluation import draw_pairs, evaluate
from ..color_transfer.model import HueNet
from ..color_transfer.painter import Painter, paint_files
from ..color_transfer.presets import DEMO
from ..color_transfer.system import GENERATOR, ColorTransfer
from ..data import LOAD_RATIO, Photos, load_folder
from ..data.garden import garden
from ..plotting import save
from ..training.config import RunConfig
from ..training.distributed import ALONE, World, joined
from ..training.run import TrainingError, TrainingRun
from .arguments import Command, Demo, Evaluate, Experiment, Mistake, Train, Transfer

GARDEN = 240
EXAMPLES = 5


def run(command: Command) -> int:
    """Do it; returns the exit code. Raises `Mistake` or ``OSError`` for what the user must put right."""
    with _our_warnings(), _out_of_memory():
        if isinstance(command, Demo):
            return _demo(command)
        if isinstance(command, Train):
            return _train(command)
        if isinstance(command, Transfer):
            return _transfer(command)
        if isinstance(command, Experiment):
            return _experiment(command)
        return _evaluate(command)


def _demo(command: Demo) -> int:
    with _mistakes():
        config = dataclasses.replace(DEMO, train=dataclasses.replace(DEMO.train, seed=command.seed))
        run = RunConfig(max_minutes=command.minutes)
        _must_be_writable(command.out)
        size = config.model.size
        if command.data is not None:
            photos = load_folder(command.data, size, minimum=config.train.hold_out + 2)
        else:  # a little larger than needed, as a folder's photos are loaded, so that random crops have room
            photos = dataclasses.replace(garden(GARDEN, math.ceil(size * LOAD_RATIO), command.seed), size=size)
    code = _run_training(config, photos, command.out, run, ALONE)
    if code == 0:
        painter = Painter.load(command.out / GENERATOR)
        _report(painter.model, _unseen(photos, painter.metadata), command.out, pairs=100, seed=command.seed)
    return code


def _train(command: Train) -> int:
    config = Config(command.model, command.loss, command.train)
    with contextlib.ExitStack() as stack:
        with _mistakes():
            world = stack.enter_context(joined(command.run.device))
            if not world.main:
                warnings.simplefilter("ignore")
            _must_be_writable(command.out)
            photos = load_folder(command.data, config.model.size)
        return _run_training(config, photos, command.out, command.run, world)


def _run_training(config: Config, photos: Photos, out: Path, run: RunConfig, world: World) -> int:
    """Train and say how it went; returns the exit code."""
    with _mistakes():
        training = TrainingRun(ColorTransfer(config, photos, world), out, run)
    with contextlib.closing(training):
        try:
            outcome = training.proceed()
        except TrainingError as error:
            raise Mistake(str(error)) from error
    by = outcome.stopped_by
    if by is None:
        _say(world, f"trained {outcome.step} steps: {out / GENERATOR}")
        return 0
    _say(
        world,
        f"stopped ({by if by == 'time' else by.name}) after step {outcome.step} of {config.train.steps}; "
        "the same command goes on from there",
    )
    return 0 if by == "time" else 128 + by


def _transfer(command: Transfer) -> int:
    with _mistakes():
        paint = Painter.load(command.checkpoint, command.device)
        for written in paint_files(paint, command.source, command.target, command.out):
            print(written)
    return 0


def _evaluate(command: Evaluate) -> int:
    with _mistakes():
        painter = Painter.load(command.checkpoint, command.device)
        without_mi = None if command.without_mi is None else Painter.load(command.without_mi, command.device).model
        _must_be_writable(command.out)
        photos = load_folder(command.data, painter.model.config.size)
        photos = _unseen(photos, painter.metadata).to(painter.device)
        draw_pairs(len(photos), command.pairs, command.seed)
    _report(painter.model, photos, command.out, command.pairs, command.seed, without_mi)
    return 0


def _experiment(command: Experiment) -> int:
    experiment = importlib.import_module(f"..experiments.{command.loss}", __package__)
    with _mistakes():
        _must_be_writable(command.out)
        result = experiment.run(command.data, command.out, seed=command.seed)
    text = json.dumps(result, indent=2)
    (command.out / f"{command.loss}.json").write_text(text + "\n")
    print(text)
    print(f"written to {command.out}: {command.loss}.png, {command.loss}.json")
    return 0


def _unseen(photos: Photos, metadata: dict[str, Any]) -> Photos:
    """The photos held out of training if these are those the model was trained on, else all of them."""
    held_out, trained_on = metadata.get("held_out", []), metadata.get("trained_on", [])
    if not trained_on or not {*held_out, *trained_on} <= set(photos.names):
        if seen := {*trained_on} & set(photos.names):  # part of the training folder, or names that every camera gives
            warnings.warn(f"{len(seen)} of these photos have names of photos the model was trained on", stacklevel=2)
        print(f"evaluating on all {len(photos)} photos" + ", which the model was not trained on" * (bool(trained_on) and not seen))
        return photos
    if len(held_out) < 2:
        warnings.warn(f"the model was trained on these photos, and {len(held_out)} were held out: evaluating on all", stacklevel=2)
        return photos
    print(f"evaluating on the {len(held_out)} photos that were held out of training")
    return photos.subset([photos.names.index(name) for name in held_out])


def _report(paint: HueNet, photos: Photos, out: Path, pairs: int, seed: int, without_mi: HueNet | None = None) -> None:
    """Write Table 1 and the figures, print the table."""
    result = evaluate(paint, photos, pairs, seed, without_mi=without_mi)
    result.write(out)
    sources, targets = zip(*draw_pairs(len(photos), pairs, seed)[:EXAMPLES])
    source, target = photos.pictures(sources), photos.pictures(targets)
    with torch.no_grad():
        output = paint(source, target)
        ablated = None if without_mi is None else without_mi(source, target)
    save(figures.color_transfer(source[:2], target[:2], output[:2]), out / "color_transfer.png")
    save(figures.joint_histograms(source, target, output), out / "joint_histograms.png")
    save(figures.comparison(source, target, output, ablated), out / "comparison.png")
    print(result.as_markdown())
    print(f"written to {out}: table1.md, table1.json, color_transfer.png, joint_histograms.png, comparison.png")


def _say(world: World, message: str) -> None:
    if world.main:
        print(message)


@contextlib.contextmanager
def _mistakes() -> Iterator[None]:
    """Around what reads or checks a user's input: a ``ValueError`` is the user's mistake there, not ours."""
    try:
        yield
    except ValueError as error:
        raise Mistake(str(error)) from error


def _must_be_writable(folder: Path) -> None:
    """Make the folder. Raises ``OSError`` if nothing can be written there, before any work is done in vain."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextlib.contextmanager
def _out_of_memory() -> Iterator[None]:
    """Settings too large for this machine are the user's mistake; on a CPU torch has no exception of its own for it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "can't allocate memory" not in str(error):
            raise
        what = str(error).split("CPUAllocator: ")[-1].split(". ")[0]
        raise Mistake(f"out of memory ({what}): smaller pictures, batches, widths or bins need less") from error


@contextlib.contextmanager
def _our_warnings() -> Iterator[None]:
    """Show this package's warnings as one line each, and leave the others as they are."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any) -> None:
        if Path(filename).parent == Path(__file__).parent:
            tqdm.write(f"huenet: warning: {message}", file=sys.stderr)
        else:
            usual(message, category, filename, *rest)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
