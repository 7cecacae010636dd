"""The cases of the suites: which operator, on what images, with which bins, against whom.

Operators declare theirs in their folders (huenet/kernels/*/cases.py). Each grows one thing (samples, bins, batch, bandwidth) from a
base case, or changes the dtype or the images. Heavy cases stand only where they matter: `tier` says who runs.
"""

import dataclasses

from huenet.kernels.common.cases import Timing, declared

_MAIN = ("triton", "torch", "naive", "kornia", "monai", "pot", "pot_linear", "histc", "numpy")
#: providers by tier: `all` those that implement the operator, `others` without our dense specification, where that takes too long,
#: `main` without the slowest to start or to run, `small` with the one that is only slow to start, `ours` huenet's
TIERS = {
    "all": None,
    "others": ("triton", "torch", "naive", "compiled", "keops"),
    "main": _MAIN,
    "small": (*_MAIN, "compiled"),
    "ours": ("triton", "torch"),
    "compat": ("triton", "torch", "kornia_own", "monai_own", "formula"),
}
#: cases of these tiers stand in README's table and in the bars of the speed-up
HEADLINES = ("all", "others")
#: how a label tells the size of operators that take something else than side x side hues in K bins, and what `bins` is there
SIZES = {
    "squared_mutual_information": "{side}x{side}x{bins}, batch {batch}",
    "contextual_similarity": "N={samples}, batch {batch}, C={bins}",
    "harmonic_energy": "N={samples}, batch {batch}, D={bins}",
    "patch_histogram": "{side}x{side}x3, batch {batch}, K={bins}, stride {stride}",
    "compat_monai": "{side}x{side}x{side}, batch {batch}, K={bins}",
    "compat_contextual": "{side}x{side}, batch {batch}, C={bins}",
    "compat_histogan": "{side}x{side}x3, batch {batch}, h={bins}",
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


#: what stands in for other libraries' functions, at their own usual settings; `bins` as in SIZES
COMPAT = [
    *(Case("compat_monai", side=side, bins=bins, tier="compat") for bins in (23, 64) for side in (96, 160)),
    *(Case(f"compat_kornia_{name}", bins=bins, tier="compat") for name in ("histogram", "image") for bins in (64, 256)),
    Case("compat_kornia_information", bins=64, tier="compat"),
    Case("compat_histogan", side=150, batch=16, bins=64, tier="compat"),
    Case("compat_contextual", side=64, bins=256, tier="compat"),
]


def suite(name: str) -> list[Case]:
    """The cases of a suite, smaller images of a series first: a provider's time at one size tells whether the next is worth it."""
    timings = [timing for module in declared().values() for timing in module.TIMINGS[name]]
    compat = [] if name == "quick" else COMPAT
    chosen = dict.fromkeys([HUE_NET[name], *(Case(**vars(timing)) for timing in timings), *compat])
    return sorted(chosen, key=lambda case: case.batch * case.samples)
