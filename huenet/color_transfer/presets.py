"""Settings to start from: the paper's, and those that gave the best pictures."""

import dataclasses

from .config import Config, LossConfig, ModelConfig, TrainConfig

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
        restraint=False,
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
    dataclasses.replace(DEFAULT.model, size=64, width=24, coarsest=2, discriminator_width=32),
    dataclasses.replace(DEFAULT.loss, smoothness_weight=80.0),  # at half the size, neighbouring pixels differ by more
    dataclasses.replace(DEFAULT.train, steps=1_500, batch_size=16, learning_rate=1e-3, warmup=50, ema=0.995),
)
"""A whole training run on two CPU cores in about a quarter of an hour."""

DEMO = Config(
    dataclasses.replace(SMALL.model, width=16, discriminator_width=16),
    SMALL.loss,
    dataclasses.replace(SMALL.train, steps=600, batch_size=8, ema=0.99, hold_out=24),
)
"""A taste of it in three minutes, for `huenet demo`."""

GENERAL = Config(
    dataclasses.replace(SMALL.model, width=28),
    dataclasses.replace(SMALL.loss, mi_weight=70.0, adversarial_weight=0.0, smoothness_weight=120.0),
    dataclasses.replace(SMALL.train, steps=14_000, warmup=100, ema=0.999),
)
"""The model in the package, which learns from drawn scenes and paints photos: an hour of one core. Without adversarial
loss, since what is drawn is no measure of what looks real; for as long, it trains half as many steps again."""

PRESETS: dict[str, Config] = {"paper": PAPER, "default": DEFAULT, "small": SMALL, "general": GENERAL}
