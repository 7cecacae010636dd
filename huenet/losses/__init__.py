"""Losses as modules on images (B, C, H, W), for anyone's training loop. `hue` has Hue-Net's, `harmonic`
HarmonicGAN's."""

from .harmonic import HarmonicLoss
from .hue import AdversarialLoss, CircularEMDLoss, HueNetLoss, LossParts, MutualInformationLoss, SmoothnessLoss

__all__ = [
    "AdversarialLoss",
    "CircularEMDLoss",
    "HarmonicLoss",
    "HueNetLoss",
    "LossParts",
    "MutualInformationLoss",
    "SmoothnessLoss",
]
