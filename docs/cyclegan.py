"""A plain CycleGAN training step with huenet's three losses for any translation network, and what each adds in time and memory.

    python -m docs.cyclegan                             # from a checkout: one step, then the table of docs/cyclegan.md
    python -m docs.cyclegan --size 128 --rounds 3

The step is the published one (Zhu et al. 2017, Eq. 3 with the identity term), on images in [-1, 1]. What the losses change is
marked ``# +``: copy these lines into your own.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import l1_loss
from tqdm import tqdm

from bench import machine, memory, naive
from huenet.kernels.squared_mutual_information.reference import published
from huenet.losses import ContextualLoss, HarmonicLoss, Patches, StructureConsistencyLoss  # +
from huenet.networks import PatchDiscriminator, ResNet  # stand for your networks

Loss = Callable[[Tensor, Tensor], Tensor]
STRIDE = 4
"""Pixels between the patches of the contextual loss: 3,969 of them at 256 x 256."""

structure = StructureConsistencyLoss()  # +
smooth = HarmonicLoss(low=-1)  # +
contextual = ContextualLoss(Patches(size=5, stride=STRIDE))  # +


class CycleGAN:
    """Generators G (A to B) and F (B to A), their discriminators, and a training step."""

    def __init__(self, width: int = 64, blocks: int = 9) -> None:
        self.G, self.F = (ResNet(3, 3, width=width, blocks=blocks) for _ in "GF")
        self.D_A, self.D_B = (PatchDiscriminator(3, width=width, norm="instance") for _ in "AB")
        adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
        self.generators = adam([*self.G.parameters(), *self.F.parameters()])
        self.discriminators = adam([*self.D_A.parameters(), *self.D_B.parameters()])

    def step(
        self,
        a: Tensor,
        b: Tensor,
        structure: Loss | None = structure,  # +
        smooth: Loss | None = smooth,  # +
        contextual: Loss | None = contextual,  # +
    ) -> Tensor:
        """One step on images (B, 3, H, W) in [-1, 1]; returns the generators' loss. A loss of None is left out."""
        fake_b, fake_a = self.G(a).tanh(), self.F(b).tanh()
        back_a, back_b = self.F(fake_b).tanh(), self.G(fake_a).tanh()
        loss = (self.D_B(fake_b) - 1).square().mean() + (self.D_A(fake_a) - 1).square().mean()
        loss = loss + 10 * (l1_loss(back_a, a) + l1_loss(back_b, b))
        loss = loss + 5 * (l1_loss(self.G(b).tanh(), b) + l1_loss(self.F(a).tanh(), a))
        if structure is not None:  # +
            loss = loss + 5 * (structure(a, fake_b) + structure(b, fake_a))  # +
        if smooth is not None:  # +
            loss = loss + smooth(a, fake_b) + smooth(fake_b, back_a) + smooth(b, fake_a) + smooth(fake_a, back_b)  # +
        if contextual is not None:  # +
            loss = loss + 0.1 * (contextual(fake_b, b) + contextual(fake_a, a))  # +
        self.generators.zero_grad()
        loss.backward()
        self.generators.step()

        judged = sum(
            (D(real) - 1).square().mean() + D(fake.detach()).square().mean()
            for D, real, fake in ((self.D_A, a, fake_a), (self.D_B, b, fake_b))
        )
        self.discriminators.zero_grad()
        (judged / 2).backward()
        self.discriminators.step()
        return loss.detach()


# The rest measures. The same losses as one writes them down from their papers, in plain PyTorch:


def naive_structure(source: Tensor, translated: Tensor) -> Tensor:
    """SCC's published code, written out: 81 kernels of every value, and a system of 81 equations for every image."""
    return -published(source.flatten(1), translated.flatten(1)).mean()


def naive_smooth(source: Tensor, translated: Tensor) -> Tensor:
    """HarmonicGAN's L_Smooth: all pairs of patches, by soft histograms. There is no published code."""
    side, bins = 8, 16
    features, outputs = (
        naive.patch_histogram((image + 1) / 2, bins, side, side) / (side**2 * image.shape[1]) for image in (source, translated)
    )
    return naive.harmonic_energy(features, outputs, smooth.sigma).mean()


def naive_contextual(output: Tensor, target: Tensor) -> Tensor:
    """Mechrez et al. 2018, Eq. 1-5: the distances of all points to all."""
    points = (torch.nn.functional.unfold(image, 5, stride=STRIDE).mT for image in (output, target))
    return -naive.contextual_similarity(*points).log().mean()


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "structure": (structure, naive_structure),
    "smooth": (smooth, naive_smooth),
    "contextual": (contextual, naive_contextual),
}
"""By the step's argument: huenet's, and the same from its paper."""
NONE = dict.fromkeys(LOSSES)


def measure(size: int, width: int, blocks: int, rounds: int) -> dict[str, tuple[float, float, float]]:
    """What each loss adds to a step: by name, in seconds, the times of a step, and in bytes of its peak.

    Steps of all kinds take turns, and the median is of differences within a turn, so that all see the same moments of a busy
    machine. The peak of a step is compared with the plain step's.
    """
    torch.manual_seed(0)
    model, pictures = CycleGAN(width, blocks), torch.rand(2, 1, 3, size // 8, size // 8)
    a, b = (torch.nn.functional.interpolate(2 * picture - 1, size, mode="bilinear") for picture in pictures)
    kinds: dict[str, dict[str, Loss | None]] = {"plain": NONE}
    for name, (ours, theirs) in LOSSES.items():
        kinds |= {f"{name}, huenet": {**NONE, name: ours}, f"{name}, naive": {**NONE, name: theirs}}
    kinds |= {"all, huenet": {name: ours for name, (ours, _) in LOSSES.items()}}
    kinds |= {"all, naive": {name: theirs for name, (_, theirs) in LOSSES.items()}}
    peaks, seconds = {}, {kind: [] for kind in kinds}
    for kind, losses in kinds.items():
        model.step(a, b, **losses)  # what is made once
        peaks[kind] = memory.with_peak(lambda: model.step(a, b, **losses))[1]  # noqa: B023, called at once
    for _ in tqdm(range(rounds), "rounds", disable=None):
        for kind, losses in kinds.items():
            started = time.perf_counter()
            model.step(a, b, **losses)
            seconds[kind].append(time.perf_counter() - started)
    plain = statistics.median(seconds["plain"])
    added = {kind: statistics.median(one - base for one, base in zip(times, seconds["plain"])) for kind, times in seconds.items()}
    unknown = float("nan")  # where the system does not tell
    return {
        kind: (added[kind], added[kind] / plain, unknown if peaks[kind] is None else peaks[kind] - peaks["plain"])
        if kind != "plain"
        else (plain, 1.0, unknown if peaks[kind] is None else peaks[kind])
        for kind in kinds
    }


def table(measured: dict[str, tuple[float, float, float]]) -> str:
    """Markdown."""
    lines = ["| | adds, ms | of the plain step | adds to its peak, MB |", "|---|---:|---:|---:|"]
    for kind, (added, share, peak) in measured.items():
        lines.append(f"| {kind} | {added * 1e3:.0f} | {share:.0%} | {peak / 1e6:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.cyclegan", description=__doc__.splitlines()[0])
    for name, default, what in (
        ("size", 256, "side of the images in pixels, 64 or more"),
        ("width", 16, "channels of the networks' first layers"),
        ("blocks", 4, "residual blocks of the generators"),
        ("rounds", 7, "steps of each kind"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} ({default})")
    options = vars(parser.parse_args())
    least = {"size": 64, "width": 1, "blocks": 0, "rounds": 1}
    for name, value in options.items():
        if value < least[name]:
            parser.error(f"--{name} must be at least {least[name]}, got {value}")
    host, commit = machine.describe("cpu", torch.get_num_threads()), machine.commit()
    print(table(measure(**options)))
    changed = " with changes" * bool(commit["dirty"])
    print(f"\n{host['name']}, {host['threads']} thread(s), torch {torch.__version__}, commit {str(commit['commit'])[:7]}{changed}")
    print(", ".join(f"{name} {value}" for name, value in options.items()))


if __name__ == "__main__":
    main()
