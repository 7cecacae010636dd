"""Settings of the model, its losses and its training, and the presets.

Plain frozen dataclasses, cheap to import; the command line shows every field's docstring in ``--help``. Each checks its
own values and raises ``ValueError`` naming the setting. What the Hue-Net paper does not state is a setting here.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

SMALLEST_SIZE = 32
DEEPEST = 8


def _check_int(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def _check_number(name: str, value: float, least: float, below: float = math.inf) -> None:
    if not (math.isfinite(value) and least <= value < below):
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"{name} must be a number of at least {least:g}{limit}, got {value}")


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
    discriminator_width: int = 64
    """Channels of the discriminator's first layer."""
    discriminator_depth: int = 3
    """Halvings in the discriminator; 3 makes it judge patches of 70 pixels, as pix2pix, and 2 of 34."""

    def __post_init__(self) -> None:
        _check_int("size", self.size, SMALLEST_SIZE)
        for name in ("width", "coarsest", "curves", "condition_width", "discriminator_width", "discriminator_depth"):
            _check_int(name, getattr(self, name), 1)
        for name in ("condition_bins", "knots"):
            _check_int(name, getattr(self, name), 2)
        _check_number("dropout", self.dropout, 0.0, below=1.0)
        if self.head == "palette" and self.conditioning != "histogram":
            raise ValueError(f"head palette needs conditioning histogram, got {self.conditioning}")
        if self.depth is not None and not 1 <= self.depth <= self.deepest:
            raise ValueError(f"depth must be between 1 and {self.deepest} at size {self.size}, got {self.depth}")
        if self.size < 2 ** (self.discriminator_depth + 2):
            raise ValueError(
                f"discriminator_depth {self.discriminator_depth} needs images of at least "
                f"{2 ** (self.discriminator_depth + 2)} pixels, got size {self.size}"
            )

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
        for name in ("emd_weight", "mi_weight", "adversarial_weight", "smoothness_weight"):
            _check_number(name, getattr(self, name), 0.0)
        _check_int("bins", self.bins, 2)
        if self.mi_bins is not None:
            _check_int("mi_bins", self.mi_bins, 2)
        if self.bandwidth is not None and not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ValueError(f"bandwidth must be a positive number of bins, got {self.bandwidth}")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Optimisation and data. These decide the result, so a resumed run must repeat them; steps may grow if the schedule is
    constant."""

    steps: int = 20_000
    """Training steps in all."""
    batch_size: int = 32
    """Source/target pairs per step, over all processes."""
    learning_rate: float = 2e-4
    """Adam's learning rate for the generator."""
    discriminator_learning_rate: float | None = None
    """Adam's learning rate for the discriminator. None: the generator's."""
    beta1: float = 0.5
    """Adam's first momentum."""
    beta2: float = 0.999
    """Adam's second momentum."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the steps: constant (paper), or a half cosine down to zero."""
    warmup: int = 0
    """Steps over which the learning rate grows from nothing at first."""
    ema: float = 0.0
    """Decay of the running average of the generator's weights which is then used for painting; 0 for none."""
    hold_out: int = 0
    """Photos kept out of training, chosen by the seed; evaluate and the sample pictures use them."""
    flips: bool = True
    """Flip the training photos upside down and left to right at random."""
    crop: bool = True
    """Crop the training photos at random; without it, at their centre."""
    hue_jitter: float = 0.0
    """Largest angle, in turns, by which the hues of source and target are turned together at random."""
    seed: int = 0
    """Seed of everything random."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """Arithmetic of the networks. auto: bfloat16 mixed precision on a GPU, float32 elsewhere. Losses never go below
    float32."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 1), ("warmup", 0), ("hold_out", 0), ("seed", 0)):
            _check_int(name, getattr(self, name), least)
        if self.seed >= 2**63:
            raise ValueError(f"seed must be below 2**63, got {self.seed}")
        for name in ("learning_rate", "discriminator_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"{name} must be a positive number, got {rate}")
        for name in ("beta1", "beta2", "ema", "hue_jitter"):
            _check_number(name, getattr(self, name), 0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """How to run; none of these changes the result, so they may differ when a run is resumed."""

    device: str = "auto"
    """cpu, cuda, cuda:1, ... auto: the GPU where there is one."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    sample_every: int = 500
    """Steps between sample pictures."""
    log_every: int = 10
    """Steps between rows of metrics."""
    max_minutes: float | None = None
    """Stop with a checkpoint after this many minutes; the same command goes on from there."""
    progress: bool = True
    """Show the progress bar."""

    def __post_init__(self) -> None:
        for name in ("checkpoint_every", "sample_every", "log_every"):
            _check_int(name, getattr(self, name), 1)
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes must be positive, got {self.max_minutes}")


@dataclasses.dataclass(frozen=True)
class Config:
    """All that decides what a training run ends with, beside the photos."""

    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Nested dictionary of plain values, as stored in checkpoints."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, dict[str, Any]]) -> Config:
        """The inverse of ``as_dict``. Raises ``TypeError`` or ``ValueError`` for unknown or missing settings."""
        return cls(model=ModelConfig(**values["model"]), loss=LossConfig(**values["loss"]), train=TrainConfig(**values["train"]))


PAPER = Config(
    ModelConfig(
        size=256,
        norm="batch",
        dropout=0.5,
        upsample="transposed",
        input_skip=False,
        head="absolute",
        hue_input="value",
        conditioning="image",
    ),
    LossConfig(emd_scale="raw", boundary="open", weighting="uniform"),
    TrainConfig(steps=46_000, crop=False),
)
"""The paper to the letter; what it leaves open as pix2pix. 46,000 steps are 200 epochs of its Oxford flowers."""

DEFAULT = Config(
    ModelConfig(discriminator_depth=2),
    LossConfig(mi_weight=50.0, smoothness_weight=160.0, mi_bins=64),
    TrainConfig(learning_rate=5e-4, discriminator_learning_rate=2e-4, schedule="cosine", warmup=100, ema=0.999, hue_jitter=0.08),
)
"""The recipe of `small`, which gave the best pictures of all that were tried, at twice the size, for a GPU."""

SMALL = Config(
    ModelConfig(size=64, width=24, coarsest=2, discriminator_width=32, discriminator_depth=2),
    dataclasses.replace(DEFAULT.loss, smoothness_weight=80.0),  # at half the size, neighbouring pixels differ by more
    TrainConfig(
        steps=1_500,
        batch_size=16,
        learning_rate=1e-3,
        discriminator_learning_rate=2e-4,
        schedule="cosine",
        warmup=50,
        ema=0.995,
        hue_jitter=0.08,
    ),
)
"""A whole training run on two CPU cores in about a quarter of an hour."""

DEMO = Config(
    dataclasses.replace(SMALL.model, width=16, discriminator_width=16),
    SMALL.loss,
    dataclasses.replace(SMALL.train, steps=600, batch_size=8, ema=0.99, hold_out=24),
)
"""A taste of it in three minutes, for `huenet demo`."""

PRESETS: dict[str, Config] = {"paper": PAPER, "default": DEFAULT, "small": SMALL}


def changed_settings(old: Config, new: Config) -> list[str]:
    """One line per setting in which two configurations differ, as ``--option: old -> new``."""
    before, after = old.as_dict(), new.as_dict()
    return [
        f"--{name.replace('_', '-')}: {before[group][name]} -> {after[group][name]}"
        for group in before
        for name in before[group]
        if before[group][name] != after[group][name]
    ]
