"""Every case of the suites, in one table: which operator, on what images, with which bins, against whom.

A suite is a list of cases. Each grows one thing (samples, bins, batch, bandwidth) from a base case, or changes the dtype or the
images. Heavy cases stand only where they matter: `tier` says who runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

#: providers by tier: `all` those that implement the operator, `main` without the slowest to start or to run, `ours` huenet's
TIERS = {
    "all": None,
    "main": ("triton", "torch", "naive", "kornia", "monai", "pot", "histc", "numpy"),
    "ours": ("triton", "torch"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table: an operator (see `operators.OPERATORS`) on `batch` images of side x side samples."""

    operator: str
    side: int = 256
    batch: int = 1
    bins: int = 256
    bandwidth: float = 0.4
    """Width of the soft bins' window, in bins."""
    dtype: str = "float32"
    image: str = "noise"
    """noise: uniform. photo: the hue of real or drawn photos. constant: one colour, the worst case for sums in one place."""
    tier: str = "main"

    @property
    def samples(self) -> int:
        return self.side * self.side

    @property
    def series(self) -> tuple[object, ...]:
        """What cases have in common that differ in nothing but the number of samples."""
        return self.operator, self.bins, self.bandwidth, self.dtype, self.image

    @property
    def label(self) -> str:
        images = [f"{self.batch} histograms"] if self.side == 1 else [f"{self.side}x{self.side}", f"batch {self.batch}"]
        parts = [*images, f"K={self.bins}"]
        parts += [f"W={self.bandwidth:g}"] if self.bandwidth != 0.4 else []
        parts += [text for text in (self.dtype, self.image) if text not in ("float32", "noise")]
        return ", ".join(parts)

    def runs(self, provider: str) -> bool:
        """Whether the provider belongs to the case's tier."""
        chosen = TIERS[self.tier]
        return chosen is None or provider in chosen


def _vary(operators: Iterable[str], tier: str = "main", base: Case | None = None, **values: Iterable[object]) -> Iterator[Case]:
    """A case for each operator and each value of one field, else as `base`."""
    ((field, chosen),) = values.items()
    for operator in operators:
        start = dataclasses.replace(base or Case(operator), operator=operator, tier=tier)
        yield from (dataclasses.replace(start, **{field: value}) for value in chosen)


HISTOGRAMS = ("soft_histogram", "joint_histogram")
LOSSES = ("histogram_emd", "mutual_information")
GROWN = ("soft_histogram", "mutual_information")


def _quick() -> Iterator[Case]:
    for operator in (*HISTOGRAMS, *LOSSES):
        yield Case(operator, side=64, bins=64)
    yield Case("hue_net_loss", side=64, batch=2, bins=64)
    yield Case("emd", side=1, batch=4, bins=64)


def _cpu() -> Iterator[Case]:
    yield from _vary((*HISTOGRAMS, *LOSSES), "all", side=[256])
    yield Case("hue_net_loss", side=128, batch=8, tier="all")
    yield from _vary(["emd"], base=Case("emd", side=1, batch=16), bins=[64, 256, 1024])
    yield from _vary(GROWN, base=Case("", side=64), bins=[32])
    yield from _vary(GROWN, side=[64, 128, 512])
    yield from _vary(GROWN, "ours", side=[1024, 2048, 4096])
    yield from _vary([*GROWN, "joint_histogram"], base=Case("", side=128), bins=[32, 64, 256, 1024])
    yield from _vary(GROWN, base=Case("", side=64), batch=[4, 16])
    yield from _vary(GROWN, "ours", base=Case("", side=64), batch=[64, 256])
    yield from _vary(GROWN, "ours", bandwidth=[0.2, 1.0, 2.0, 4.0])
    yield from _vary(GROWN, base=Case("", side=128), dtype=["float16", "bfloat16"])
    yield from _vary([*GROWN, "histogram_emd"], "ours", image=["photo"])
    yield from _vary([*HISTOGRAMS, "histogram_emd"], "ours", image=["constant"])


def _gpu() -> Iterator[Case]:
    batch = Case("", batch=32)
    yield from _vary((*HISTOGRAMS, *LOSSES), "all", base=batch, batch=[32])
    yield Case("hue_net_loss", side=256, batch=32, tier="all")
    yield from _vary(["emd"], base=Case("emd", side=1, batch=256), bins=[64, 256, 1024])
    yield from _vary(GROWN, side=[64, 128, 256, 512, 1024, 2048])
    yield from _vary(GROWN, "ours", side=[4096])
    yield from _vary([*GROWN, "joint_histogram"], base=batch, bins=[32, 64])
    yield from _vary([*GROWN, "joint_histogram"], "ours", base=batch, bins=[1024])
    yield from _vary(GROWN, batch=[4, 16])
    yield from _vary((*GROWN, *LOSSES), "ours", batch=[64, 256])
    yield from _vary(GROWN, "ours", base=batch, bandwidth=[0.2, 1.0, 2.0, 4.0])
    yield from _vary(GROWN, base=batch, dtype=["float16", "bfloat16"])
    yield from _vary([*GROWN, "histogram_emd"], "ours", base=batch, image=["photo"])
    yield from _vary([*HISTOGRAMS, "histogram_emd"], "ours", base=batch, image=["constant"])


def suite(name: str) -> list[Case]:
    """The cases of a suite, smaller images of a series first: a provider's time at one size tells whether the next is worth it."""
    chosen = dict.fromkeys({"quick": _quick, "cpu": _cpu, "gpu": _gpu}[name]())
    return sorted(chosen, key=lambda case: case.batch * case.samples)
