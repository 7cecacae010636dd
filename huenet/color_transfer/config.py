"""Settings of Hue-Net: its model, its losses, and what its training adds to what all systems share.

As in `huenet.training.config`: cheap to import, shown by ``--help``, and each checks its own values. What the Hue-Net paper
does not state is a setting here.
"""

import dataclasses
import math
from typing import Literal

from ..training.config import MOST, BaseConfig, BaseTrainConfig, check_int, check_number, check_types

SMALLEST_SIZE = 32
DEEPEST = 8
MAX_MEGAPIXELS = 250.0
"""Of a file to be painted or to paint with, unless told otherwise: what no camera exceeds in one exposure, and two gigabytes."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Generator and discriminator."""

    size: int = 128
    """Side of the square training images in pixels, 32 or more. Photos of any size can be painted whatever it is."""
    width: int = 64
    """Channels of the generator's first layer; deeper layers double it up to eight times."""
    depth: int | None = None
    """Halvings in the generator. None: as many as bring the size down to --coarsest, at most 8."""
    coarsest: int = 1
    """Side in pixels of the generator's innermost map, which --depth follows from; 1 as in pix2pix."""
    norm: Literal["batch", "instance", "none"] = "instance"
    """Normalisation in both networks."""
    dropout: float = 0.0
    """Dropout probability in the generator's innermost up blocks while training (pix2pix: 0.5)."""
    upsample: Literal["resize", "transposed"] = "resize"
    """Up blocks: resize then 3x3 convolution (no checkerboard), or 4x4 transposed convolution as pix2pix."""
    input_skip: bool = True
    """Join the input itself to the decoder's last features, for one more convolution; pix2pix does not."""
    head: Literal["absolute", "rotation", "palette"] = "palette"
    """What the generator predicts. absolute: the output's hue (paper). rotation: an angle that turns the source's hue.
    palette: turns as well, but mixes in each pixel a few curves (angle by source hue) which attend to the target's hue
    histogram, so that a hue only becomes one that the target has."""
    curves: int = 4
    """Curves of the palette head."""
    knots: int = 32
    """Points around the hue circle between which the palette head's curves are interpolated."""
    hue_input: Literal["value", "vector"] = "vector"
    """How the networks see a hue: its value (paper), or (cos, sin) times saturation, which does not jump at red and
    vanishes in grey."""
    conditioning: Literal["image", "histogram"] = "histogram"
    """How the generator learns the target's colours: from the target's hue image (paper), or from the target's and the
    source's hue histograms, which scale and shift the decoder's features (FiLM)."""
    condition_bins: int = 64
    """Bins of the histograms used for conditioning."""
    condition_width: int = 128
    """Numbers that stand for both histograms once a small network has read them."""
    restraint: bool = True
    """Where painting would end farther from the target than the source is, turn hues the part of their way that ends nearest."""
    discriminator_width: int = 64
    """Channels of the discriminator's first layer."""
    discriminator_depth: int = 3
    """Halvings in the discriminator; 3 makes it judge patches of 70 pixels, as pix2pix, and 2 of 34."""

    def __post_init__(self) -> None:
        check_types(self)
        check_int("size", self.size, SMALLEST_SIZE, MOST)
        for name in ("width", "coarsest", "curves", "condition_width", "discriminator_width", "discriminator_depth"):
            check_int(name, getattr(self, name), 1, MOST)
        for name in ("condition_bins", "knots"):
            check_int(name, getattr(self, name), 2, MOST)
        check_number("dropout", self.dropout, 0.0, below=1.0)
        if self.head == "palette" and self.conditioning != "histogram":
            raise ValueError(f"head palette needs conditioning histogram, got {self.conditioning}")
        if self.depth is not None and not 1 <= self.depth <= self.deepest:
            raise ValueError(f"depth must be between 1 and {self.deepest} at size {self.size}, got {self.depth}")
        if self.size < (least := 2 ** min(self.discriminator_depth + 2, 63)):
            needs = f"discriminator_depth {self.discriminator_depth} needs images of at least {least} pixels"
            raise ValueError(f"{needs}, got size {self.size}")

    @property
    def deepest(self) -> int:
        """Halvings that bring ``size`` down to one pixel, at most 8."""
        return min(DEEPEST, int(math.log2(self.size)))

    @property
    def halvings(self) -> int:
        """The generator's depth: ``depth``, or what ``size`` and ``coarsest`` ask for."""
        if self.depth is not None:
            return self.depth
        return max(1, min(self.deepest, int(math.log2(max(self.size / self.coarsest, 1)))))


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Losses (Eq. 25: lambda EMD + gamma MI + adversarial; and smoothness, which is ours)."""

    emd_weight: float = 100.0
    """Weight lambda of the circular EMD between the output's and the target's hue histograms."""
    mi_weight: float = 25.0
    """Weight gamma of the mutual information loss between output and source. 0 trains without it."""
    adversarial_weight: float = 1.0
    """Weight of the adversarial loss. 0 trains without a discriminator."""
    smoothness_weight: float = 0.0
    """Weight of the smoothness loss, which keeps neighbouring coloured pixels turning by similar angles. 0 (paper)
    trains without it."""
    emd_scale: Literal["rms", "raw"] = "rms"
    """Distance of Eq. 12 (root mean square over bins), or the raw sum of squares of Eq. 13 and 14."""
    mi_form: Literal["relative", "conditional", "information", "normalized"] = "relative"
    """1 - I/H (paper), conditional entropy H(source | output), -I, or 1 - NMI."""
    bins: int = 256
    """Bins of the hue histograms."""
    mi_bins: int | None = None
    """Bins of the joint histogram, per axis. None: as many as --bins."""
    bandwidth: float | None = None
    """Width of the soft bins' window, in bins. None: the window's natural width (0.4 for logistic)."""
    window: Literal["logistic", "gaussian", "triangular", "bspline"] = "logistic"
    """Window of the soft bins."""
    boundary: Literal["open", "reflect", "circular"] = "circular"
    """What happens at hue 0 and 1: the paper's open ends lose mass, reflection keeps it, circular is right for hue."""
    weighting: Literal["color", "uniform"] = "color"
    """A pixel's vote: saturation times value, since grey and black have no hue, or one each (paper)."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("emd_weight", "mi_weight", "adversarial_weight", "smoothness_weight"):
            check_number(name, getattr(self, name), 0.0)
        check_int("bins", self.bins, 2, MOST)
        if self.mi_bins is not None:
            check_int("mi_bins", self.mi_bins, 2, MOST)
        if self.bandwidth is not None and not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ValueError(f"bandwidth must be a positive number of bins, got {self.bandwidth}")


@dataclasses.dataclass(frozen=True)
class TrainConfig(BaseTrainConfig):
    """Optimisation and data. These decide the result, so a resumed run must repeat them; steps may grow if the schedule is
    constant."""

    hue_jitter: float = 0.0
    """Largest angle, in turns, by which the hues of source and target are turned together at random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("hue_jitter", self.hue_jitter, 0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class Config(BaseConfig):
    """All that decides what a training run of Hue-Net ends with, beside the photos."""

    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()
