"""The cases of the suites: which operator, on what images, with which bins, against whom.

Operators declare theirs in their folders (huenet/kernels/*/cases.py). Each grows one thing (samples, bins, batch, bandwidth) from a
base case, or changes the dtype or the images. Heavy cases stand only where they matter: `tier` says who runs.
"""

import dataclasses

from huenet.kernels.common.cases import Timing, declared

#: providers by tier: `all` those that implement the operator, `others` without our dense specification, where that takes too long,
#: `main` without the slowest to start or to run, `ours` huenet's
TIERS = {
    "all": None,
    "others": ("triton", "torch", "naive", "compiled", "keops"),
    "main": ("triton", "torch", "naive", "kornia", "monai", "pot", "pot_linear", "histc", "numpy"),
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


class Case(Timing):
    """One row of the table."""

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


#: the loss that is no operator of its own
HUE_NET = {
    "quick": Case("hue_net_loss", side=64, batch=2, bins=64),
    "cpu": Case("hue_net_loss", side=128, batch=8, tier="others"),
    "gpu": Case("hue_net_loss", side=256, batch=32, tier="all"),
}


def suite(name: str) -> list[Case]:
    """The cases of a suite, smaller images of a series first: a provider's time at one size tells whether the next is worth it."""
    timings = [timing for module in declared().values() for timing in module.TIMINGS[name]]
    chosen = dict.fromkeys([HUE_NET[name], *(Case(**vars(timing)) for timing in timings)])
    return sorted(chosen, key=lambda case: case.batch * case.samples)
