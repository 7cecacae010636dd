"""Networks that any system may be built of: a U-Net for generators, a PatchGAN for discriminators."""

from .blocks import usual_defaults, within_size
from .patchgan import PatchDiscriminator
from .unet import UNet

__all__ = ["PatchDiscriminator", "UNet", "usual_defaults", "within_size"]
