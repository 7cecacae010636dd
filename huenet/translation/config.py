"""Settings of unpaired translation: its networks, its terms, and what its training adds to what all systems share.

As in `huenet.training.config`: cheap to import, shown by ``--help``, and each checks its own values. Methods are presets of the
terms' weights: `huenet.translation.methods`.
"""

import dataclasses
import math
from typing import Literal

from ..training.config import MOST, BaseConfig, BaseTrainConfig, check_int, check_number, check_types

Direction = Literal["a-to-b", "b-to-a"]
DIRECTIONS: tuple[Direction, Direction] = ("a-to-b", "b-to-a")
SMALLEST_SIZE = 16
DEEPEST = 8
MOST_BLOCKS = 64
MAX_MEGAPIXELS = 250.0
"""Of a file to be translated, unless told otherwise, as for painting."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Generators and discriminators."""

    size: int = 256
    """Side of the square training images in pixels, 16 or more. Photos of any size can be translated whatever it is."""
    directions: Literal["both", "a-to-b", "b-to-a"] = "both"
    """Which translations are trained. One alone takes half the time, and has no cycle."""
    channels_a: int | None = None
    """Channels of A's images: 1, of their brightness, or 3. None: 1 if all of them are grey, else 3."""
    channels_b: int | None = None
    """The same of B's."""
    generator: Literal["resnet", "unet", "digits"] = "resnet"
    """CycleGAN's residual generator, pix2pix's U-Net, or GcGAN's small one for digits."""
    width: int = 64
    """Channels of the generators' first layer."""
    blocks: int = 9
    """Residual blocks of the resnet: 9, or 6 for images below 256 pixels."""
    depth: int | None = None
    """Halvings of the unet. None: down to one pixel, at most 8."""
    norm: Literal["batch", "instance", "none"] = "instance"
    """Normalisation in all networks."""
    dropout: float = 0.0
    """Dropout probability while training: in the resnet's blocks, or the unet's innermost up blocks (pix2pix: 0.5)."""
    discriminator: Literal["patch", "digits"] = "patch"
    """PatchGAN, or GcGAN's small one for digits."""
    discriminator_width: int = 64
    """Channels of the discriminators' first layer."""
    discriminator_depth: int = 3
    """Halvings in the patch discriminators; 3 makes them judge patches of 70 pixels, and 2 of 34."""

    def __post_init__(self) -> None:
        check_types(self)
        check_int("size", self.size, SMALLEST_SIZE, MOST)
        for name in ("width", "discriminator_width", "discriminator_depth"):
            check_int(name, getattr(self, name), 1, MOST)
        check_int("blocks", self.blocks, 0, MOST_BLOCKS)
        check_number("dropout", self.dropout, 0.0, below=1.0)
        for name in ("channels_a", "channels_b"):
            if getattr(self, name) not in (None, 1, 3):
                raise ValueError(f"{name} must be 1, 3 or none, got {getattr(self, name)}")
        if self.depth is not None and not 1 <= self.depth <= self.deepest:
            raise ValueError(f"depth must be between 1 and {self.deepest} at size {self.size}, got {self.depth}")
        if self.discriminator == "patch" and self.size < (least := 2 ** min(self.discriminator_depth + 2, 63)):
            needs = f"discriminator_depth {self.discriminator_depth} needs images of at least {least} pixels"
            raise ValueError(f"{needs}, got size {self.size}")

    @property
    def deepest(self) -> int:
        """Halvings that bring ``size`` down to one pixel, at most 8."""
        return min(DEEPEST, int(math.log2(self.size)))

    @property
    def halvings(self) -> int:
        """The unet's depth."""
        return self.deepest if self.depth is None else self.depth

    @property
    def trained(self) -> tuple[Direction, ...]:
        """The directions, one or both."""
        return DIRECTIONS if self.directions == "both" else (self.directions,)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Terms of the generators' loss, each the sum over the directions. One whose weight is 0 is not computed."""

    adversarial_weight: float = 1.0
    """Weight of the adversarial loss. 0 trains without discriminators."""
    cycle_weight: float = 0.0
    """Weight of the difference between an image and its reconstruction, there and back (CycleGAN). Needs both directions."""
    identity_weight: float = 0.0
    """Weight of the change of images that are of the target's kind already (CycleGAN). Needs as many channels in A as in B."""
    geometry_weight: float = 0.0
    """Weight of geometry consistency (GcGAN): translating a turned image is turning a translated one. Turned translations have
    discriminators and an identity term of their own."""
    structure_weight: float = 0.0
    """Weight of structure consistency (SCC): minus the dependence of a translation's values on its input's."""
    harmonic_weight: float = 0.0
    """Weight of HarmonicGAN's smoothness: patches that are alike in an input are alike in its translation, and, with both
    directions, patches that are alike in a translation are alike in the reconstruction."""
    contextual_weight: float = 0.0
    """Weight of the contextual loss between a translation and an image of the target's kind."""
    mi_weight: float = 0.0
    """Weight of the mutual information loss between a translation and its input, channel by channel."""
    adversarial_form: Literal["lsgan", "cross-entropy"] = "lsgan"
    """Least squares, or cross entropy."""
    cycle_form: Literal["l1", "l2"] = "l1"
    """Mean absolute difference (CycleGAN), or mean square (GcGAN's digits)."""
    geometry: Literal["rotation", "flip"] = "rotation"
    """What geometry consistency turns by: a quarter turn, or upside down."""
    structure_form: Literal["published", "gaussian"] = "published"
    """Kernels of structure consistency: the published code's exp(+d^2 / 2 sigma^2), or Gaussians, exp(-d^2 / 2 sigma^2)."""
    structure_sigma: float | None = None
    """Width of these kernels, for values in [-1, 1]. None: 1."""
    structure_ridge: float | None = None
    """Added to the diagonal of their system. None: 0.05 (published), 0.001 for Gaussians."""
    harmonic_bins: int = 16
    """Bins of the histograms by which patches are compared."""
    harmonic_patch: int = 8
    """Side of these patches in pixels."""
    harmonic_stride: int | None = None
    """Pixels between them. None: side by side."""
    harmonic_sigma: float | None = None
    """How far histograms may differ to count as alike. None: 0.5."""
    contextual_features: Literal["patches", "vgg19"] = "patches"
    """What the contextual loss compares: colour patches, or VGG19's relu3_2 and relu4_2."""
    contextual_patch: int = 5
    """Side of the colour patches in pixels."""
    contextual_stride: int = 2
    """Pixels between them. At 256 x 256 pixels, 8 makes a thousand of them, which a CPU bears."""
    contextual_bandwidth: float = 0.5
    """Bandwidth h of the contextual loss."""
    vgg19_weights: str | None = None
    """VGG19's weights: a safetensors file of torchvision's state dictionary. None: torchvision downloads those of ImageNet
    (pip install 'huenet[vgg]')."""
    mi_bins: int = 64
    """Bins of the joint histogram, per axis."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in self.weights:
            check_number(name, getattr(self, name), 0.0)
        if not any(self.weights.values()):
            raise ValueError(f"{', '.join(self.weights)} are all 0: there is nothing to learn")
        for name in ("structure_sigma", "structure_ridge", "harmonic_sigma", "contextual_bandwidth"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, got {value}")
        for name in ("harmonic_bins", "mi_bins"):
            check_int(name, getattr(self, name), 2, MOST)
        for name in ("harmonic_patch", "contextual_patch", "contextual_stride"):
            check_int(name, getattr(self, name), 1, MOST)
        if self.harmonic_stride is not None:
            check_int("harmonic_stride", self.harmonic_stride, 1, MOST)

    @property
    def weights(self) -> dict[str, float]:
        """Every term's weight."""
        return {name: value for name, value in vars(self).items() if name.endswith("_weight")}


@dataclasses.dataclass(frozen=True)
class TrainConfig(BaseTrainConfig):
    """Optimisation and data. These decide the result, so a resumed run must repeat them; steps may grow if the schedule is
    constant."""

    batch_size: int = 1
    """Images of A, and of B, per step, over all processes."""
    flips: bool = True
    """Flip the training photos left to right at random."""
    pool_size: int = 50
    """Earlier translations kept to show the discriminators in place of half of the new ones (CycleGAN); 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("pool_size", self.pool_size, 0, MOST)


@dataclasses.dataclass(frozen=True)
class Config(BaseConfig):
    """All that decides what a training run ends with, beside the photos."""

    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()

    def __post_init__(self) -> None:
        model, loss = self.model, self.loss
        if loss.cycle_weight and len(model.trained) < 2:
            got = f"got {loss.cycle_weight:g}"
            raise ValueError(f"cycle_weight must be 0 with directions {model.directions}, as a cycle needs both; {got}")
        for term in ("harmonic", "contextual"):
            side = getattr(loss, f"{term}_patch")
            if getattr(loss, f"{term}_weight") and side > model.size:
                raise ValueError(f"{term}_patch must be at most size {model.size}, got {side}")
