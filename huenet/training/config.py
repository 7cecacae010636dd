"""Settings that all systems share: of their training, and of how it is run.

Plain frozen dataclasses, cheap to import; the command line shows every field's docstring in ``--help``. Each checks its
own values and raises ``ValueError`` naming the setting.
"""

import dataclasses
import math
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

LARGEST = 2**63 - 1
"""Integer that PyTorch holds."""
MOST = 2**21
"""Of a width, a side, a number of bins or pictures: no machine holds more, and the sizes of tensors that are made of two or three
of them, in bytes, still fit in 63 bits."""


_KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "none"}


def check_types(settings: object) -> None:
    """Raises ``ValueError`` for a field of a dataclass whose value is not of its annotated type; JSON may have any."""
    for name, kind in get_type_hints(type(settings)).items():
        if not _is_a(value := getattr(settings, name), kind):
            kinds = [_KINDS.get(one, repr(one)) for one in get_args(kind) or (kind,)]
            raise ValueError(f"{name} must be {' or '.join(kinds)}, got {value!r:.40}")


def _is_a(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kinds := get_args(kind):
        return any(_is_a(value, one) for one in kinds)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def check_int(name: str, value: object, least: int, most: int = LARGEST) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r:.40}")
    if value > most:
        raise ValueError(f"{name} must be {'below 2**63' if most == LARGEST else f'at most {most}'}, got {value!r:.40}")


def check_number(name: str, value: float, least: float, below: float = math.inf) -> None:
    if not (math.isfinite(value) and least <= value < below):
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"{name} must be a number of at least {least:g}{limit}, got {value}")


HIGHEST_RATE = 1e6
"""Of learning: weights are of order one, a step of Adam is of the size of the rate, and numbers beyond 1e38 are none in float32."""


@dataclasses.dataclass(frozen=True)
class BaseTrainConfig:
    """Optimisation and data, as far as all systems share them; a system's own settings go into a subclass."""

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
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """Learning rate over the steps: constant (Hue-Net's paper), a half cosine down to zero, or constant for the first half and then
    a straight line down to zero (CycleGAN)."""
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
    seed: int = 0
    """Seed of everything random."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """Arithmetic of the networks. auto: bfloat16 mixed precision on a GPU, float32 elsewhere. Losses never go below
    float32."""

    def __post_init__(self) -> None:
        check_types(self)
        check_int("batch_size", self.batch_size, 1, MOST)
        for name, least in (("steps", 1), ("warmup", 0), ("hold_out", 0), ("seed", 0)):
            check_int(name, getattr(self, name), least)
        for name in ("learning_rate", "discriminator_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate < HIGHEST_RATE:
                raise ValueError(f"{name} must be a positive number below {HIGHEST_RATE:g}, got {rate}")
        for name in ("beta1", "beta2", "ema"):
            check_number(name, getattr(self, name), 0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """How to run; none of these changes the result beyond rounding, so they may differ when a run is resumed."""

    device: str = "auto"
    """cpu, cuda, cuda:1, ... auto: the GPU where there is one."""
    compile: bool = False
    """Compile networks and losses at first: minutes, for steps that take less time. On a GPU steps are then replayed as graphs."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    sample_every: int = 500
    """Steps between sample pictures."""
    log_every: int = 10
    """Steps between rows of metrics."""
    max_minutes: float | None = None
    """Stop with a checkpoint after this many minutes; the same command goes on from there."""
    profile: int = 0
    """Take so many steps apart, soon after the beginning: OUT/profile.md has the time of each part, OUT/profile.json.gz a trace of
    as many more."""
    progress: bool = True
    """Show the progress bar."""

    @property
    def compiler(self) -> str | None:
        """The backend of ``torch.compile`` that steps are compiled by, if they are."""
        return "inductor" if self.compile else None

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("checkpoint_every", "sample_every", "log_every"):
            check_int(name, getattr(self, name), 1)
        check_int("profile", self.profile, 0, MOST)
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes must be positive, got {self.max_minutes}")


class BaseConfig:
    """All that decides what a training run ends with, beside its data.

    A system's own is a frozen dataclass with a field for each group of settings, themselves dataclasses; one is `train`.
    """

    train: BaseTrainConfig

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Nested dictionary of plain values, as stored in checkpoints."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, dict[str, Any]]) -> Self:
        """The inverse of ``as_dict``. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for unknown or missing settings."""
        groups = get_type_hints(cls)
        return cls(**{field.name: groups[field.name](**values[field.name]) for field in dataclasses.fields(cls)})
