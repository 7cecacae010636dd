"""Structure consistency (SCC; Guo et al. 2022): a translation may recolour an image, but places alike before should stay alike.

    loss = adversarial + 5 * StructureConsistencyLoss()(source, translated)      # images (B, C, H, W) in [-1, 1]

A term for any unpaired translation network. The authors weigh it by 0.5 for images of fine structure to 5 for those of large flat
areas, and add it in both directions of a CycleGAN.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..kernels import squared_mutual_information
from ..kernels.squared_mutual_information.estimator import Estimator
from .arguments import check_images


class StructureConsistencyLoss(nn.Module):
    """Minus the mean over the batch of the dependence (rSMI) of translated values on source values at the same place and channel.

    All C * H * W values of an image are the samples, and the defaults are those of the published code, to which the authors'
    weights belong: with ``sign=-1``, Gaussian kernels, take ``ridge=0.001`` instead. The arguments are explained in
    `huenet.kernels.squared_mutual_information`. For images in [0, 1], ``low=0.0, sigma=0.5`` is the same loss.

    The loss is in [1 - 1/beta, 1], by default [-1, 1]: negative where the images depend on each other, 0 for unrelated ones. A
    photo recoloured continuously has about -0.2; where few colours are left, as in maps, -0.01 is a lot.

    Example:
        >>> import torch
        >>> from huenet.losses import StructureConsistencyLoss
        >>> image = torch.rand(1, 3, 32, 32, generator=torch.manual_seed(0)) * 2 - 1
        >>> loss = StructureConsistencyLoss()
        >>> bool(loss(image, -image) < loss(image, image.flip(-1)))  # recoloured keeps structure, mirrored does not
        True
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        centers: int = 9,
        sigma: float = 1.0,
        *,
        beta: float = 0.5,
        ridge: float = 0.05,
        sign: int = 1,
        low: float = -1.0,
        high: float = 1.0,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.backend = backend
        self.settings: dict[str, Any] = {
            "centers": centers,
            "sigma": sigma,
            "beta": beta,
            "ridge": ridge,
            "sign": sign,
            "low": low,
            "high": high,
        }
        Estimator(**self.settings)  # which says what is wrong with them

    def forward(self, source: Tensor, translated: Tensor) -> Tensor:
        """Floating images (B, C, H, W) of one shape, in [low, high] -> scalar, float32 or float64.

        Differentiable in both. Raises ValueError where shapes do not match, and as `squared_mutual_information` does.
        """
        check_images(", not empty", source=source, translated=translated)
        if source.shape[1] != translated.shape[1]:
            raise ValueError(
                f"translated must have as many channels as source, expected {source.shape[1]}, got {translated.shape[1]}: repeat "
                "a grey image with .expand(-1, channels, -1, -1), or compare it with the other's .mean(1, keepdim=True)"
            )
        if source.shape != translated.shape:
            shapes = f"expected {tuple(source.shape)}, got {tuple(translated.shape)}"
            raise ValueError(f"translated must have the shape of source, {shapes}")
        return -squared_mutual_information(source.flatten(1), translated.flatten(1), **self.settings, backend=self.backend).mean()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.settings.items())
