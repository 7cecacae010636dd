"""The contextual loss as a module on images, for anyone's training loop.

    loss = ContextualLoss()(output, target)                                               # colour patches, nothing to download
    loss = ContextualLoss(VGG19Features(["relu3_2", "relu4_2"]))(output, target)          # the paper's, with torchvision
    loss = ContextualLoss(my_network.encode, weights=[1.0, 0.5], spatial_weight=0.1)(output, target)

Images are (B, C, H, W); target and output may differ in size, and need not be aligned: what counts is that every feature of the
target is found somewhere in the output. Half precision is computed in float32, under autocast too; float64 stays.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..kernels import contextual_similarity
from ..kernels.common.devices import full_precision
from ..kernels.contextual_similarity import check_options, of_metric
from ..kernels.contextual_similarity.reference import directions
from .arguments import check_images, not_negative

FeatureMaps = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class ContextualLoss(nn.Module):
    """Sum over feature maps of weight times the batch's mean of -log CX (Mechrez, Talmi and Zelnik-Manor 2018, Eq. 5).

    Args:
        features: maps an image to its feature maps (B, C', h, w): a tensor, a sequence or a mapping of them. None is `Patches()`.
        weights: one for each feature map, in their order or by their names; None is 1 for each.
        spatial_weight: w of the contextual bilateral loss ("CoBi", Zhang et al. 2019): adds w times the squared distance of the
            positions, each in [0, 1] from one edge of its image to the other, to the distance of the features, so that near matches
            are preferred; with "l1", w times the sum of absolute differences. It is added before a row is normalised, as the paper
            writes it, while its code mixes two normalised affinities, of which the spatial one is the identity in effect; and it is
            squared, unlike the paper's, which makes the affinity the product of one in features and one in space, as that of a
            bilateral filter is.
        bandwidth, eps, distance, center, reduce, backend: as for `huenet.kernels.contextual_similarity`.

    Raises:
        ValueError: where a weight or an option is bad.

    Example:
        >>> import torch
        >>> from huenet.losses import ContextualLoss
        >>> image = torch.rand(1, 3, 32, 32, generator=torch.manual_seed(0))
        >>> moved, other = image.roll(5, -1), torch.rand(1, 3, 32, 32)
        >>> bool(ContextualLoss()(moved, image) < ContextualLoss()(other, image))
        True
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        features: Callable[[Tensor], FeatureMaps] | None = None,
        *,
        weights: Sequence[float] | Mapping[str, float] | None = None,
        spatial_weight: float = 0.0,
        bandwidth: float = 0.5,
        eps: float = 1e-5,
        distance: Literal["cosine", "l2", "l1"] = "cosine",
        center: Literal["batch", "sample", "none"] = "batch",
        reduce: Literal["target", "source"] = "target",
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.features = Patches() if features is None else features
        self.weights = weights if weights is None or isinstance(weights, Mapping) else list(weights)
        self.spatial_weight = not_negative("spatial_weight", spatial_weight)
        self.distance, self.center = distance, center
        self.options: dict[str, Any] = {"bandwidth": bandwidth, "eps": eps, "reduce": reduce, "backend": backend}
        check_options(bandwidth, eps, distance, center, reduce)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Images (B, C, H, W) and (B, C, H', W') -> the loss, a scalar; not negative. Differentiable in both.

        Raises ``ValueError`` where images, feature maps and weights do not go together.
        """
        check_images(output=output, target=target)
        if output.shape[:2] != target.shape[:2]:
            shapes = f"{tuple(output.shape)} and {tuple(target.shape)}"
            raise ValueError(f"output and target must agree in batch and channels, got {shapes}")
        maps, target_maps = _named(self.features(output)), _named(self.features(target))
        if maps.keys() != target_maps.keys():
            raise ValueError(f"features must give the same maps for output and target, got {[*maps]} and {[*target_maps]}")
        weights = self._weights(list(maps))
        return functools.reduce(operator.add, (weights[name] * self.of_maps(maps[name], target_maps[name]) for name in maps))

    def of_maps(self, output: Tensor, target: Tensor) -> Tensor:
        """The unweighted loss of one pair of feature maps, (B, C, h, w) and (B, C, h', w') -> scalar."""
        for name, found in (("output", output), ("target", target)):
            if found.dim() != 4:
                raise ValueError(f"features must give maps (B, C, h, w), got {tuple(found.shape)} for the {name}")
        with full_precision(output):
            x, y = _points(output), _points(target)
            if self.spatial_weight:
                similarity = of_metric(*self._with_positions(x, y, output.shape[-2:], target.shape[-2:]), **self.options)
            else:
                similarity = contextual_similarity(x, y, distance=self.distance, center=self.center, **self.options)
            return -similarity.log().mean()

    def _with_positions(
        self, x: Tensor, y: Tensor, size: Sequence[int], target_size: Sequence[int]
    ) -> tuple[Tensor, Tensor, Literal["l1", "l2", "product"]]:
        """Points whose distance is that of the features plus that of the positions, and its metric."""
        scale = self.spatial_weight if self.distance == "l1" else self.spatial_weight**0.5
        if self.distance == "cosine":  # (1 - cos) / 2 is the squared distance of vectors of length 1/2
            x, y = (unit / 2 for unit in directions(x, y, self.center))
        x, y = (torch.cat([z, scale * _positions(z, s)], -1) for z, s in ((x, size), (y, target_size)))
        return x, y, "product" if self.distance == "cosine" else self.distance

    def _weights(self, names: list[str]) -> dict[str, float]:
        if self.weights is None:
            return dict.fromkeys(names, 1.0)
        if isinstance(self.weights, Mapping):
            if self.weights.keys() != set(names):
                raise ValueError(f"weights must be those of the feature maps {names}, got {list(self.weights)}")
            return dict(self.weights)
        if len(self.weights) != len(names):
            raise ValueError(f"weights must be one for each of the {len(names)} feature maps, got {len(self.weights)}")
        return dict(zip(names, self.weights))

    def extra_repr(self) -> str:
        options = {**self.options, "distance": self.distance, "center": self.center, "spatial_weight": self.spatial_weight}
        return ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)


class Patches(nn.Module):
    """Features without a network: every patch of size x size pixels, `stride` apart; (B, C, H, W) -> (B, C * size^2, h, w).

    Example:
        >>> import torch
        >>> from huenet.losses import Patches
        >>> features = Patches()(torch.rand(1, 3, 32, 32))
        >>> [tuple(maps.shape) for maps in (features if isinstance(features, list | tuple) else [features])]
        [(1, 75, 14, 14)]
    """

    __call__: Callable[..., Tensor]

    def __init__(self, size: int = 5, stride: int = 2) -> None:
        super().__init__()
        if size < 1 or stride < 1:
            raise ValueError(f"size and stride must be at least 1, got {size} and {stride}")
        self.size, self.stride = size, stride

    def forward(self, image: Tensor) -> Tensor:
        if min(image.shape[-2:]) < self.size:
            raise ValueError(f"image must be at least {self.size} pixels wide and high, got {tuple(image.shape)}")
        height, width = ((side - self.size) // self.stride + 1 for side in image.shape[-2:])
        return F.unfold(image, self.size, stride=self.stride).unflatten(-1, (height, width))

    def extra_repr(self) -> str:
        return f"size={self.size}, stride={self.stride}"


class VGG19Features(nn.Module):
    """Feature maps of a frozen VGG19 (Simonyan and Zisserman 2015), of RGB or grey images (B, 3 or 1, H, W).

    Args:
        layers: their names, "conv" (before the ReLU) or "relu", block and place in it, as "relu4_2". The default is the paper's for
            its target.
        weights: "imagenet", which torchvision downloads (`pip install 'huenet[vgg]'`); a state dict of torchvision's VGG19, e.g.
            read from a file; or None, random.
        pool: "max", as it was trained, or "average", as the contextual loss's authors and style transfer use it.
        low, high: the images' values of black and white.

    Raises:
        ImportError: with weights="imagenet", where torchvision cannot be imported.
        ValueError: for an unknown layer, pooling or name of weights.
    """

    #: of ImageNet's training images in [0, 1], to which torchvision's weights belong
    MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    #: channels and number of the convolutions of each block
    BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))

    __call__: Callable[..., dict[str, Tensor]]
    _mean: Tensor
    _deviation: Tensor

    def __init__(
        self,
        layers: Sequence[str] = ("relu3_2", "relu4_2"),
        *,
        weights: Literal["imagenet"] | Mapping[str, Tensor] | None = "imagenet",
        pool: Literal["max", "average"] = "max",
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        super().__init__()
        if pool not in ("max", "average"):
            raise ValueError(f"pool must be 'max' or 'average', got {pool!r}")
        names, modules = self._architecture(nn.MaxPool2d if pool == "max" else nn.AvgPool2d)
        unknown = [layer for layer in layers if layer not in names]
        if unknown or not layers:
            raise ValueError(f"layers must be among conv1_1, relu1_1, ... conv5_4, relu5_4, got {list(layers)}")
        network = nn.Sequential(*modules)
        if weights is not None:
            network.load_state_dict(_vgg19_state(weights))
        self.layers = {names.index(layer): layer for layer in layers}
        self.network = nn.Sequential(*modules[: max(self.layers) + 1]).requires_grad_(False)
        self.register_buffer("_mean", low + (high - low) * torch.tensor(self.MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("_deviation", (high - low) * torch.tensor(self.DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps, x = {}, (image - self._mean) / self._deviation
        for index, module in enumerate(self.network):
            x = module(x)
            if index in self.layers:
                maps[self.layers[index]] = x
        return maps

    @classmethod
    def _architecture(cls, pool: type[nn.Module]) -> tuple[list[str], list[nn.Module]]:
        """Names and modules in torchvision's order."""
        names: list[str] = []
        modules: list[nn.Module] = []
        channels = 3
        for block, (width, count) in enumerate(cls.BLOCKS, 1):
            for place in range(1, count + 1):
                names += [f"conv{block}_{place}", f"relu{block}_{place}"]
                modules += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            names.append(f"pool{block}")
            modules.append(pool(2))
        return names, modules


def _vgg19_state(weights: str | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions' parameters, without torchvision's prefix."""
    if isinstance(weights, str):
        if weights != "imagenet":
            raise ValueError(f"weights must be 'imagenet', a state dict or None, got {weights!r}")
        try:
            from torchvision.models import VGG19_Weights
        except (ImportError, RuntimeError) as error:  # a torchvision built for another torch raises the latter
            raise ImportError(
                f"weights='imagenet' needs torchvision, built for this torch: pip install 'huenet[vgg]'; its import failed: {error}"
            ) from error
        state: Mapping[str, Tensor] = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    else:
        state = weights
    prefix = "features."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _named(maps: FeatureMaps) -> dict[str, Tensor]:
    if isinstance(maps, Tensor):
        maps = [maps]
    if not isinstance(maps, Mapping):
        maps = {str(index): found for index, found in enumerate(maps)}
    if not maps:
        raise ValueError("features must give at least one feature map, got none")
    return dict(maps)


def _points(found: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C), at least float32."""
    points = found.flatten(2).mT
    return points if points.dtype in (torch.float32, torch.float64) else points.float()


def _positions(points: Tensor, size: Sequence[int]) -> Tensor:
    """Row and column of every point of a map, in (0, 1), (B, h * w, 2)."""
    along = [(torch.arange(side, dtype=points.dtype, device=points.device) + 0.5) / side for side in size]
    return torch.cartesian_prod(*along).expand(len(points), -1, -1)
