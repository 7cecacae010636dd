"""The generators of both directions as one network, and so the discriminators: one optimiser each, and one pass a step, as
DistributedDataParallel wants it. Images are in [-1, 1]."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from ..networks import DigitDiscriminator, DigitGenerator, PatchDiscriminator, ResNet, UNet
from .config import DIRECTIONS, Direction, LossConfig, ModelConfig

Turn = Callable[[Tensor], Tensor]
TURNS: dict[str, tuple[Turn, Turn]] = {
    "rotation": (lambda image: image.rot90(-1, (-2, -1)), lambda image: image.rot90(1, (-2, -1))),
    "flip": (lambda image: image.flip(-2), lambda image: image.flip(-2)),
}
"""What geometry consistency does to images, and back."""


def turns(loss: LossConfig) -> tuple[Turn, Turn] | None:
    """There and back, if geometry consistency is wanted."""
    return TURNS[loss.geometry] if loss.geometry_weight else None


def source_of(direction: Direction) -> str:
    """ "a" or "b"."""
    return direction[0]


def target_of(direction: Direction) -> str:
    """ "b" or "a"."""
    return direction[-1]


def resolved_channels(config: ModelConfig) -> dict[str, int]:
    """By side. Raises ``ValueError`` where the configuration leaves them open."""
    channels = {"a": config.channels_a, "b": config.channels_b}
    if None in channels.values():
        raise ValueError(f"channels_a and channels_b must be 1 or 3, got {config.channels_a} and {config.channels_b}")
    return channels


@dataclasses.dataclass
class Translated:
    """What a step makes of the images of one direction; what no term asks for is None."""

    output: Tensor
    """The source, translated."""
    back: Tensor | None = None
    """That, translated back."""
    turned: Tensor | None = None
    """The turned source, translated."""
    same: Tensor | None = None
    """The target's image, translated as if it were a source."""
    same_turned: Tensor | None = None
    """The same of the turned target's image."""


class Generator(nn.Module):
    """Translates images (B, C, H, W) in [-1, 1] of any size of at least `least` pixels a side -> (B, C', H, W) in [-1, 1]."""

    def __init__(self, config: ModelConfig, channels_in: int, channels_out: int) -> None:
        super().__init__()
        common = {"width": config.width, "norm": config.norm}
        if config.generator == "resnet":
            self.layers = ResNet(channels_in, channels_out, blocks=config.blocks, dropout=config.dropout, **common)
            self.least = ResNet.LEAST
        elif config.generator == "unet":
            options = {"depth": config.halvings, "dropout": config.dropout, "upsample": "transposed"}
            self.layers = UNet(channels_in, channels_out, **options, **common)
            self.least = 2**config.halvings
        else:
            self.layers = DigitGenerator(channels_in, channels_out, **common)
            self.least = DigitGenerator.LEAST

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).to(x.dtype).tanh()


class Generators(nn.Module):
    """One `Generator` for each direction that is trained. The configuration must tell the channels."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, channels = config, resolved_channels(config)
        self.generators = nn.ModuleDict(
            {one: Generator(config, channels[source_of(one)], channels[target_of(one)]) for one in config.trained}
        )

    def __getitem__(self, direction: Direction) -> Generator:
        return self.generators[direction]

    def forward(self, a: Tensor, b: Tensor, *, back: bool, same: bool, turn: Turn | None) -> dict[str, dict[str, Tensor]]:
        """A step's images (B, C, S, S) -> by direction the fields of `Translated` that are asked for."""
        images, found = {"a": a, "b": b}, {}
        for direction in self.config.trained:
            generator, source, target = self[direction], images[source_of(direction)], images[target_of(direction)]
            made = {"output": generator(source)}
            if turn is not None:
                made["turned"] = generator(turn(source))
            if same:
                made["same"] = generator(target)
                if turn is not None:
                    made["same_turned"] = generator(turn(target))
            if back:
                made["back"] = self[reverse_of(direction)](made["output"])
            found[direction] = made
        return found


class Discriminators(nn.Module):
    """By name, "b" for translations into B, and with geometry consistency "b_turned" for turned ones."""

    def __init__(self, config: ModelConfig, turned: bool) -> None:
        super().__init__()
        channels = resolved_channels(config)
        sides = [target_of(direction) for direction in config.trained]
        names = [side + suffix for side in sides for suffix in ([""] + ["_turned"] * turned)]
        self.discriminators = nn.ModuleDict({name: _discriminator(config, channels[name[0]]) for name in names})

    @property
    def names(self) -> list[str]:
        return list(self.discriminators)

    def forward(self, images: Mapping[str, Sequence[Tensor]]) -> dict[str, list[Tensor]]:
        """Any number of images for each -> logits of each, judged in a batch of its own."""
        return {name: [self.discriminators[name](image) for image in some] for name, some in images.items()}


def reverse_of(direction: Direction) -> Direction:
    return DIRECTIONS[1 - DIRECTIONS.index(direction)]


def _discriminator(config: ModelConfig, channels: int) -> nn.Module:
    common = {"width": config.discriminator_width, "norm": config.norm}
    if config.discriminator == "digits":
        return DigitDiscriminator(channels, size=config.size, **common)
    return PatchDiscriminator(channels, depth=config.discriminator_depth, **common)


def to_networks(image: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]."""
    return 2 * image - 1


def to_picture(image: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1]."""
    return (image + 1) / 2


def grey_as(image: Tensor, channels: int) -> Tensor:
    """A grey image repeated to so many channels; one that has them stays."""
    return image.expand(-1, channels, -1, -1) if image.shape[1] == 1 else image
