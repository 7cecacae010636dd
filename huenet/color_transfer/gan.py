"""One training step of Hue-Net, and the state it changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..color import color_weights, rgb_to_hsv, wrap_hue
from ..losses import HueNetLoss
from ..training.checkpoint import CheckpointError, flatten, load_module, unflatten, with_prefix, without_prefix
from ..training.distributed import World
from .config import Config
from .generator import HueDiscriminator, HueGenerator, HueNet


class Trainer:
    """Generator, discriminator, their optimisers, and how a pair of batches changes them.

    What is random in step s (dropout) is drawn from (seed, s, rank), as the batches are: beside the tensors of `state` an exact
    resume needs only the number of the step.
    """

    def __init__(self, config: Config, world: World) -> None:
        self.config, self.world = config, world
        self.dtype, self.half = _arithmetic(config.train.precision, world.device)
        torch.manual_seed(config.train.seed)  # the same weights in every process
        self.generator: HueGenerator = self._place(HueNet(config.model).generator)
        self.discriminator: HueDiscriminator | None = None
        if config.loss.adversarial_weight:
            self.discriminator = self._place(HueDiscriminator(config.model))
        self.average: AveragedModel | None = None
        if config.train.ema:
            self.average = AveragedModel(self.generator, multi_avg_fn=self._average, use_buffers=True)
        self.loss = HueNetLoss.from_config(config.loss)
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), betas=(config.train.beta1, config.train.beta2))
            for name, module in self._networks().items()
        }
        self._generate = world.wrap(self.generator)
        self._judge = None if self.discriminator is None else world.wrap(self.discriminator)

    def step(self, step: int, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator, on RGB batches (B, 3, H, W) of this process.

        Returns this process's losses, scalars: total, emd, mi, adversarial, discriminator (0 without one).
        """
        torch.manual_seed(_step_seed(self.config.train.seed, step, self.world.rank))
        self._schedule(step)
        source_hsv, target_hsv = self._turned_together(step, rgb_to_hsv(source.to(self.dtype)), rgb_to_hsv(target.to(self.dtype)))
        with self._autocast():
            hue = self._generate(source_hsv, target_hsv)
        painted = torch.cat([hue, source_hsv[:, 1:]], dim=1)
        judged = hue.new_zeros(())
        fake_logits = None
        if self.discriminator is not None:
            judged = self._step_discriminator(source_hsv, painted.detach())
            with self._autocast():
                (fake_logits,) = self.discriminator(painted)
        color = self.config.loss.weighting == "color"
        parts = self.loss(
            hue,
            target_hsv[:, :1],
            source_hsv[:, :1],
            output_weights=color_weights(source_hsv) if color else None,
            target_weights=color_weights(target_hsv) if color else None,
            fake_logits=fake_logits,
        )
        self._descend("generator", parts.total)
        if self.average is not None:
            self.average.update_parameters(self.generator)
        return {**{name: value.detach() for name, value in parts._asdict().items()}, "discriminator": judged}

    def painter(self) -> HueNet:
        """A float32 copy of the generator as it would paint now, in eval mode: of the running average where there is one."""
        model = HueNet(self.config.model).to(self.world.device)
        generator = self.generator if self.average is None else self.average.module
        model.generator.load_state_dict(generator.state_dict())
        return model.eval()

    def state(self) -> dict[str, Tensor]:
        """Everything a step changes, as named tensors."""
        tensors: dict[str, Tensor] = {}
        for name, module in self._networks().items():
            tensors |= with_prefix(name, module.state_dict())
            tensors |= with_prefix(f"{name}_optimizer", flatten(self.optimizers[name].state_dict()["state"]))
        if self.average is not None:
            tensors |= with_prefix("average", self.average.state_dict())
        return tensors

    def load_state(self, path: Any, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""
        for name, module in self._networks().items():
            load_module(path, module, without_prefix(name, tensors))
            optimizer = self.optimizers[name]
            moments = unflatten(without_prefix(f"{name}_optimizer", tensors))
            shapes = [{key: value.shape for key, value in entry.items()} for _, entry in sorted(moments.items())]
            if shapes != [{"step": (), "exp_avg": one.shape, "exp_avg_sq": one.shape} for one in module.parameters()]:
                raise CheckpointError(f"{path} lacks the state of the {name}'s optimiser")
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        if self.average is not None:
            load_module(path, self.average, without_prefix("average", tensors))

    def _networks(self) -> dict[str, nn.Module]:
        networks: dict[str, nn.Module] = {"generator": self.generator}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        return networks

    def _step_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        with self._autocast():
            real_logits, fake_logits = self._judge(real, fake)
        loss = self.loss.adversarial.discriminator(real_logits, fake_logits)
        self._descend("discriminator", loss)
        # The generator's step needs gradients through the discriminator, not of it.
        self.discriminator.requires_grad_(False)
        return loss.detach()

    def _descend(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()

    def _schedule(self, step: int) -> None:
        """Set what depends on the step: both learning rates, and the decay of the running average."""
        train = self.config.train
        factor = min(1.0, (step + 1) / (train.warmup + 1))
        if train.schedule == "cosine":
            factor *= 0.5 * (1 + math.cos(math.pi * step / train.steps))
        rates = {"generator": train.learning_rate, "discriminator": train.discriminator_learning_rate or train.learning_rate}
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * factor
        # At first the average forgets faster, or it would remember the random beginning for long.
        self.decay = min(train.ema, (step + 1) / (step + 6))

    def _average(self, averaged: Any, current: Any, count: Any) -> None:
        get_ema_multi_avg_fn(self.decay)(averaged, current, count)

    def _turned_together(self, step: int, *images: Tensor) -> list[Tensor]:
        """The HSV images with their hues turned, all those of a pair by the same random angle."""
        train, world = self.config.train, self.world
        if not train.hue_jitter:
            return list(images)
        # Drawn for the joint batch, so that it does not depend on the number of processes.
        drawn = torch.rand(train.batch_size, generator=torch.Generator().manual_seed(_step_seed(train.seed, step)))
        angles = train.hue_jitter * (2 * drawn.chunk(world.size)[world.rank] - 1)
        angles = angles.to(world.device, self.dtype)[:, None, None, None]
        return [torch.cat([wrap_hue(image[:, :1] + angles), image[:, 1:]], dim=1) for image in images]

    def _place(self, module: nn.Module) -> Any:
        module.to(self.world.device, self.dtype)
        # Convolutions on tensor cores read channels last; on a CPU it gains nothing.
        return module.to(memory_format=torch.channels_last) if self.world.device.type == "cuda" else module

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.half)


def _arithmetic(precision: str, device: torch.device) -> tuple[torch.dtype, bool]:
    """The weights' dtype, and whether the networks compute in bfloat16."""
    if precision == "float64":
        return torch.float64, False
    return torch.float32, precision == "bfloat16" or (precision == "auto" and device.type == "cuda")


def _step_seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
