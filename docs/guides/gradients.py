# %% [markdown]
# # Gradients: what a loss of histograms pulls at
#
# A loss of histograms moves pixels along the axis of their values, and only where its gradient is not zero. This page draws it, for
# samples that you can see through; how the gradients are computed stands in
# [the derivations](../kernels/soft_histogram/README.md), and [one sample](worked_sample.md) is followed by numbers.

# %%
import matplotlib.pyplot as plt
import torch

from huenet.kernels import Bins, emd, histogram_emd, joint_histogram, mutual_information, soft_histogram

axis = torch.linspace(0, 1, 1001, dtype=torch.float64)


def slope(samples: torch.Tensor, value) -> torch.Tensor:
    """The derivative, by each sample alone, of what ``value`` makes of samples (N, 1)."""
    samples = samples[:, None].clone().requires_grad_()
    value(samples).sum().backward()
    return samples.grad[:, 0]


# %% [markdown]
# ## One bin
#
# How fast a bin fills as a sample moves past: the derivative of its response. Windows with a corner (`triangular`) have a gradient
# that jumps, those that end (`triangular`, `bspline`) have none beyond; hard bins (`box`) have none at all. Narrow windows pull
# hard and not far, wide ones gently and from afar.

# %%
figure, axes = plt.subplots(
    1, 2, figsize=(9, 3), sharey=True, layout="constrained", num="A bin's derivative, by window and bandwidth"
)
bins = {"window": {name: {"window": name} for name in ("logistic", "gaussian", "triangular", "bspline", "box")}}
bins["bandwidth"] = {f"logistic, {width}": {"bandwidth": width} for width in (0.2, 0.4, 1.0, 2.0)}
for ax, settings in zip(axes, bins.values()):
    for label, options in settings.items():
        pull = slope(axis, lambda x, given=options: soft_histogram(x, Bins(9, -1 / 16, 17 / 16, **given))[:, 4])
        ax.plot(axis * 8 - 4, pull / 8, label=label)
    ax.set(xlabel="distance from the bin's centre, in bins", ylabel="d response / dx, a bin")
    ax.legend()

# %% [markdown]
# Boundaries change it at the ends of the range. Here is the first bin of ten: with `open` a sample at the end is pushed out, with
# `reflect` its own mirror image holds it, so that its gradient is zero at the very end; with `circular` the bin is felt from the
# other end too.

# %%
figure, axes = plt.subplots(
    1, 3, figsize=(9, 2.6), sharey=True, layout="constrained", num="The first bin's derivative, by boundary"
)
for ax, boundary in zip(axes, ("open", "reflect", "circular")):
    pull = slope(axis, lambda x, ends=boundary: soft_histogram(x, Bins(10, bandwidth=1.0, boundary=ends))[:, 0])
    ax.plot(axis, pull / 10)
    ax.axhline(0, color="0.7", linewidth=0.8)
    ax.set(title=boundary, xlabel="sample")
axes[0].set_ylabel("d response / dx, a bin")

# %% [markdown]
# ## A distance
#
# Two crowds of values on a background, around 0.3 and around 0.7, and what descent does to each sample of the first: minus its
# gradient, times the number of samples. Order 1 pulls by the sign of what is missing: alike everywhere, also at the ends of the
# line, where next to nothing is. Order 2, the paper's, pulls by how much is missing: between the crowds. On a circle the background
# on the far side goes the other way round, as that is shorter.

# %%
generator = torch.Generator().manual_seed(0)
crowd = 0.06 * torch.randn(1600, generator=generator, dtype=torch.float64)
background = torch.rand(2, 400, generator=generator, dtype=torch.float64)
x, wanted = torch.cat([crowd + 0.3, background[0]]).sort().values, torch.cat([crowd + 0.7, background[1]])
line, circle = Bins(32, boundary="reflect"), Bins(32, boundary="circular")
choices = {
    "line, order 2": lambda x: histogram_emd(x, soft_histogram(wanted, line), line, circular=False),
    "line, order 1": lambda x: emd(soft_histogram(x, line), soft_histogram(wanted, line), order=1),
    "circle, order 2": lambda x: histogram_emd(x, soft_histogram(wanted, circle), circle),
    "circle, order 1": lambda x: emd(soft_histogram(x, circle), soft_histogram(wanted, circle), circular=True, order=1),
}
figure, axes = plt.subplots(
    2, 1, figsize=(8, 4.5), sharex=True, layout="constrained", num="What moves samples to a target, by distance"
)
axes[0].plot((torch.arange(32) + 0.5) / 32, soft_histogram(x, line), label="samples")
axes[0].plot((torch.arange(32) + 0.5) / 32, soft_histogram(wanted, line), label="target")
for name, distance in choices.items():
    samples = x.clone().requires_grad_()
    distance(samples).backward()
    axes[1].plot(x, -len(x) * samples.grad, label=name)
axes[1].axhline(0, color="0.7", linewidth=0.8)
axes[0].set_ylabel("histograms")
axes[1].set(xlabel="sample", ylabel="pull")
for ax in axes:
    ax.legend()

# %% [markdown]
# The wiggles are bins: within one, a sample's place is only as well known as its responses tell. Wider windows make them smaller.
# Where histograms are equal the gradient is 0, though the root has a corner there.
#
# ## Joint histograms
#
# Of an image and what another device makes of it: a curve with noise. Soft bins blur the curve by the window, and mutual
# information, which asks how narrow the curve is, falls with it.

# %%
x = torch.rand(3000, generator=generator, dtype=torch.float64)
y = 0.15 + 0.7 * (2 * x - 1).square() + 0.05 * torch.randn(3000, generator=generator, dtype=torch.float64)
kinds = {"box": Bins(24, window="box"), "logistic, 0.4": Bins(24), "logistic, 1.5": Bins(24, bandwidth=1.5)}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained", num="Hard bins, soft bins, and wide ones")
for ax, (name, given) in zip(axes, kinds.items()):
    information = mutual_information(x, y, given).information
    ax.imshow(joint_histogram(x, y, given).T, origin="lower", extent=(0, 1, 0, 1), cmap="Greys")
    ax.set(title=f"{name}: {information:.2f} nats", xlabel="x")
axes[0].set_ylabel("y")

# %% [markdown]
# ## Mutual information
#
# Each arrow is what one sample's y gains by moving. Here it is to make more use of the range, down in the middle and up at the
# sides, so that bins of y tell more bins of x apart.

# %%
bins = Bins(24, boundary="reflect", bandwidth=1.0)
moving = y.clone().clamp(0, 1).requires_grad_()
mutual_information(x, moving, bins).information.backward()
pull = moving.grad * len(x)
some = torch.arange(0, 3000, 12)
plt.figure(figsize=(5, 4.2), layout="constrained", num="Where mutual information moves the samples of y")
plt.imshow(joint_histogram(x, moving.detach(), bins).T, origin="lower", extent=(0, 1, 0, 1), cmap="Greys", alpha=0.6)
plt.quiver(x[some], moving.detach()[some], 0 * some, pull[some], angles="xy", scale=25, width=0.004, color="C3")
plt.xlabel("x")
plt.ylabel("y")

# %% [markdown]
# Mutual information does not know what y should be, only that it should tell of x: a loss of content needs one of colour beside it,
# as Hue-Net has.
