"""How unpaired translation learns: its generators and discriminators, its terms, and one step of all."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data.photos import seeded_generator
from ..losses.contextual import FeatureMaps
from ..training.checkpoint import with_prefix, without_prefix
from ..training.distributed import World
from ..training.parts import LOSSES
from ..training.trained_networks import TrainedNetworks
from .config import Config, ModelConfig
from .networks import Discriminators, Generators, Translated, source_of, target_of, to_networks, turns
from .pool import ImagePool
from .terms import Terms

POOL_KEY = 2
"""Beside those of the two streams of photos."""


class TranslationGAN:
    """The networks of a configuration whose channels are known, and how a batch of A and one of B change them."""

    def __init__(
        self,
        config: Config,
        model: ModelConfig,
        world: World,
        contextual_features: Callable[[Tensor], FeatureMaps] | None = None,
        harmonic_features: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.config, self.model_config, self.world, train = config, model, world, config.train
        torch.manual_seed(train.seed)  # the same weights in every process
        self.turns = turns(config.loss)
        networks: dict[str, nn.Module] = {"generators": Generators(model)}
        if config.loss.adversarial_weight:
            networks["discriminators"] = Discriminators(model, self.turns is not None)
        self.generators, self.discriminators = networks["generators"], networks.get("discriminators")
        rates = {"generators": train.learning_rate, "discriminators": train.discriminator_learning_rate or train.learning_rate}
        self.networks = TrainedNetworks(networks, rates, train, world, averages={"generators": "average"})
        self.terms = Terms(config.loss, contextual_features, harmonic_features).to(world.device, self.networks.dtype)
        self._prepared = self.networks.compiled(self._to_networks)
        self._losses = self.networks.compiled(self._losses_of_generators, LOSSES)
        self._discriminators_loss = self.networks.compiled(self._loss_of_discriminators, LOSSES)
        self.pools = self._pools() if self.discriminators is not None and train.pool_size else {}

    def step(self, step: int, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """One step of the discriminators, then one of the generators, on this process's batches (B, C, S, S) in [0, 1].

        Returns this process's losses, scalars: the weighted total, each computed term, and the discriminators' (if there are any).
        """
        networks, loss = self.networks, self.config.loss
        networks.begin(step)
        images = self._prepared(a, b)
        both = len(self.model_config.trained) == 2
        wanted = {
            "back": bool(loss.cycle_weight or loss.harmonic_weight) and both,
            "same": bool(loss.identity_weight),
            "turn": None if self.turns is None else self.turns[0],
        }
        found = networks.apply("generators", images["a"], images["b"], **wanted)
        made = {direction: Translated(**parts) for direction, parts in found.items()}
        judged, logits = {}, {}
        if self.discriminators is not None:
            fakes = _fakes(made)
            judged = self._step_discriminators(step, images, fakes)
            logits = networks.apply("discriminators", {name: [fake] for name, fake in fakes.items()}, learns=False)
        terms = self._losses(images, made, logits)
        networks.descend(terms["total"], "generators")
        return {name: value.detach() for name, value in (terms | judged).items()}

    def _to_networks(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        dtype = self.networks.dtype
        return {"a": to_networks(a.to(dtype)), "b": to_networks(b.to(dtype))}

    def _losses_of_generators(
        self, images: dict[str, Tensor], made: dict[str, Translated], logits: dict[str, list[Tensor]]
    ) -> dict[str, Tensor]:
        """The weighted total, and each term."""
        terms: dict[str, Tensor] = {}
        for direction, some in made.items():
            side = target_of(direction)
            about = [logits[name][0] for name in (side, f"{side}_turned") if name in logits]
            for name, value in self.terms(images[source_of(direction)], images[side], some, about).items():
                terms[name] = terms[name] + value if name in terms else value
        return {"total": sum(getattr(self.config.loss, f"{name}_weight") * value for name, value in terms.items()), **terms}

    def model(self) -> Generators:
        """A float32 copy of the generators as they would translate now, in eval mode: of the running average, if there is one."""
        model = Generators(self.model_config).to(self.world.device)
        model.load_state_dict(self.networks.weights("generators"))
        return model.eval()

    def state(self) -> dict[str, Tensor]:
        """Everything a step changes, as named tensors."""
        tensors = self.networks.state()
        for name, pool in self.pools.items():
            tensors |= with_prefix(f"pool_{name}", pool.state())
        return tensors

    def load_state(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`. Raises `CheckpointError` naming ``path`` if the tensors do not fit."""
        self.networks.load_state(path, tensors)
        for name, pool in self.pools.items():
            pool.load_state(path, without_prefix(f"pool_{name}", tensors))

    def _step_discriminators(self, step: int, images: dict[str, Tensor], fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns their loss."""
        shown = {name: [self._real(images, name), self._pooled(step, name, fake.detach())] for name, fake in fakes.items()}
        self.discriminators.requires_grad_(True)
        loss = self._discriminators_loss(self.networks.apply("discriminators", shown))
        self.networks.descend(loss, "discriminators")
        # The generators' step needs gradients through the discriminators, not of them.
        self.discriminators.requires_grad_(False)
        return {"discriminator": loss}

    def _loss_of_discriminators(self, judged: dict[str, list[Tensor]]) -> Tensor:
        return sum(self.terms.adversarial.discriminator(*logits) for logits in judged.values())

    def _real(self, images: dict[str, Tensor], name: str) -> Tensor:
        """What the discriminator of this name is to take for real."""
        real = images[name[0]]
        return self.turns[0](real) if name.endswith("_turned") else real

    def _pooled(self, step: int, name: str, fake: Tensor) -> Tensor:
        """This process's share of what the pool shows for the joint batch, so that any number of processes sees the same."""
        if name not in self.pools:
            return fake
        rng = seeded_generator(self.config.train.seed, POOL_KEY, step, list(self.pools).index(name))
        return self.pools[name].exchange(self.world.gather(fake), rng).chunk(self.world.size)[self.world.rank]

    def _pools(self) -> dict[str, ImagePool]:
        size = self.model_config.size
        channels = {"a": self.model_config.channels_a, "b": self.model_config.channels_b}
        about = self.networks.dtype, self.world.device
        return {
            name: ImagePool(self.config.train.pool_size, (channels[name[0]], size, size), *about)
            for name in self.discriminators.names
        }


def _fakes(made: dict[str, Translated]) -> dict[str, Tensor]:
    """Translations by the names of the discriminators that judge them."""
    fakes = {}
    for direction, some in made.items():
        fakes[target_of(direction)] = some.output
        if some.turned is not None:
            fakes[f"{target_of(direction)}_turned"] = some.turned
    return fakes
