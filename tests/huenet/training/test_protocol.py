"""The loop trains what it has never heard of: one linear layer, two streams of numbers and a pool of past outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from huenet.training import checkpoint
from huenet.training.checkpoint import CheckpointError
from huenet.training.config import BaseConfig, BaseTrainConfig, RunConfig
from huenet.training.distributed import ALONE
from huenet.training.protocol import System
from huenet.training.run import train
from huenet.training.trained_networks import TrainedNetworks, step_seed
from tests.huenet.training.runs import assert_equal, rows, timeless, weights

RUN = RunConfig(log_every=1, sample_every=4, checkpoint_every=3, progress=False)


@dataclasses.dataclass(frozen=True)
class ToyConfig(BaseConfig):
    train: BaseTrainConfig


TOY = ToyConfig(BaseTrainConfig(steps=40, batch_size=16, learning_rate=0.05, warmup=2, ema=0.9))


class Toy:
    """Learns to send the numbers of one stream to the mean of the other's, and its outputs to where they were."""

    losses = ("total", "mean", "still")
    result, world = "layer.safetensors", ALONE

    def __init__(self, config: ToyConfig = TOY, files: tuple[str, str] = ("one", "other")) -> None:
        train = config.train
        self.config, self.data = config, {"a": [files[0]], "b": [files[1]], "sizes": "3, 3"}
        torch.manual_seed(train.seed)
        layer = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.1))
        self.networks = TrainedNetworks(
            {"layer": layer}, {"layer": config.train.learning_rate}, config.train, ALONE, {"layer": "average"}
        )
        self.pool = torch.zeros(4, 3)

    def step(self, step: int) -> dict[str, Tensor]:
        self.networks.begin(step)
        train, generator = self.config.train, torch.Generator()
        x, y = (torch.rand(train.batch_size, 3, generator=generator.manual_seed(step_seed(train.seed, of, step))) for of in (1, 2))
        output = self.networks.apply("layer", x)
        mean, still = (output.mean(0) - y.mean(0)).square().sum(), (output[:4] - self.pool).square().mean()
        self.networks.descend(mean + 0.01 * still, "layer")
        self.pool[step % 4] = output[0].detach()
        return {"total": (mean + 0.01 * still).detach(), "mean": mean.detach(), "still": still.detach()}

    def sample(self) -> Image.Image:
        return Image.new("RGB", (4, 3))

    def state(self) -> dict[str, Tensor]:
        return {**self.networks.state(), "pool": self.pool}

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        self.networks.load_state(path, tensors)
        self.pool = tensors["pool"]

    def export(self, path: Path, metadata: Mapping[str, Any]) -> None:
        checkpoint.write(path, "generator", self.networks.weights("layer"), metadata)


def test_stopped_after_every_step_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    system: System = Toy()
    assert train(system, tmp_path / "whole", RUN).step == 40
    while train(Toy(), tmp_path / "parts", dataclasses.replace(RUN, max_minutes=1e-9)).stopped_by == "time":
        pass
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert {"pool", "layer/0.weight", "layer_optimizer/0.exp_avg", "average/module.0.bias"} <= weights(tmp_path / "whole").keys()
    exported, metadata = checkpoint.read(tmp_path / "parts" / "layer.safetensors", "generator")
    assert_equal(exported, system.networks.weights("layer"))
    assert metadata["config"]["train"]["steps"] == metadata["step"] == 40 and metadata["a"] == ["one"]
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")
    assert list(rows(tmp_path / "whole")[0]) == ["step", "total", "mean", "still", "images_per_second", "mfu"]
    means = [float(row["mean"]) for row in rows(tmp_path / "whole")]
    assert len(means) == 40 and sum(means[-5:]) < 0.1 * sum(means[:5])
    assert len(list((tmp_path / "parts" / "samples").iterdir())) == 10


def test_another_run_is_refused(tmp_path: Path) -> None:
    short = ToyConfig(BaseTrainConfig(steps=1))
    train(Toy(short), tmp_path, RUN)
    for other, named in (
        (Toy(ToyConfig(BaseTrainConfig(steps=1, seed=1))), "--seed: 0 -> 1"),
        (Toy(short, ("one", "another")), r"other photos \(2 differ, such as another\)"),
    ):
        with pytest.raises(CheckpointError, match=named):
            train(other, tmp_path, RUN)
