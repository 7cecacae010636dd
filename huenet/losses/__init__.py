"""Losses as modules on images (B, C, H, W), for anyone's training loop.

`hue` has Hue-Net's, `least_squares` LSGAN's, `structure` SCC's, `contextual` the contextual loss, `harmonic` HarmonicGAN's.
"""

from .contextual import ContextualLoss, Patches, VGG19Features
from .harmonic import HarmonicLoss
from .hue import AdversarialLoss, CircularEMDLoss, HueNetLoss, LossParts, MutualInformationLoss, SmoothnessLoss
from .least_squares import LeastSquaresLoss
from .structure import StructureConsistencyLoss

__all__ = [
    "AdversarialLoss",
    "CircularEMDLoss",
    "ContextualLoss",
    "HarmonicLoss",
    "HueNetLoss",
    "LeastSquaresLoss",
    "LossParts",
    "MutualInformationLoss",
    "Patches",
    "SmoothnessLoss",
    "StructureConsistencyLoss",
    "VGG19Features",
]
