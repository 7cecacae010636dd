"""Folders of photographs as uint8 tensors, and endless seeded pairs of a source and a target.

photos = load_folder("flowers/", size=256)
train, held_out = hold_out(photos, count=30, seed=0)
stream = PairStream(train.to("cuda"), batch_size=32, seed=0)
source, target = stream.batch(step)    # a function of the seed and the step: nothing to save for a resume
"""

from .images import find_images, fit, image_to_tensor, load_image
from .pair_stream import PairStream
from .photo_cache import cached_folder
from .photo_stream import PhotoStream
from .photos import LOAD_RATIO, Photos, hold_out, load_folder

__all__ = [
    "LOAD_RATIO",
    "PairStream",
    "PhotoStream",
    "Photos",
    "cached_folder",
    "find_images",
    "fit",
    "hold_out",
    "image_to_tensor",
    "load_folder",
    "load_image",
]
