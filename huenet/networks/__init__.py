"""Networks that any system may be built of."""

from .unet import PatchDiscriminator, UNet

__all__ = ["PatchDiscriminator", "UNet"]
