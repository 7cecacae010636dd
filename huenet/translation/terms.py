"""The terms of the generators' loss, each of one direction. A term whose weight is 0 is neither built nor computed."""

import os
from collections.abc import Callable

import safetensors
import safetensors.torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..kernels import Bins
from ..losses import (
    AdversarialLoss,
    ContextualLoss,
    HarmonicLoss,
    LeastSquaresLoss,
    MutualInformationLoss,
    Patches,
    StructureConsistencyLoss,
    VGG19Features,
)
from ..losses.contextual import FeatureMaps
from .config import LossConfig
from .networks import Translated, grey_as, to_picture, turns

ADVERSARIAL = {"lsgan": LeastSquaresLoss, "cross-entropy": AdversarialLoss}
GAUSSIAN_RIDGE = 0.001
"""`StructureConsistencyLoss` says why."""


class Terms(nn.Module):
    """The terms that `config` weighs.

    ``contextual_features``, ``harmonic_features``: in place of patches, functions of images in [-1, 1] as for `ContextualLoss` and
    `HarmonicLoss`; the latter needs ``harmonic_sigma``.

    Raises ``ValueError`` for settings that do not go together, or weights of VGG19 that are not to be had; ``OSError`` where their
    file cannot be read.
    """

    def __init__(
        self,
        config: LossConfig,
        contextual_features: Callable[[Tensor], FeatureMaps] | None = None,
        harmonic_features: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.config, self.turns = config, turns(config)
        self.adversarial = ADVERSARIAL[config.adversarial_form]()
        if config.structure_weight:
            self.structure = _structure(config)
        if config.harmonic_weight:
            self.harmonic = HarmonicLoss(
                config.harmonic_bins,
                patch=config.harmonic_patch,
                stride=config.harmonic_stride,
                sigma=config.harmonic_sigma,
                low=-1.0,
                features=harmonic_features,
            )
        if config.contextual_weight:
            features = _features(config) if contextual_features is None else contextual_features
            self.contextual = ContextualLoss(features, bandwidth=config.contextual_bandwidth)
        if config.mi_weight:
            self.mi = MutualInformationLoss(Bins(config.mi_bins, boundary="reflect"))

    def forward(self, source: Tensor, target: Tensor, made: Translated, logits: list[Tensor]) -> dict[str, Tensor]:
        """Images (B, C, S, S) and (B, C', S, S) in [-1, 1], what was made of them, and the discriminators' logits of it ->
        the terms by name, unweighted scalars."""
        config = self.config
        found: dict[str, Tensor] = {}
        if config.adversarial_weight:
            found["adversarial"] = sum(self.adversarial(some) for some in logits)
        if config.cycle_weight:
            found["cycle"] = (F.l1_loss if config.cycle_form == "l1" else F.mse_loss)(made.back, source)
        if config.identity_weight:
            found["identity"] = F.l1_loss(made.same, target)
            if self.turns is not None:
                found["identity"] = found["identity"] + F.l1_loss(made.same_turned, self.turns[0](target))
        if self.turns is not None:
            found["geometry"] = F.l1_loss(made.output, self.turns[1](made.turned))
        if config.structure_weight or config.mi_weight:
            channels = max(source.shape[1], target.shape[1])
            pair = grey_as(source, channels), grey_as(made.output, channels)
            if config.structure_weight:
                found["structure"] = self.structure(*pair)
            if config.mi_weight:
                found["mi"] = self.mi(to_picture(pair[1]), to_picture(pair[0]))
        if config.harmonic_weight:
            found["harmonic"] = self.harmonic(source, made.output)
            if made.back is not None:
                found["harmonic"] = found["harmonic"] + self.harmonic(made.output, made.back)
        if config.contextual_weight:
            found["contextual"] = self.contextual(made.output, target)
        return found


def _structure(config: LossConfig) -> StructureConsistencyLoss:
    published = config.structure_form == "published"
    options = {} if published else {"sign": -1, "ridge": GAUSSIAN_RIDGE}
    if config.structure_sigma is not None:
        options["sigma"] = config.structure_sigma
    if config.structure_ridge is not None:
        options["ridge"] = config.structure_ridge
    return StructureConsistencyLoss(**options)


def _features(config: LossConfig) -> nn.Module:
    if config.contextual_features == "patches":
        return Patches(config.contextual_patch, config.contextual_stride)
    if config.vgg19_weights is None:
        try:
            return VGG19Features(low=-1.0)
        except ImportError as error:
            raise ValueError(f"contextual_features vgg19: {error}; or give vgg19_weights, a safetensors file of them") from error
    return VGG19Features(weights=_stored(config.vgg19_weights), low=-1.0)


def _stored(path: str) -> dict[str, Tensor]:
    """A state dictionary of VGG19's, for its features. Raises ``ValueError`` for another, ``OSError`` where it cannot be read."""
    os.stat(path)  # of which safetensors has no OSError
    try:
        tensors = safetensors.torch.load_file(path)
        VGG19Features(weights=tensors)
    except (safetensors.SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"vgg19_weights must be a safetensors file of torchvision's VGG19, got {path}: {reason}") from error
    return tensors
