"""Every case of the suites, in one table: which operator, on what images, with which bins, against whom.

A suite is a list of cases. Each grows one thing (samples, bins, batch, bandwidth) from a base case, or changes the dtype or the
images. Heavy cases stand only where they matter: `tier` says who runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

#: providers by tier: `all` those that implement the operator, `others` without our dense specification, where that takes too long,
#: `main` without the slowest to start or to run, `ours` huenet's
TIERS = {
    "all": None,
    "others": ("triton", "torch", "naive", "compiled", "keops"),
    "main": ("triton", "torch", "naive", "kornia", "monai", "pot", "histc", "numpy"),
    "ours": ("triton", "torch"),
}
#: cases of these tiers stand in README's table and in the bars of the speed-up
HEADLINES = ("all", "others")
#: how a label tells the size of operators that take something else than side x side hues in K bins, and what `bins` is there
SIZES = {
    "squared_mutual_information": "{side}x{side}x{bins}, batch {batch}",
    "contextual_similarity": "N={samples}, batch {batch}, C={bins}",
    "harmonic_energy": "N={samples}, batch {batch}, D={bins}",
    "patch_histogram": "{side}x{side}x3, batch {batch}, K={bins}, stride {stride}",
}
#: those of points, N = side x side
POINTS = ("contextual_similarity", "harmonic_energy")


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table: an operator (see `operators.OPERATORS`) on `batch` images of side x side samples."""

    operator: str
    side: int = 256
    batch: int = 1
    bins: int = 256
    bandwidth: float = 0.4
    """Width of the soft bins' window, in bins."""
    stride: int = 8
    """Pixels from one patch of 8 x 8 to the next."""
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
        return self.operator, self.bins, self.bandwidth, self.stride, self.dtype, self.image

    @property
    def label(self) -> str:
        usual = "{batch} histograms, K={bins}" if self.side == 1 else "{side}x{side}, batch {batch}, K={bins}"
        parts = [SIZES.get(self.operator, usual).format(samples=self.samples, **dataclasses.asdict(self))]
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
RSMI = Case("squared_mutual_information", bins=3)
CONTEXTUAL = Case("contextual_similarity", bins=256)
HARMONIC = Case("harmonic_energy", bins=48)
PATCHES = Case("patch_histogram", bins=16)


def _quick() -> Iterator[Case]:
    for operator in (*HISTOGRAMS, *LOSSES):
        yield Case(operator, side=64, bins=64)
    yield Case("hue_net_loss", side=64, batch=2, bins=64)
    yield Case("emd", side=1, batch=4, bins=64)
    yield Case("squared_mutual_information", side=32, bins=3)
    yield Case("contextual_similarity", side=16, bins=32)
    yield Case("harmonic_energy", side=16, bins=16)
    yield Case("patch_histogram", side=32, bins=16, stride=4)


def _cpu() -> Iterator[Case]:
    yield from _vary((*HISTOGRAMS, *LOSSES), "all", side=[256])
    yield Case("hue_net_loss", side=128, batch=8, tier="others")
    yield from _vary(["emd"], base=Case("emd", side=1, batch=16), bins=[64, 256])
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
    yield from _grown(RSMI, main=[128], others=[256], ours=[512])
    yield from _grown(CONTEXTUAL, main=[16, 32], others=[64])
    yield from _grown(HARMONIC, main=[16, 32], others=[63])
    yield from _strides(PATCHES)


def _grown(base: Case, **sides: Iterable[int]) -> Iterator[Case]:
    """A case for each side, by tier."""
    for tier, chosen in sides.items():
        yield from _vary([base.operator], tier, base, side=chosen)


def _strides(base: Case) -> Iterator[Case]:
    """Patches side by side, half over each other, and one at every pixel, whose dense responses are gigabytes."""
    for tier, stride in (("all", 8), ("others", 4), ("ours", 1)):
        yield from _vary([base.operator], tier, base, stride=[stride])


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
    yield from _grown(dataclasses.replace(RSMI, batch=16), main=[128], all=[256], ours=[512])
    yield from _grown(CONTEXTUAL, all=[32, 64, 128], ours=[256])
    yield from _grown(HARMONIC, main=[32, 64], others=[128], ours=[249])
    yield from _strides(dataclasses.replace(PATCHES, batch=16))


def suite(name: str) -> list[Case]:
    """The cases of a suite, smaller images of a series first: a provider's time at one size tells whether the next is worth it."""
    chosen = dict.fromkeys({"quick": _quick, "cpu": _cpu, "gpu": _gpu}[name]())
    return sorted(chosen, key=lambda case: case.batch * case.samples)
