"""Losses as modules on images (B, C, H, W), for anyone's training loop. `hue` has Hue-Net's."""

from .hue import AdversarialLoss, CircularEMDLoss, HueNetLoss, LossParts, MutualInformationLoss, SmoothnessLoss

__all__ = [
    "AdversarialLoss",
    "CircularEMDLoss",
    "HueNetLoss",
    "LossParts",
    "MutualInformationLoss",
    "SmoothnessLoss",
]
