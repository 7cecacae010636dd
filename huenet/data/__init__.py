"""Folders of photographs as uint8 tensors, and endless seeded pairs of a source and a target."""

from .photos import LOAD_RATIO, PairStream, Photos, find_images, fit, hold_out, image_to_tensor, load_folder, load_image

__all__ = ["LOAD_RATIO", "PairStream", "Photos", "find_images", "fit", "hold_out", "image_to_tensor", "load_folder", "load_image"]
