"""The training step taken apart: shares of data, generator, discriminator, losses and optimiser, with fused or naive losses.

The step is huenet's own `HueGAN`, watched through hooks of modules, tensors and optimisers: each marks the moment at which
the next part begins. Autograd runs what was recorded last first, so backward goes through the losses, then the discriminator,
then the generator, and hooks on their outputs part them.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from huenet.color_transfer.config import Config
from huenet.color_transfer.gan import HueGAN
from huenet.color_transfer.presets import PRESETS
from huenet.data import PairStream, Photos
from huenet.losses import HueNetLoss, LossParts
from huenet.training.distributed import World

from . import images, naive
from .timing import quantiles
from .training_table import TITLES

PARTS = ("data", "generator", "discriminator", "losses", "optimiser", "other")


class NaiveLoss(HueNetLoss):
    """Hue-Net's loss with the dense textbook histograms in place of the operators; adversarial and smoothness terms as they are."""

    def forward(self, output_hue: Tensor, target_hue: Tensor, source_hue: Tensor, **given: Tensor) -> LossParts:
        votes, target_votes = given["output_weights"].flatten(1), given["target_weights"].flatten(1)
        emd_bins, mi_bins = self.emd.bins, self.mi.bins
        respond = lambda hue, bins: naive.responses(hue.flatten(1), bins.count, bins.effective_bandwidth, True)  # noqa: E731
        response = respond(output_hue, emd_bins)
        wanted = naive.histogram(respond(target_hue, emd_bins), target_votes)
        cost = naive.circular_squared_emd(naive.histogram(response, votes), wanted)
        emd_part = (cost / emd_bins.count).sqrt().mean()
        response = response if mi_bins == emd_bins else respond(output_hue, mi_bins)
        joint = naive.joint_histogram(response, respond(source_hue, mi_bins), votes)
        mi_part = 1 - naive.relative_information(joint).mean()
        adversarial = self.adversarial(given["fake_logits"])
        smoothness = self.smoothness(output_hue, source_hue, given["output_weights"])
        total = self.emd_weight * emd_part + self.mi_weight * mi_part
        total = total + self.adversarial_weight * adversarial + self.smoothness_weight * smoothness
        return LossParts(total, emd_part, mi_part, adversarial, smoothness)


def configuration(preset: str, size: int, batch: int, bins: int) -> Config:
    """A preset at another size, with as many bins for both losses."""
    base = PRESETS[preset]
    return dataclasses.replace(
        base,
        model=dataclasses.replace(base.model, size=size),
        loss=dataclasses.replace(base.loss, bins=bins, mi_bins=bins),
        train=dataclasses.replace(base.train, batch_size=batch),
    )


class Step:
    """A trainer with the losses wanted, and the pairs it trains on; called, it makes a step and returns the losses' total."""

    def __init__(self, config: Config, losses: str, device: str) -> None:
        if losses not in TITLES:
            raise ValueError(f"losses must be one of {', '.join(TITLES)}, got {losses!r}")
        if losses == "naive" and (config.loss.weighting != "color" or config.loss.emd_scale != "rms"):
            raise ValueError("naive losses are written for weighting color and emd_scale rms, as in presets small and default")
        world = World(torch.device(device))
        self.trainer = HueGAN(config, world)
        kind = NaiveLoss if losses == "naive" else HueNetLoss
        self.trainer.loss = kind.from_config(config.loss, "reference" if losses == "reference" else None)
        self.stream = PairStream(_photos(config.model.size).to(device), config.train.batch_size, config.train.seed)
        self.number = 0

    def __call__(self, mark: Callable[[str], None] = lambda part: None) -> Tensor:
        mark("data")
        pair = self.stream.batch(self.number)
        mark("other")
        losses = self.trainer.step(self.number, *pair)
        self.number += 1
        return losses["total"]


def _photos(size: int) -> Photos:
    """Photos to train on: noise would do for the time, but the first losses are compared, and should be of something."""
    pictures = images.photos(16, size, 0)
    pictures = (pictures * 255 if pictures.is_floating_point() else pictures).to(torch.uint8)
    return Photos(pictures, tuple(map(str, range(len(pictures)))))


class Shares:
    """Seconds of each part of a step, by marks at which the next part begins; on a GPU by its own clock."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.marks: list[tuple[str, Any]] = []

    def mark(self, part: str) -> None:
        if self.device == "cuda":
            moment = torch.cuda.Event(enable_timing=True)
            moment.record()
        else:
            moment = time.perf_counter()
        self.marks.append((part, moment))

    def seconds(self) -> dict[str, float]:
        """The parts since the last call, to which the last mark was the end."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        found = dict.fromkeys(PARTS, 0.0)
        for (part, start), (_, end) in zip(self.marks, self.marks[1:]):
            found[part] += start.elapsed_time(end) / 1e3 if self.device == "cuda" else end - start
        self.marks = []
        return found


def watch(trainer: HueGAN, mark: Callable[[str], None]) -> Iterator[Any]:
    """Hooks that mark the parts of the trainer's step; yields their handles."""

    def before(part: str) -> Callable[..., None]:
        return lambda *_: mark(part)

    def after(part: str) -> Callable[..., None]:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            for tensor in output if isinstance(output, tuple) else (output,):
                if tensor.requires_grad:
                    tensor.register_hook(before(part))
            mark("other")

        return hook

    for part, module in (("generator", trainer.generator), ("discriminator", trainer.discriminator)):
        if module is not None:
            yield module.register_forward_pre_hook(before(part))
            yield module.register_forward_hook(after(part))
    # without `other` after it: what follows the losses is their backward pass
    yield trainer.loss.register_forward_pre_hook(before("losses"))
    for optimizer in trainer.networks.optimizers.values():
        yield optimizer.register_step_pre_hook(before("optimiser"))
        yield optimizer.register_step_post_hook(before("other"))


class Profile:
    """One step of a kind after another, and what they took."""

    def __init__(self, config: Config, losses: str, device: str) -> None:
        self.config, self.device = config, device
        self.step, self.shares = Step(config, losses, device), Shares(device)
        with FlopCounterMode(display=False) as counter:
            self.first_loss = self.step().item()
        self.flops = counter.get_total_flops()
        self.handles = list(watch(self.step.trainer, self.shares.mark))
        self.records: list[dict[str, float]] = []

    def once(self, count: int = 1) -> None:
        """Make steps and keep what their parts took."""
        for _ in range(count):
            self.step(self.shares.mark)
            self.shares.mark("other")
            self.records.append(self.shares.seconds())

    def result(self) -> dict[str, Any]:
        """Quantiles of the step, means of its parts' shares, images a second, and operations counted by torch."""
        totals = [sum(record.values()) for record in self.records]
        step = quantiles(totals)
        return {
            "step": step,
            "parts": {part: sum(record[part] for record in self.records) / len(self.records) for part in PARTS},
            "images_per_second": self.config.train.batch_size / step["median"],
            "flops": self.flops,
            "first_loss": self.first_loss,
        }
