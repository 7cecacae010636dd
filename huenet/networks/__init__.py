"""Networks that any system may be built of: a U-Net, a ResNet and a small one for generators, a PatchGAN and a small one for
discriminators."""

from .blocks import usual_defaults, within_size
from .digits import DigitClassifier, DigitDiscriminator, DigitGenerator
from .patchgan import PatchDiscriminator
from .resnet import ResNet
from .unet import UNet

__all__ = [
    "DigitClassifier",
    "DigitDiscriminator",
    "DigitGenerator",
    "PatchDiscriminator",
    "ResNet",
    "UNet",
    "usual_defaults",
    "within_size",
]
