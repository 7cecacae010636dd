"""Mutual information of the patches of two images. Formulas and algorithms: README.md beside this file."""

from collections.abc import Sequence

from torch import Tensor

from ..common import arguments
from ..common.bins import Bins, MeasuredBins, as_bins_pair, placed
from ..common.operator import Operator
from ..mutual_information import MutualInformation
from . import portable, reference
from .patches import Patches

OPERATOR = Operator(
    "local_mutual_information",
    "x y weights?",
    {"bins_x": Bins, "bins_y": Bins, "patches": Patches, "marginals": str},
    result=lambda x, y, weights, bins_x, bins_y, patches, marginals: (x.shape[0], *patches.grid(x.shape[1:]), 4),
    reference=reference,
    portable=portable,
    sampled="",
)


def local_mutual_information(
    x: Tensor,
    y: Tensor,
    bins: int | Bins | MeasuredBins,
    bins_y: int | Bins | MeasuredBins | None = None,
    *,
    patch: int | Sequence[int] = 8,
    stride: int | Sequence[int] | None = None,
    weights: Tensor | None = None,
    marginals: str = "joint",
    backend: str | None = None,
) -> MutualInformation:
    """Mutual information and entropies of every patch of two images, side by side or overlapping, in nats.

    Every patch has a joint histogram of its own, as in local mutual information for registration (Studholme et al. 2006; Klein et
    al. 2008), where brightness maps differently here and there: `-local_mutual_information(x, y, 16).information.mean()`. Memory is
    that of the images and of some patches at a time, whatever the overlap.

    Args:
        x, y: images, floating, (..., H, W), volumes (..., D, H, W) or signals (..., N): as many dimensions as `patch` has lengths,
            of one size, after leading ones, such as (B, C), that broadcast. Half precision is computed and returned in float32.
        bins, bins_y: bins of x and of y, as for `joint_histogram`. Few, such as 8 to 32: of a patch's P pixels in K x K cells,
            about (K - 1)^2 / 2P nats are chance.
        patch: lengths of a patch in pixels along the last dimensions: (8, 8) of images, (8, 8, 8) of volumes. An int is the side of
            square patches of images. Channels together rather than one by one: (C, 8, 8).
        stride: pixels from one patch to the next, along each of these dimensions or the same for all. None is `patch`, side by
            side. Pixels that are left over at the ends are dropped, as by `torch.nn.functional.unfold` and `patch_histogram`.
        weights: non-negative votes of the pixels, or a boolean mask, broadcastable to x, with one for each along the last
            dimension; normalised in every patch. Where they sum
            to zero the terms and their gradients are zero.
        marginals: "joint" or "histogram", as for `mutual_information`.
        backend: None, "torch", "triton" or "reference", as for `joint_histogram`.

    Returns:
        MutualInformation(information, joint_entropy, entropy_x, entropy_y), each (..., *grid), one number for each patch, with
        properties relative (I/H), normalized, conditional_x and conditional_y. Take the mean yourself.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms, unless backend is "reference".

    Example:
        >>> import torch
        >>> from huenet.kernels import local_mutual_information
        >>> image = torch.rand(1, 1, 32, 32, generator=torch.manual_seed(0))
        >>> local_mutual_information(image, 1 - image, 8, patch=16, stride=8).information.shape
        torch.Size([1, 1, 3, 3])
    """
    if marginals not in ("joint", "histogram"):
        raise ValueError(f"marginals must be 'joint' or 'histogram', got {marginals!r}")
    bins_x, bins_y = as_bins_pair(bins, bins_y)
    size = _lengths("patch", patch, 2)
    patches = Patches(size, size if stride is None else _lengths("stride", stride, len(size)))
    _check_size("x", arguments.samples("x", x), size)
    _check_size("y", arguments.samples("y", y), size)
    if x.shape[-len(size) :] != y.shape[-len(size) :]:
        shapes = f"expected {tuple(x.shape[-len(size) :])} on the last dimensions, got {tuple(y.shape)}"
        raise ValueError(f"y must be as large as x, {shapes}")
    x, y = arguments.paired(x, y)
    (x, bins_x), (y, bins_y) = placed(x, bins_x), placed(y, bins_y)
    if bins_x.normalized or bins_y.normalized:
        raise ValueError(f"bins must not be normalized for patches, got {bins_x} and {bins_y}")
    weights = arguments.votes(x, weights)
    images = (None if z is None else z.reshape(-1, *z.shape[-len(size) :]) for z in (x, y, weights))
    terms = OPERATOR(*images, bins_x, bins_y, patches, marginals, backend=backend)
    return MutualInformation(*terms.view(*x.shape[: -len(size)], *terms.shape[1:]).unbind(-1))


def _lengths(name: str, value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """A length for each dimension: as many as given, of an int so many."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        lengths = tuple(arguments.integer(name, length) for length in value)
        if not lengths or (name == "stride" and len(lengths) != dims):
            expected = f"{dims} lengths, as patch has" if name == "stride" else "at least one length"
            raise ValueError(f"{name} must have {expected}, got {value!r}")
    else:
        lengths = (arguments.integer(name, value),) * dims
    if min(lengths) < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    return lengths


def _check_size(name: str, x: Tensor, size: tuple[int, ...]) -> None:
    if x.dim() < len(size):
        raise ValueError(f"{name} must have at least the {len(size)} dimensions of patch, got {tuple(x.shape)}")
    shape = tuple(x.shape[-len(size) :])
    if any(patch > length for patch, length in zip(size, shape)):
        raise ValueError(f"patch must fit into {name}, expected at most {shape} for {tuple(x.shape)}, got {size}")
