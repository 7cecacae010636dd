"""Results do not depend on torch's global defaults, which belong to the program around."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import huenet
from huenet.color_transfer.baselines import match_hue, reinhard
from huenet.color_transfer.config import ModelConfig
from huenet.color_transfer.model import HueNet, save_generator
from huenet.compat.contextual import contextual_bilateral_loss
from huenet.compat.histogan import RGBuvHistBlock, hellinger_loss
from huenet.compat.monai import GlobalMutualInformationLoss
from huenet.compat.torch import histc
from huenet.compat.voxelmorph import NMI, MutualInformation
from huenet.losses import ContextualLoss, HarmonicLoss, HueNetLoss, StructureConsistencyLoss
from huenet.metrics.hue import hue_emd, hue_mutual_information


def everything(checkpoint: Path, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    hues = source[:, :1], target[:, :1], target[:, 1:2]
    return {
        "painted": huenet.load(checkpoint)(source, target),
        "emd": hue_emd(source, target),
        "information": hue_mutual_information(source, target),
        "reinhard": reinhard(source, target),
        "matched": match_hue(source, target),
        "hue": HueNetLoss(16, adversarial_weight=0, smoothness_weight=1)(*hues, output_weights=source[:, 2:]).total,
        "structure": StructureConsistencyLoss()(source, target),
        "harmonic": HarmonicLoss()(source, target),
        "contextual": ContextualLoss()(source, target),
        "bilateral": contextual_bilateral_loss(source, target),
        "histogan": hellinger_loss(*map(RGBuvHistBlock(16, 24, "sampling"), (source, target))),
        "histc": histc(source, 16),
        "soft histc": histc(source, 16, differentiable=True),
        "monai": GlobalMutualInformationLoss()(source, target),
        "monai's b-spline": GlobalMutualInformationLoss("b-spline")(source, target),
        "patches": NMI([0.0, 0.25, 0.5, 0.75, 1.0], (40, 40), local=True, patch_size=16).loss(*hues[:2]),
        "uneven": NMI([0.0, 0.2, 1.0], (40, 40)).loss(source, target),
        "neurite": MutualInformation().channelwise(source, target),
    }


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16, "meta"], ids=str)
def test_defaults_of_the_program_around_change_nothing(tmp_path: Path, default: torch.dtype | str) -> None:
    torch.manual_seed(0)
    save_generator(tmp_path / "generator.safetensors", HueNet(ModelConfig(size=32, width=4)))
    source, target = torch.rand(2, 3, 40, 40).split(1)
    expected = everything(tmp_path / "generator.safetensors", source, target)
    try:
        if isinstance(default, str):
            torch.set_default_device(default)
        else:
            torch.set_default_dtype(default)
        found = everything(tmp_path / "generator.safetensors", source, target)
        assert torch.get_default_dtype() == (default if isinstance(default, torch.dtype) else torch.float32)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and found[name].device == value.device, name
        assert torch.equal(found[name], value), name
