"""What is measured: for each operator its inputs, huenet's function, the naive one, and other libraries' (see README.md).

A *builder* takes a case and gives a function of the inputs, by name, that returns the result: (batch, ...) or a scalar, the mean
over the batch.
"""

import dataclasses
import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeAlias

from torch import Tensor

from huenet import kernels
from huenet.kernels import Bins
from huenet.kernels.emd import reference as emd_reference
from huenet.kernels.soft_histogram import reference as soft_histogram_reference
from huenet.kernels.squared_mutual_information.reference import published as published_rsmi

from . import compat, costs, images, naive, peers
from .cases import Case

Given: TypeAlias = SimpleNamespace
Run: TypeAlias = Callable[[Given], Tensor]
Builder: TypeAlias = Callable[[Case], Run]


#: of the errors in float32 that are left in float64: 2^-29 by its rounding; huenet's polynomials stop at 1e-12
IN_FLOAT64 = 2.0**-20


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Base inputs by name, in float64 (see images.py): `samples` (images, n, ...) are repeated to the case's size, `fixed`
    (images, ...) over the batch only."""

    differentiated: tuple[str, ...]
    samples: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    fixed: dict[str, Tensor] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Operator:
    title: str
    inputs: Callable[[Case], Inputs]
    #: (case, backend) -> run; backends `triton`, `torch` and `reference`
    huenet: Callable[[Case, str], Run]
    #: None where the original is a peer
    naive: Builder | None
    peers: dict[str, Builder] = dataclasses.field(default_factory=dict)
    #: times the providers' tolerance that rounding alone may take: a distance between histograms is a difference, and its gradient
    #: one of neighbouring sums over up to K bins
    conditioning: float = 1.0
    #: the tolerance of providers whose own that is not
    tolerances: dict[str, float] = dataclasses.field(default_factory=dict)
    #: what of a case's size the inputs depend on
    base: Callable[[Case], tuple[int, int]] = images.base_shape
    #: whose float64 result is the truth: `torch`, where the dense one would not fit, is held against that at smaller sizes
    truth: Callable[[Case], str] = lambda case: "reference"
    #: the power of an image's samples with which its time grows
    order: float = 1
    #: operations and bytes of huenet's algorithm: (case, provider) -> Work; None: not in the roofline
    work: Callable[[Case, str], costs.Work] | None = None

    def tolerance(self, provider: str, usual: float, dtype: str) -> float:
        """Largest relative error of a provider; `usual` is its own in float32."""
        allowed = self.tolerances.get(provider, usual * self.conditioning)
        return allowed * IN_FLOAT64 if dtype == "float64" else allowed

    def size(self, case: Case) -> int:
        """What a provider's time is proportional to."""
        return case.batch * case.samples**self.order

    def builders(self) -> dict[str, Builder]:
        """By provider's name."""
        backends = {name: lambda case, name=name: self.huenet(case, name) for name in ("triton", "torch", "reference")}
        written = {"naive": self.naive, "compiled": lambda case: peers.compiled(self.naive(case))} if self.naive else {}
        return {**backends, **written, **self.peers}


def bins(case: Case, boundary: str = "open") -> Bins:
    return Bins(case.bins, bandwidth=case.bandwidth, boundary=boundary)


def _hues(*names: str) -> Callable[[Case], Inputs]:
    return lambda case: Inputs(names, {name: images.hues(case, role) for role, name in enumerate(names)})


def _against_target(case: Case) -> Inputs:
    """Samples, and the histogram that they should have; its samples too, for those who compare samples."""
    other = images.hues(case, 2)
    target = soft_histogram_reference.forward(other, None, bins(case, "circular"))
    return Inputs(("x",), {"x": images.hues(case, 0), "other": other}, {"target": target})


def _two_histograms(case: Case) -> Inputs:
    larger = dataclasses.replace(case, side=64)
    p, q = (soft_histogram_reference.forward(images.hues(larger, role), None, bins(case, "circular")) for role in (0, 2))
    return Inputs(("p",), fixed={"p": p, "q": q})


def _hue_images(case: Case) -> Inputs:
    hues = {name: images.hues(case, role) for role, name in enumerate(("output", "source", "target"))}
    votes = {"weights": images.weights(case, 1), "target_weights": images.weights(case, 2)}
    return Inputs(("output",), {**hues, **votes})


def _histogram_emd(case: Case, backend: str) -> Run:
    circle = bins(case, "circular")
    return lambda given: kernels.histogram_emd(given.x, given.target, circle, squared=True, backend=backend)


def _naive_histogram(case: Case, circular: bool = False) -> Run:
    return lambda given: naive.histogram(naive.responses(given.x, case.bins, case.bandwidth, circular))


def _naive_joint(case: Case) -> Run:
    respond = lambda samples: naive.responses(samples, case.bins, case.bandwidth, False)  # noqa: E731
    return lambda given: naive.joint_histogram(respond(given.x), respond(given.y))


def _naive_information(case: Case) -> Run:
    joint = _naive_joint(case)
    return lambda given: naive.relative_information(joint(given))


def _naive_histogram_emd(case: Case) -> Run:
    histogram = _naive_histogram(case, circular=True)
    return lambda given: naive.circular_squared_emd(histogram(given), given.target)


def _hue_net_loss(case: Case, backend: str) -> Run:
    from huenet.losses import HueNetLoss

    loss = HueNetLoss(bins(case, "circular"), adversarial_weight=0.0, backend=backend)

    def run(given: Given) -> Tensor:
        view = lambda samples: samples[:, None, :, None]  # noqa: E731
        hues = (view(getattr(given, name)) for name in ("output", "target", "source"))
        return loss(*hues, output_weights=view(given.weights), target_weights=view(given.target_weights)).total

    return run


FEATURES = ("features", "outputs")
SIGMA = 2.0
PATCH = 8


def _rsmi(case: Case, backend: str) -> Run:
    return lambda given: kernels.squared_mutual_information(given.x.flatten(1), given.y.flatten(1), sign=1, backend=backend)


def _truth_of_points(case: Case) -> str:
    return "reference" if images.whole_shape(case)[0] * case.samples**2 <= images.DENSE else "torch"


def _truth_of_patches(case: Case) -> str:
    patches = ((case.side - PATCH) // case.stride + 1) ** 2
    return "reference" if images.whole_shape(case)[0] * patches * 3 * PATCH**2 * case.bins <= images.DENSE else "torch"


OPERATORS = {
    "soft_histogram": Operator(
        "soft histogram",
        _hues("x"),
        lambda case, backend: lambda given: kernels.soft_histogram(given.x, bins(case), backend=backend),
        _naive_histogram,
        {"kornia": peers.kornia_histogram, "keops": peers.keops_histogram, "histc": peers.histc},
        work=costs.histogram,
    ),
    "joint_histogram": Operator(
        "joint histogram",
        _hues("x", "y"),
        lambda case, backend: lambda given: kernels.joint_histogram(given.x, given.y, bins(case), backend=backend),
        _naive_joint,
        {"kornia": peers.kornia_joint_histogram, "keops": peers.keops_joint_histogram, "numpy": peers.numpy_joint_histogram},
        work=costs.joint,
    ),
    "mutual_information": Operator(
        "joint histogram + mutual information",
        _hues("x", "y"),
        lambda case, backend: lambda given: kernels.mutual_information(given.x, given.y, bins(case), backend=backend).relative,
        _naive_information,
        {
            "kornia": peers.kornia_information,
            "kornia_mi": peers.kornia_information_loss,
            "monai": peers.monai_information,
            "numpy": peers.numpy_joint_histogram,
        },
        work=costs.joint,
    ),
    "histogram_emd": Operator(
        "soft histogram + circular EMD",
        _against_target,
        _histogram_emd,
        _naive_histogram_emd,
        {"pot": peers.pot_samples, "pot_linear": peers.pot_linear_samples},
        conditioning=10.0,
        work=costs.histogram,
    ),
    "emd": Operator(
        "circular EMD of histograms",
        _two_histograms,
        lambda case, backend: (
            (lambda given: emd_reference.forward(given.p, given.q, True))
            if backend == "reference"
            else (lambda given: kernels.squared_emd(given.p, given.q, circular=True))
        ),
        lambda case: lambda given: naive.circular_squared_emd(given.p, given.q),
        {
            "huenet_order_1": lambda case: lambda given: kernels.emd(given.p, given.q, circular=True, order=1),
            "pot": peers.pot_histograms,
        },
    ),
    "hue_net_loss": Operator(
        "whole Hue-Net loss",
        _hue_images,
        _hue_net_loss,
        lambda case: lambda given: naive.hue_net_loss(**vars(given), bins=case.bins, bandwidth=case.bandwidth),
        conditioning=10.0,
    ),
    "squared_mutual_information": Operator(
        "squared-loss mutual information (rSMI)",
        lambda case: Inputs(("x", "y"), dict(zip("xy", images.color_pair(case)))),
        _rsmi,
        lambda case: lambda given: published_rsmi(given.x.flatten(1), given.y.flatten(1)),
        # rounding of float32, 2^-24, comes back 2^18 times, the condition of the system; huenet's other backends are in float64
        tolerances=dict.fromkeys(("naive", "compiled", "reference"), 2.0**-6),
        base=images.color_shape,
    ),
    "contextual_similarity": Operator(
        "contextual similarity",
        lambda case: Inputs(("x",), fixed=dict(zip("xy", images.matching_points(case)))),
        lambda case, backend: lambda given: kernels.contextual_similarity(given.x, given.y, backend=backend),
        lambda case: lambda given: naive.contextual_similarity(given.x, given.y),
        conditioning=3.5,  # exponents divide rounded distances by h = 0.5 and a minimum of 0.15
        base=images.whole_shape,
        truth=_truth_of_points,
        order=2,
    ),
    "harmonic_energy": Operator(
        "harmonic energy",
        lambda case: Inputs(FEATURES, dict(zip(FEATURES, images.paired_points(case)))),
        lambda case, backend: lambda given: kernels.harmonic_energy(given.features, given.outputs, sigma=SIGMA, backend=backend),
        lambda case: lambda given: naive.harmonic_energy(given.features, given.outputs, SIGMA),
        {"keops": lambda case: peers.keops_harmonic_energy(SIGMA)},
        base=images.pair_shape,
        order=2,
    ),
    "patch_histogram": Operator(
        "patch histograms",
        lambda case: Inputs(("x",), fixed={"x": images.whole_images(case)}),
        lambda case, backend: (
            lambda given: kernels.patch_histogram(given.x, case.bins, patch=PATCH, stride=case.stride, backend=backend)
        ),
        lambda case: lambda given: naive.patch_histogram(given.x, case.bins, PATCH, case.stride),
        base=images.whole_shape,
        truth=_truth_of_patches,
    ),
}


def _compat(
    title: str,
    inputs: Callable[[Case], Inputs],
    function: Callable[..., Run],
    modules: dict[str, str],
    provider: str,
    dims: int = 2,
) -> Operator:
    """A function of `huenet.compat`, made of a module, beside the original, which is made of its own."""
    module = importlib.import_module
    return Operator(
        title,
        inputs,
        lambda case, backend: function(module(modules["huenet"]), case, backend=backend),
        None,
        {provider: lambda case: function(module(modules[provider]), case)},
        base=images.whole_shape,
        truth=lambda case: provider if compat.fits(case.batch * case.side**dims, case.bins) else "torch",
        # as far as the originals' own formulas are rounded in float32, see tests/huenet/compat
        conditioning=5.0,
        order=dims / 2,
    )


_KORNIA = {"huenet": "huenet.compat.kornia", "kornia_own": "kornia.enhance.histogram"}
_KORNIA_LOSSES = {"huenet": "huenet.compat.kornia", "kornia_own": "kornia.losses"}
_MONAI = {"huenet": "huenet.compat.monai", "monai_own": "monai.losses"}

OPERATORS |= {
    "compat_monai": _compat(
        "MONAI's GlobalMutualInformationLoss",
        lambda case: Inputs(("x",), fixed=dict(zip("xy", compat.volumes(case)))),
        compat.monai,
        _MONAI,
        "monai_own",
        dims=3,
    ),
    "compat_kornia_histogram": _compat("kornia's histogram", _hues("x"), compat.kornia_histogram, _KORNIA, "kornia_own"),
    "compat_kornia_image": _compat(
        "kornia's image_histogram2d",
        lambda case: Inputs(("x",), fixed={"x": images.whole_images(case)}),
        compat.kornia_image,
        _KORNIA,
        "kornia_own",
    ),
    "compat_kornia_information": _compat(
        "kornia's mutual_information_loss", _hues("x", "y"), compat.kornia_information, _KORNIA_LOSSES, "kornia_own"
    ),
    "compat_histogan": Operator(
        "HistoGAN's RGBuvHistBlock",
        lambda case: Inputs(("x",), fixed={"x": images.whole_images(case)}),
        compat.histogan,
        None,
        {"formula": compat.histogan_formula},
        conditioning=12.5,  # twice what the formula itself is off by in float32, whose logarithms of dark pixels are steep
        base=images.whole_shape,
        truth=lambda case: "formula",
    ),
    "compat_contextual": Operator(
        "contextual_loss_pytorch's contextual_loss",
        lambda case: Inputs(("x",), fixed=dict(zip("xy", compat.feature_maps(case)))),
        compat.contextual,
        None,
        {"formula": compat.contextual_formula},
        conditioning=5.0,
        base=images.whole_shape,
        truth=lambda case: "formula",
        order=2,
    ),
}
