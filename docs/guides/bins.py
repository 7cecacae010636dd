# %% [markdown]
# # Choosing bins, range, window, bandwidth and boundary
#
# A histogram loss is told by five choices. This page shows what each does, on samples that you can see through.
#
# | samples | range | boundary | to begin with |
# |---|---|---|---|
# | hue, or any angle | one turn, [0, 1) | `circular` | `Bins(256, boundary="circular")` |
# | images in [0, 1] | [0, 1] | `reflect` | `Bins(64, boundary="reflect")` |
# | images in [-1, 1] | [-1, 1] | `reflect` | `Bins(64, -1, 1, boundary="reflect")` |
# | CT, Hounsfield units | what you window to, such as -1000 to 2000 | `open`, clamped samples | `Bins(64, -1000, 2000)` |
# | MR, no units | the data's own | `reflect` | `Bins.of(x, 64, boundary="reflect")` |
# | to compare with the paper | [0, 1] | `open` | `Bins(256)` |

# %%
import matplotlib.pyplot as plt
import torch

from huenet.kernels import Bins, joint_histogram, mutual_information, soft_histogram

# %% [markdown]
# ## Window and bandwidth
#
# A sample counts in every bin that its window reaches. `bandwidth` is the window's width, in bins. What a single bin answers to a
# sample that moves past it:

# %%
x = torch.linspace(0, 1, 801, dtype=torch.float64)
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", num="Windows, and bandwidths of one of them")
for window in ("logistic", "gaussian", "triangular", "bspline", "box"):
    axes[0].plot(x * 8 - 4, soft_histogram(x[:, None], Bins(9, -1 / 16, 17 / 16, window=window))[:, 4], label=window)
for bandwidth in (0.1, 0.4, 1.0, 2.0):
    bins = Bins(9, -1 / 16, 17 / 16, bandwidth=bandwidth)
    axes[1].plot(x * 8 - 4, soft_histogram(x[:, None], bins)[:, 4], label=f"logistic, {bandwidth}")
for ax in axes:
    ax.set(xlabel="distance from the bin's centre, in bins", ylabel="response")
    ax.legend()

# %% [markdown]
# Wide windows smooth the histogram and reach farther: the gradient is not zero in bins that are still empty. Narrow ones tell more
# apart, and their gradients are steep and short. The price of overlap is that an image tells only a part of itself:

# %%
values = torch.rand(1, 20_000, generator=torch.manual_seed(0))
for bandwidth in (0.1, 0.4, 1.0):
    relative = mutual_information(values, values, Bins(64, bandwidth=bandwidth, boundary="reflect")).relative.item()
    print(f"bandwidth {bandwidth}: I/H of an image and itself is {relative:.2f}")

# %% [markdown]
# ## Boundary
#
# Samples at the ends of the range: `open` loses the part of the window that leaves, `reflect` folds it back, `circular` lets it
# in at the other end.

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 2.5), sharey=True, layout="constrained", num="One sample at 0.02, by boundary")
for ax, boundary in zip(axes, ("open", "reflect", "circular")):
    histogram = soft_histogram(torch.tensor([0.02]), Bins(10, bandwidth=1.0, boundary=boundary))
    ax.bar(torch.arange(10), histogram)
    ax.set(title=f"{boundary}: sums to {histogram.sum():.2f}", xlabel="bin")

# %% [markdown]
# A hue of 0.99 and one of 0.01 are neighbours only for `circular`.
#
# ## Number of bins
#
# For a distance between histograms, many bins cost nothing here: memory does not grow with them. For mutual information fewer are
# better, since from N samples about (K - 1)^2 / 2N nats are found by chance, as here between images that share nothing:

# %%
noise = torch.rand(2, 4096, generator=torch.manual_seed(0))
for count in (8, 16, 32, 64):
    chance = mutual_information(noise[0], noise[1], Bins(count, window="box")).information.item()
    print(f"{count} hard bins: {chance:.3f} nats, about {(count - 1) ** 2 / (2 * 4096):.3f}")

# %% [markdown]
# ## Range
#
# Outside an `open` range samples do not count at all, and get no gradient. Let the data say its range where it has no units; clamp
# where it has, and where what is outside is a class of its own, such as air.

# %%
scan = torch.rand(1, 1000, generator=torch.manual_seed(0)) * 900 + 100
print("over [0, 1]:", round(soft_histogram(scan, Bins(16)).sum().item(), 3))
print("its own range:", round(soft_histogram(scan, Bins.of(scan, 16, boundary="reflect")).sum().item(), 3))
assert joint_histogram(scan, scan, Bins.of(scan, 16)).shape == (1, 16, 16)
