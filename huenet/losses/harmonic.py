"""HarmonicGAN's smoothness loss: what looks alike before a translation should look alike after it.

smooth = HarmonicLoss()  # for images in [0, 1]; HarmonicLoss(low=-1) for [-1, 1]
loss = smooth(source, translated)  # in any training loop
loss = smooth(source, translated) + smooth(translated, reconstructed)  # with a cycle: both terms of L_Smooth(G, X, Y)
"""

from collections.abc import Callable

from torch import Tensor, nn

from ..kernels import Bins, harmonic_energy, patch_histogram
from .arguments import check_images

#: patches whose histograms share all but an eighth of their mass weigh 1/e; on aerial photos the mean weight is then 6 %
HISTOGRAM_SIGMA = 0.5


class HarmonicLoss(nn.Module):
    """Harmonic energy of a translation over the patches of its source (Zhang et al. 2019, one term of L_Smooth):

        mean over images and ordered pairs of patches i, j of  exp(-|f_i - f_j|_1 / sigma^2) |a_i - a_j|

    with f the features of the source's patches and a those of the translation's. By default features are triangular soft histograms
    of the patches, channel by channel, as shares: a patch's sum to 1 over all channels. Distances then lie in [0, 2] whatever
    the patch size, and so does the loss.

    Where the paper, in the version consulted, gives no value, this is chosen: 16 bins, 8 x 8 patches side by side, `sigma`, and the
    mean over pairs in place of the sum, so that the weight of the loss need not depend on the size of the image. For the paper's
    counts c = 64 C shares, C channels: sigma_counts^2 = 64 C sigma^2, and energies are 64 C times as large.

    Args:
        bins: number of triangular bins over [low, high] with mass kept at both ends, or `Bins`, whose range then holds.
        patch, stride: in pixels; None is patches side by side, 1 every patch there is (62,001 in 256 x 256 pixels).
        sigma: how far patches may differ to count as alike; None is 0.5 for histograms. sigma^2 is in the units of the
            features' |.|_1.
        low, high: range of the images' values, where bins is a number.
        features: instead of histograms, any function of images (B, C, H, W) that gives maps (B, D, h, w), such as a truncated VGG;
            every position is a point. A module becomes a submodule, its parameters are not frozen. Needs `sigma`, as their
            scale is not known; bins, patch, stride and range are not used then.
        distance: of the translation's features, "l1" (paper) or "l2".

    Example:
        >>> import torch
        >>> from huenet.losses import HarmonicLoss
        >>> source = torch.rand(1, 3, 64, 64)
        >>> HarmonicLoss()(source, torch.full_like(source, 0.5)).item()  # places alike are alike
        0.0
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        bins: int | Bins = 16,
        *,
        patch: int = 8,
        stride: int | None = None,
        sigma: float | None = None,
        low: float = 0.0,
        high: float = 1.0,
        features: Callable[[Tensor], Tensor] | None = None,
        distance: str = "l1",
    ) -> None:
        super().__init__()
        if features is not None and sigma is None:
            raise ValueError("sigma must be given with features, whose scale is not known; got None")
        if isinstance(bins, Bins) and (low, high) != (0.0, 1.0):
            raise ValueError(f"low and high belong to a number of bins, got {low} and {high} with {bins}")
        self.bins = bins if isinstance(bins, Bins) else Bins(bins, low, high, boundary="reflect", window="triangular")
        self.patch, self.stride = patch, stride
        self.sigma = HISTOGRAM_SIGMA if sigma is None else sigma
        self.features, self.distance = features, distance

    def forward(self, source: Tensor, translated: Tensor) -> Tensor:
        """Images (B, C, H, W) and (B, C', H, W) -> the mean energy, a scalar, of at least float32.

        Differentiable in both; a `source` that needs no gradient costs none. Raises ``ValueError`` where the images do not match.
        """
        check_images(source=source, translated=translated)
        if (len(source), *source.shape[2:]) != (len(translated), *translated.shape[2:]):
            shapes = f"expected {tuple(source.shape)}, got {tuple(translated.shape)}"
            raise ValueError(f"translated must match source in batch, height and width, {shapes}")
        return harmonic_energy(self.points(source), self.points(translated), sigma=self.sigma, distance=self.distance).mean()

    def points(self, image: Tensor) -> Tensor:
        """An image's patches, or positions, as points in feature space: (B, C, H, W) -> (B, N, D)."""
        if self.features is None:
            counts = patch_histogram(image, self.bins, patch=self.patch, stride=self.stride)
            return counts / (self.patch**2 * image.shape[1])
        maps = self.features(image)
        if not isinstance(maps, Tensor) or maps.ndim != 4:
            got = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise ValueError(f"features must give maps (B, D, h, w), got {got}")
        return maps.flatten(2).mT
