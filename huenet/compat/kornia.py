"""kornia's differentiable histograms and mutual information losses, which store N x K responses, as functions and modules of the
same names that do not. Everything that kornia.enhance and kornia.losses have of them.

    from huenet.compat.kornia import histogram, histogram2d, image_histogram2d        # for `from kornia.enhance import ...`
    from huenet.compat.kornia import MIKernel, mutual_information_loss                # for `from kornia.losses import ...`

Where kornia does other than it says, the default here is right; `strict=True` does as kornia 0.9.0 does. docs/compat.md lists both.
"""

from __future__ import annotations

from .kornia_histograms import histogram, histogram2d
from .kornia_image_histogram import image_histogram2d
from .kornia_losses import (
    mutual_information_loss,
    mutual_information_loss_2d,
    mutual_information_loss_3d,
    normalized_mutual_information_loss,
    normalized_mutual_information_loss_2d,
    normalized_mutual_information_loss_3d,
)
from .kornia_mutual_information import (
    EntropyBasedLossBase,
    MIKernel,
    MILossFromRef,
    MILossFromRef2D,
    MILossFromRef3D,
    NMILossFromRef,
    NMILossFromRef2D,
    NMILossFromRef3D,
)

__all__ = [
    "EntropyBasedLossBase",
    "MIKernel",
    "MILossFromRef",
    "MILossFromRef2D",
    "MILossFromRef3D",
    "NMILossFromRef",
    "NMILossFromRef2D",
    "NMILossFromRef3D",
    "histogram",
    "histogram2d",
    "image_histogram2d",
    "mutual_information_loss",
    "mutual_information_loss_2d",
    "mutual_information_loss_3d",
    "normalized_mutual_information_loss",
    "normalized_mutual_information_loss_2d",
    "normalized_mutual_information_loss_3d",
]
