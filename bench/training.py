"""The training step taken apart: shares of data, generator, discriminator, losses and optimiser, with fused or naive losses.

The step is huenet's own `HueGAN`, watched as `huenet train --profile` watches it: see `huenet.training.parts`.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from huenet.color_transfer.config import Config
from huenet.color_transfer.gan import HueGAN
from huenet.color_transfer.presets import PRESETS
from huenet.data import PairStream, Photos
from huenet.losses import HueNetLoss, LossParts
from huenet.training.distributed import World
from huenet.training.parts import Shares, of_part
from huenet.training.rates import Operations

from . import images, naive
from .timing import quantiles
from .training_table import TITLES


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

    def __init__(self, config: Config, losses: str, device: str, compiler: str | None = None) -> None:
        if losses not in TITLES:
            raise ValueError(f"losses must be one of {', '.join(TITLES)}, got {losses!r}")
        if losses == "naive" and (config.loss.weighting != "color" or config.loss.emd_scale != "rms"):
            raise ValueError("naive losses are written for weighting color and emd_scale rms, as in presets small and default")
        world = World(torch.device(device), compiler=compiler)
        self.trainer = HueGAN(config, world)
        kind = NaiveLoss if losses == "naive" else HueNetLoss
        self.trainer.loss = kind.from_config(config.loss, "reference" if losses == "reference" else None)
        self.stream = PairStream(_photos(config.model.size).to(device), config.train.batch_size, config.train.seed)
        self.batch = of_part("data", self.stream.batch)
        self.number = 0

    def __call__(self) -> Tensor:
        losses = self.trainer.step(self.number, *self.batch(self.number))
        self.number += 1
        return losses["total"]


def _photos(size: int) -> Photos:
    """Photos to train on: noise would do for the time, but the first losses are compared, and should be of something."""
    pictures = images.photos(16, size, 0)
    pictures = (pictures * 255 if pictures.is_floating_point() else pictures).to(torch.uint8)
    return Photos(pictures, tuple(map(str, range(len(pictures)))))


class Profile:
    """One step of a kind after another, and what they took."""

    def __init__(self, config: Config, losses: str, device: str) -> None:
        self.config, self.step, self.shares = config, Step(config, losses, device), Shares(torch.device(device))
        with Operations() as counted:
            self.first_loss = self.step().item()
        self.flops = counted.count

    def once(self) -> None:
        """Make a step and keep what its parts took."""
        self.shares.watch(self.step)

    def result(self) -> dict[str, Any]:
        """Quantiles of the step, means of its parts' shares, images a second, and operations counted by torch."""
        step = quantiles(self.shares.steps())
        return {
            "step": step,
            "parts": self.shares.means(),
            "images_per_second": self.config.train.batch_size / step["median"],
            "flops": self.flops,
            "first_loss": self.first_loss,
        }
