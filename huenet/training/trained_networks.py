"""Networks and what trains them: optimisers, schedule, running averages, mixed precision, several processes, and their state."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from .checkpoint import CheckpointError, flatten, load_module, unflatten, with_prefix, without_prefix
from .config import BaseTrainConfig
from .distributed import World
from .parts import LOSSES, OPTIMISER, OTHER, begins, of_part

Output = TypeVar("Output")


class TrainedNetworks:
    """Networks by name, each with an Adam of its own.

        networks = TrainedNetworks({"generator": g, "discriminator": d}, rates, config.train, world, {"generator": "average"})
        networks.begin(step)
        output = networks.apply("generator", batch)
        networks.descend(loss(output), "generator")

    What is random in step s (dropout) is drawn from (seed, s, rank), as batches are: beside the tensors of `state` an exact resume
    needs only the number of the step.

    ``rates``: each network's learning rate, before schedule and warm-up. ``averages``: by network the name under which `state`
    keeps a running average of its weights, if ``settings.ema`` asks for one. Networks are moved to the device in place; gradients
    are averaged over all processes. With a compiler in ``world`` networks are compiled, each as one graph; what else a step
    computes may be `compiled`.

    The host never waits for the device here.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        rates: Mapping[str, float],
        settings: BaseTrainConfig,
        world: World,
        averages: Mapping[str, str],
    ) -> None:
        self.rates, self.settings, self.world = rates, settings, world
        computed_in = arithmetic(settings, world.device)
        self.dtype = torch.float64 if computed_in == torch.float64 else torch.float32
        self.half = computed_in == torch.bfloat16
        self.networks = {name: self._place(network) for name, network in networks.items()}
        self.average_names = averages if settings.ema else {}
        self.averages = {name: RunningAverage(self.networks[name]) for name in self.average_names}
        betas = settings.beta1, settings.beta2
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), betas=betas, fused=True) for name, network in self.networks.items()
        }
        for network in self.networks.values():
            if world.compiler is not None:
                network.compile(**_how(world))  # in place: names in its state stay as they are
        self.parallel = {name: world.wrap(network) for name, network in self.networks.items()}

    def begin(self, step: int) -> None:
        """Set what depends on the step: the random seed, the learning rates, and the decay of the running averages."""
        settings = self.settings
        if self.world.compiler is not None:
            torch.compiler.cudagraph_mark_step_begin()  # results of the last step may be overwritten
        self._seed(step_seed(settings.seed, step, self.world.rank))
        factor = min(1.0, (step + 1) / (settings.warmup + 1))
        if settings.schedule == "cosine":
            factor *= 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        elif settings.schedule == "linear":
            factor *= min(1.0, 2 * (1 - step / settings.steps))
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * factor
        # At first the average forgets faster, or it would remember the random beginning for long.
        self.decay = min(settings.ema, (step + 1) / (step + 6))

    def apply(self, name: str, *inputs: Any, learns: bool = True, **options: Any) -> Any:
        """What a network makes of its inputs, in bfloat16 if that is the precision. ``learns``: a backward pass through this one is
        for the network; else it is for the inputs alone."""
        network = self.parallel[name] if learns else self.networks[name]
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.half):
            return of_part(name, network)(*inputs, **options)

    def compiled(self, function: Callable[..., Output], part: str = OTHER) -> Callable[..., Output]:
        """The function as a part of the step, compiled as one graph if ``world`` has a compiler. Neither backward passes nor steps
        may lie in it."""
        return of_part(part, function if self.world.compiler is None else torch.compile(function, **_how(self.world)))

    def descend(self, loss: Tensor, *names: str) -> None:
        """One step of the networks called ``names`` down the gradient of a scalar; their running averages follow."""
        begins(OPTIMISER)
        for name in names:
            self.optimizers[name].zero_grad()
        begins(LOSSES)
        loss.backward()
        begins(OPTIMISER)
        for name in names:
            self.optimizers[name].step()
            if name in self.averages:
                self.averages[name].follow(self.networks[name], self.decay)
        begins(OTHER)

    def weights(self, name: str) -> dict[str, Tensor]:
        """A network's state dictionary to use it with: of its running average, if there is one."""
        return (self.averages[name].module if name in self.averages else self.networks[name]).state_dict()

    def state(self) -> dict[str, Tensor]:
        """Everything a step changes, as named tensors."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= with_prefix(name, network.state_dict())
            tensors |= with_prefix(f"{name}_optimizer", flatten(self.optimizers[name].state_dict()["state"]))
        for name, average in self.averages.items():
            tensors |= with_prefix(self.average_names[name], average.state_dict())
        return tensors

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""
        for name, network in self.networks.items():
            load_module(path, network, without_prefix(name, tensors))
            optimizer = self.optimizers[name]
            moments = self._moments(path, name, tensors)
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        for name, average in self.averages.items():
            load_module(path, average, without_prefix(self.average_names[name], tensors))
            average.begun = bool(average.n_averaged)

    def _moments(self, path: Path, name: str, tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """Adam's state of a network. What it divides by and takes the root of must be as a step leaves it."""
        try:
            moments = unflatten(without_prefix(f"{name}_optimizer", tensors))
        except ValueError as error:
            raise CheckpointError(f"{path} has another optimiser's state: {error}") from error
        found = [{key: (value.shape, value.dtype) for key, value in entry.items()} for _, entry in sorted(moments.items())]
        wanted = [
            {"step": ((), torch.float32), "exp_avg": (one.shape, one.dtype), "exp_avg_sq": (one.shape, one.dtype)}
            for one in self.networks[name].parameters()
        ]
        if found != wanted:
            raise CheckpointError(f"{path} lacks the state of the {name}'s optimiser")
        if any((entry[key] < 0).any() for entry in moments.values() for key in ("step", "exp_avg_sq")):
            raise CheckpointError(f"{path} has a damaged state of the {name}'s optimiser: it is negative")
        return moments

    def _seed(self, seed: int) -> None:
        """Of all that torch draws on the device. For a CPU not by `torch.manual_seed`, which takes half a millisecond to leave word
        with devices that are not there."""
        torch.default_generator.manual_seed(seed)
        if self.world.device.type != "cpu":
            torch.manual_seed(seed)

    def _place(self, network: nn.Module) -> nn.Module:
        network.to(self.world.device, self.dtype)
        # Convolutions on tensor cores read channels last; on a CPU it gains nothing.
        return network.to(memory_format=torch.channels_last) if self.world.device.type == "cuda" else network


class RunningAverage(AveragedModel):
    """torch's, which all of a network's numbers join in one call, and which keeps on the host whether it has begun: torch's own
    update asks the device each time."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, use_buffers=True)
        self.begun = False

    @torch.no_grad()
    def follow(self, network: nn.Module, decay: float) -> None:
        """``decay`` of the average and the rest of the network as it is now; what are no fractions, such as counts, as they are."""
        pairs = list(zip(_numbers(self.module), _numbers(network), strict=True))
        fractions = [pair for pair in pairs if pair[0].is_floating_point()] if self.begun else []
        if fractions:
            torch._foreach_lerp_(*map(list, zip(*fractions)), 1 - decay)
        if len(fractions) < len(pairs):
            copied = [pair for pair in pairs if not (self.begun and pair[0].is_floating_point())]
            torch._foreach_copy_(*map(list, zip(*copied)))
        self.begun = True
        self.n_averaged += 1


def arithmetic(settings: BaseTrainConfig, device: torch.device) -> torch.dtype:
    """What networks compute in."""
    automatic = "bfloat16" if device.type == "cuda" else "float32"
    return getattr(torch, automatic if settings.precision == "auto" else settings.precision)


def _numbers(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _how(world: World) -> dict[str, Any]:
    """Options of ``torch.compile``: a graph break is an error; on a GPU, where launches take time, graphs are replayed."""
    replayed = world.compiler == "inductor" and world.device.type == "cuda"
    return {"fullgraph": True, "dynamic": False, "backend": world.compiler, "mode": "reduce-overhead" if replayed else None}


def step_seed(*key: int) -> int:
    """A seed for torch that is a function of the key: the run's seed, the step, and the rank where ranks should differ."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
