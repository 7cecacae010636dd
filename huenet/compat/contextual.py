"""The contextual and the contextual bilateral loss of S-aiueo32's contextual_loss_pytorch, which stores N x N distances, as
functions and modules of the same names that do not.

    from huenet.compat.contextual import ContextualLoss, contextual_loss      # for `import contextual_loss as cl`

What its code does other than its formulas say is put right; `strict=True` does as the code does. docs/compat.md lists both.
For features of different sizes, several layers or other options see `huenet.losses.ContextualLoss`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..kernels import contextual_similarity
from ..kernels.common.arguments import number
from ..kernels.common.devices import full_precision
from ..kernels.contextual_similarity.reference import directions
from ..losses.arguments import at_least_float32, check_images, result_dtype
from ..losses.contextual import VGG19Features
from .best_affinity import best_affinity

LOSS_TYPES = ("cosine", "l1", "l2")
#: added to the distance of the nearest neighbour, and to the similarity before its logarithm
_EPS = 1e-5
#: up to here directions lie so dense that products, which are sooner done, would round away how far the nearest are apart
_FEW_CHANNELS = 32


def contextual_loss(
    x: Tensor,
    y: Tensor,
    band_width: float = 0.5,
    loss_type: str = "cosine",
    *,
    strict: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Contextual loss of feature maps: the batch's mean of -log(CX(x, y) + 1e-5) (Mechrez et al. 2018, Eq. 1-5).

    Memory is that of `huenet.kernels.contextual_similarity`: N x N distances, N = H W, are never stored beyond a block.

    Args:
        x: features of the generated image, (B, C, H, W), floating.
        y: features of the target, of x's shape.
        band_width: h of Eq. 3, positive.
        loss_type: "cosine", 1 - cos of the features less y's mean over the batch; "l2", the squared Euclidean distance; "l1",
            the sum of absolute differences. Case does not count.
        strict: whether "l1" and "l2" are what the original makes of them: "l1" the absolute value of the summed differences; "l2"
            max(0, |y_i|^2 - 2 x_i y_j + |x_j|^2), in the blocks of `contextual_bilateral_loss`, their memory, and float64.
        backend: as for `huenet.kernels.contextual_similarity`; not used by strict "l2".

    Returns:
        scalar, in the features' common dtype, half precision computed in float32; float32 at least under autocast. Differentiable
        in x and y.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also for strict "l2" of several samples, which
            the original refuses.

    Source: S-aiueo32/contextual_loss_pytorch, `contextual_loss/functional.py`.
    """
    loss_type = _checked(x, y, band_width, loss_type)
    if strict and loss_type == "l2":
        _one_sample(x, "loss_type='l2'")
    with full_precision(x):
        points = _points(x), _points(y)
        if strict and loss_type == "l2":
            loss = _loss(best_affinity(*_swapped(*points), "product", band_width, _EPS))
        else:
            points = _summed(*points) if strict and loss_type == "l1" else points
            # half the distance, (1 - cos) / 2, goes with half of what is added to it
            eps = _EPS / 2 if loss_type == "cosine" else _EPS
            loss = _loss(contextual_similarity(*points, bandwidth=band_width, eps=eps, distance=loss_type, backend=backend))
    return loss.to(result_dtype(x, y))


def contextual_bilateral_loss(
    x: Tensor,
    y: Tensor,
    weight_sp: float = 0.1,
    band_width: float = 1.0,
    loss_type: str = "cosine",
    *,
    strict: bool = False,
) -> Tensor:
    """Contextual bilateral loss, CoBi, of feature maps, as the original computes it: the mean of -log(CX + 1e-5), where

        CX = mean_i max_j ((1 - weight_sp) p_ij + weight_sp s_ij)

    of the affinities p of features and s of places, i over x's points, j over y's. s is a Gaussian of their distance, each point's
    own place having distance 0, so narrow that at band width 1 and below 64 x 64 it is the identity matrix but for 1e-9. (The
    paper, Zhang et al. 2019, adds distances, as `spatial_weight` of `huenet.losses.ContextualLoss` does.)

    Memory: plain PyTorch by blocks of rows, made anew on the way back: half a dozen tensors of 2^18 numbers on a CPU, of 2^24 on
    other devices, or of 32 rows where these are more; nothing N x N, N = H W, beyond that. Time is of order N^2 C. There is no
    Triton kernel.

    Args:
        x, y, loss_type: as for `contextual_loss`.
        weight_sp: share of the places, any number; from 0.5 on, each point's own place wins.
        band_width: of both affinities, positive.
        strict: whether "l1" and "l2" are what the original makes of them, and batches of several samples refused, which it
            cannot compute.

    Returns:
        scalar, in the dtype that `contextual_loss` has. Differentiable in x and y, once.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: on second or forward-mode derivatives and `torch.func` transforms.

    Source: S-aiueo32/contextual_loss_pytorch, `contextual_loss/functional.py`; there distances of places are rounded to
    float32 and partly cancel, here they are exact.
    """
    loss_type = _checked(x, y, band_width, loss_type)
    weight_sp = number("weight_sp", weight_sp)
    if strict:
        _one_sample(x, "contextual_bilateral_loss")
    with full_precision(x):
        points = _points(x), _points(y)
        *points, metric, eps = _measurable(*points, loss_type, strict)
        places = tuple(_affinity(side, band_width).to(points[0]) for side in x.shape[-2:])
        loss = _loss(best_affinity(*points, metric, band_width, eps, places, weight_sp))
    return loss.to(result_dtype(x, y))


class _OfFeatures(nn.Module):
    """What both modules share: VGG19's features, where asked for, and settings."""

    __call__: Callable[..., Tensor]

    def __init__(self, band_width: float, loss_type: str, use_vgg: bool, vgg_layer: str, strict: bool) -> None:
        super().__init__()
        self.band_width, self.loss_type = _band_width(band_width), _loss_type(loss_type)
        self.vgg_layer, self.strict = vgg_layer, strict
        self.vgg_model = _vgg(vgg_layer) if use_vgg else None

    def extra_repr(self) -> str:
        settings = {"band_width": self.band_width, "loss_type": self.loss_type, "strict": self.strict}
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())

    def features(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Images, or with `use_vgg` their feature maps."""
        if self.vgg_model is None:
            return x, y
        check_images(x=x, y=y)
        for name, image in (("x", x), ("y", y)):
            if image.shape[1] != 3:
                raise ValueError(f"{name} must have 3 channels with use_vgg=True, got {tuple(image.shape)}")
        return tuple(self.vgg_model(image)[self.vgg_layer] for image in (x, y))


class ContextualLoss(_OfFeatures):
    """`contextual_loss` as a module, of feature maps or, with `use_vgg`, of images.

    Args:
        band_width, loss_type, backend: as for `contextual_loss`.
        use_vgg: whether x and y are RGB images (B, 3, H, W) in [0, 1], of which features are VGG19's; its weights are
            torchvision's, which downloads them when this is made (`pip install 'huenet[vgg]'`). They are frozen.
        vgg_layer: their layer: 'relu1_2', 'relu2_2', 'relu3_4', 'relu4_4', 'relu5_4', or any other of
            `huenet.losses.VGG19Features`.
        strict: whether, as in the original, `loss_type` is checked and ignored: distances are always "cosine".

    Raises:
        ImportError: with use_vgg=True, where torchvision cannot be imported.
        TypeError, ValueError: as `contextual_loss`; for a layer that is unknown.

    Source: S-aiueo32/contextual_loss_pytorch, `contextual_loss/modules/contextual.py`.
    """

    def __init__(
        self,
        band_width: float = 0.5,
        loss_type: str = "cosine",
        use_vgg: bool = False,
        vgg_layer: str = "relu3_4",
        *,
        strict: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(band_width, loss_type, use_vgg, vgg_layer, strict)
        self.backend = backend

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        loss_type = "cosine" if self.strict else self.loss_type
        return contextual_loss(*self.features(x, y), self.band_width, loss_type, strict=self.strict, backend=self.backend)


class ContextualBilateralLoss(_OfFeatures):
    """`contextual_bilateral_loss` as a module, of feature maps or, with `use_vgg`, of images.

    Args:
        weight_sp, band_width, loss_type: as for `contextual_bilateral_loss`.
        use_vgg, vgg_layer: as for `ContextualLoss`.
        strict: whether, as in the original, `band_width` is given to the function as its `weight_sp`, `weight_sp` and `loss_type`
            are ignored, the band width is 1, and batches of several samples are refused.

    Raises:
        ImportError: with use_vgg=True, where torchvision cannot be imported.
        TypeError, ValueError: as `contextual_bilateral_loss`; for a layer that is unknown.

    Source: S-aiueo32/contextual_loss_pytorch, `contextual_loss/modules/contextual_bilateral.py`.
    """

    def __init__(
        self,
        weight_sp: float = 0.1,
        band_width: float = 0.5,
        loss_type: str = "cosine",
        use_vgg: bool = False,
        vgg_layer: str = "relu3_4",
        *,
        strict: bool = False,
    ) -> None:
        super().__init__(band_width, loss_type, use_vgg, vgg_layer, strict)
        self.weight_sp = number("weight_sp", weight_sp)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = self.features(x, y)
        if self.strict:
            return contextual_bilateral_loss(x, y, self.band_width, strict=True)
        return contextual_bilateral_loss(x, y, self.weight_sp, self.band_width, self.loss_type)


def _affinity(side: int, bandwidth: float) -> Tensor:
    """Of places along an axis, (side, side); that of a map's points is the product of both axes'."""
    place = torch.arange(side, dtype=torch.float64, device="cpu") / (side + 1)
    # the nearest place is a point's own, at distance 0
    return torch.softmax(-(place.unsqueeze(1) - place).square() / (_EPS * bandwidth), 1)


def _measurable(x: Tensor, y: Tensor, loss_type: str, strict: bool) -> tuple[Tensor, Tensor, str, float]:
    """Points, a metric of `best_affinity` in which their distances are, and what is added to the nearest one's."""
    if loss_type == "cosine":
        x, y = (unit / 2 for unit in directions(x, y, "batch"))
        if x.shape[-1] <= _FEW_CHANNELS:
            return x, y, "l2", _EPS / 2
        return *(torch.cat([points, _squares(points)], -1) for points in (x, y)), "product", _EPS / 2
    if strict and loss_type == "l2":
        return *_swapped(x, y), "product", _EPS
    x, y = _summed(x, y) if strict else (x, y)
    return x, y, loss_type, _EPS


def _swapped(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Points with each other's squares, in float64: what is left of products that cancel would be mostly rounding."""
    x, y = x.double(), y.double()
    return torch.cat([x, _squares(y)], -1), torch.cat([y, _squares(x)], -1)


def _squares(points: Tensor) -> Tensor:
    return points.square().sum(-1, keepdim=True)


def _summed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Points of a single channel, the sum of all, whose absolute difference is that of the summed differences. They are taken from
    a common origin, as sums of many channels would round away how far near ones are apart."""
    sums = [points.sum(-1, keepdim=True, dtype=torch.float64) for points in (x, y)]
    origin = sums[1].detach().mean()
    return tuple((values - origin).to(x.dtype) for values in sums)


def _points(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C), at least float32."""
    return at_least_float32(features).flatten(2).mT


def _loss(similarity: Tensor) -> Tensor:
    return -(similarity + _EPS).log().mean()


def _checked(x: Tensor, y: Tensor, band_width: float, loss_type: str) -> str:
    """The loss type in small letters; TypeError or ValueError where an argument is bad."""
    check_images(" of at least one element", x=x, y=y)
    if x.shape != y.shape:
        raise ValueError(f"y must have the shape of x, expected {tuple(x.shape)}, got {tuple(y.shape)}")
    if x.device != y.device:
        raise ValueError(f"y must be on the device of x, expected {x.device}, got {y.device}")
    _band_width(band_width)
    return _loss_type(loss_type)


def _band_width(band_width: float) -> float:
    band_width = number("band_width", band_width)
    if not 0 < band_width < math.inf:
        raise ValueError(f"band_width must be positive, got {band_width:g}")
    return band_width


def _loss_type(loss_type: str) -> str:
    name = loss_type.lower() if isinstance(loss_type, str) else loss_type
    if name not in LOSS_TYPES:
        raise ValueError(f"loss_type must be one of {', '.join(map(repr, LOSS_TYPES))}, got {loss_type!r}")
    return name


def _one_sample(x: Tensor, what: str) -> None:
    if len(x) != 1:
        raise ValueError(
            f"x and y must be a single sample with strict=True, as the original's {what} fails for others, got {len(x)}"
        )


def _vgg(layer: str) -> VGG19Features:
    try:
        return VGG19Features([layer])
    except ImportError as error:
        raise ImportError(
            f"use_vgg=True needs torchvision: pip install 'huenet[vgg]'; its import failed: {error.__cause__}"
        ) from error
