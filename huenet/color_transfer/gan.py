"""How Hue-Net learns: its generator and discriminator, their loss, and one step of both."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..color import color_weights, rgb_to_hsv, wrap_hue
from ..kernels.common.devices import sent
from ..losses import HueNetLoss, LossParts
from ..training.distributed import World
from ..training.parts import LOSSES
from ..training.trained_networks import TrainedNetworks, step_seed
from .config import Config
from .generator import HueDiscriminator
from .model import HueNet


class HueGAN:
    """Generator and discriminator (None without adversarial loss), and how a pair of batches changes them."""

    def __init__(self, config: Config, world: World) -> None:
        self.config, self.world, train = config, world, config.train
        torch.manual_seed(train.seed)  # the same weights in every process
        networks: dict[str, nn.Module] = {"generator": HueNet(config.model).generator}
        if config.loss.adversarial_weight:
            networks["discriminator"] = HueDiscriminator(config.model)
        self.generator, self.discriminator = networks["generator"], networks.get("discriminator")
        rates = {"generator": train.learning_rate, "discriminator": train.discriminator_learning_rate or train.learning_rate}
        self.networks = TrainedNetworks(networks, rates, train, world, averages={"generator": "average"})
        self.loss = HueNetLoss.from_config(config.loss)
        self._turned = self.networks.compiled(self._hsv_turned)
        self._generator_losses = self.networks.compiled(self._losses_of_generator, LOSSES)
        self._discriminator_loss = self.networks.compiled(self._loss_of_discriminator, LOSSES)
        self._nothing = torch.zeros((), dtype=self.networks.dtype, device=world.device)

    def step(self, step: int, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator, on RGB batches (B, 3, H, W) of this process.

        Returns this process's losses, scalars: total, emd, mi, adversarial, smoothness, discriminator (0 without one).
        """
        networks, train = self.networks, self.config.train
        networks.begin(step)
        source_hsv, target_hsv = self._turned(source, target, self._angles(step) if train.hue_jitter else None)
        hue = networks.apply("generator", source_hsv, target_hsv)
        judged, fake_logits = self._nothing, None
        if self.discriminator is not None:
            painted = torch.cat([hue, source_hsv[:, 1:]], dim=1)
            judged = self._step_discriminator(source_hsv, painted.detach())
            (fake_logits,) = networks.apply("discriminator", painted, learns=False)
        parts = self._generator_losses(hue, source_hsv, target_hsv, fake_logits)
        networks.descend(parts.total, "generator")
        return {**{name: value.detach() for name, value in parts._asdict().items()}, "discriminator": judged}

    def model(self) -> HueNet:
        """A float32 copy of the model as it would paint now, in eval mode: of the running average where there is one."""
        model = HueNet(self.config.model).to(self.world.device)
        model.generator.load_state_dict(self.networks.weights("generator"))
        return model.eval()

    def _step_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        loss = self._discriminator_loss(*self.networks.apply("discriminator", real, fake))
        self.networks.descend(loss, "discriminator")
        # The generator's step needs gradients through the discriminator, not of it.
        self.discriminator.requires_grad_(False)
        return loss.detach()

    def _loss_of_discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.loss.adversarial.discriminator(real_logits, fake_logits)

    def _losses_of_generator(self, hue: Tensor, source_hsv: Tensor, target_hsv: Tensor, fake_logits: Tensor | None) -> LossParts:
        voters = {"output_weights": source_hsv, "target_weights": target_hsv} if self.config.loss.weighting == "color" else {}
        weights = {name: color_weights(hsv) for name, hsv in voters.items()}
        return self.loss(hue, target_hsv[:, :1], source_hsv[:, :1], fake_logits=fake_logits, **weights)

    def _angles(self, step: int) -> Tensor:
        """By which the hues of each pair are turned together, (B, 1, 1, 1), drawn for the joint batch, so that they do not depend
        on the number of processes."""
        train, world = self.config.train, self.world
        drawn = torch.rand(train.batch_size, generator=torch.Generator().manual_seed(step_seed(train.seed, step)))
        angles = train.hue_jitter * (2 * drawn.chunk(world.size)[world.rank] - 1)
        return sent(angles.to(self.networks.dtype)[:, None, None, None], world.device)

    def _hsv_turned(self, source: Tensor, target: Tensor, angles: Tensor | None) -> Sequence[Tensor]:
        """HSV of RGB images, the hues turned by the angles; of both at once, as it is many short operations."""
        images = rgb_to_hsv(torch.cat([source, target]).to(self.networks.dtype))
        if angles is not None:
            images[:, :1] = wrap_hue(images[:, :1] + torch.cat([angles, angles]))
        return images.chunk(2)
