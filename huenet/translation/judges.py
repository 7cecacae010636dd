"""Classifiers of digits, which tell whether a translated digit is still the same one."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.photos import seeded_generator
from ..networks import DigitClassifier
from .networks import to_networks

EPOCHS, BATCH, RATE = 12, 64, 1e-3


def train_classifier(images: Tensor, labels: Tensor, seed: int = 0, epochs: int = EPOCHS) -> DigitClassifier:
    """A `DigitClassifier` of images uint8 (N, C, 32, 32) and labels int64 (N,), in eval mode; a function of these and the seed."""
    with torch.random.fork_rng(devices=[]):  # its weights and dropout
        torch.manual_seed(seed)
        classifier = DigitClassifier(images.shape[1])
        optimizer = torch.optim.Adam(classifier.parameters(), RATE)
        for epoch in range(epochs):
            order = torch.from_numpy(seeded_generator(seed, epoch).permutation(len(images)))
            for chosen in order.split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(classifier(_floats(images[chosen])), labels[chosen]).backward()
                optimizer.step()
    return classifier.eval()


@torch.no_grad()
def accuracy(classifier: DigitClassifier, images: Tensor, labels: Tensor) -> float:
    """Share of images uint8 (N, C, 32, 32) whose label it says."""
    said = torch.cat([classifier(_floats(some)).argmax(1) for some in images.split(512)])
    return float((said == labels).double().mean())


def _floats(images: Tensor) -> Tensor:
    return to_networks(images.float() / 255)
