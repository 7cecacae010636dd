# %% [markdown]
# # One sample through every step
#
# The derivations are beside the code ([histogram](../kernels/soft_histogram/README.md), [distance](../kernels/emd/README.md),
# [information](../kernels/mutual_information/README.md)). Here one sample, x = 0.30, goes through them with four bins over [0,
# 1], the paper's logistic window, and numbers that you can follow with a pocket calculator. Each is then compared with the
# operator's.

# %%
import math

import torch

from huenet.kernels import Bins, emd, histogram_emd, soft_histogram, squared_emd

x, count, width = 0.30, 4, 0.4

# %% [markdown]
# **1. Its place**, in bin widths: t = (x - low) K / (high - low). Its distance from the centre of bin k is u = t - (k + 1/2).

# %%
t = x * count
distances = [t - (k + 0.5) for k in range(count)]
print(f"t = {t:.2f}; u = " + ", ".join(f"{u:+.2f}" for u in distances))


# %% [markdown]
# **2. Its response** in each bin (Eq. 3-6): the kernel's mass over the bin, a difference of two logistic curves,
# s((u + 1/2) / W) - s((u - 1/2) / W), with W = 0.4 bins.


# %%
def s(z: float) -> float:
    return 1 / (1 + math.exp(-z))


responses = [s((u + 0.5) / width) - s((u - 0.5) / width) for u in distances]
print("responses = " + ", ".join(f"{r:.4f}" for r in responses) + f"; their sum {sum(responses):.4f}")
histogram = soft_histogram(torch.tensor([x], dtype=torch.float64), Bins(count))
assert torch.allclose(histogram, torch.tensor(responses, dtype=torch.float64), atol=1e-9)

# %% [markdown]
# The sum is below 1: with an `open` boundary what reaches over the ends is lost. **3. The histogram** is the mean of the samples'
# responses (Eq. 5); of one sample, the responses themselves.
#
# **4. The distance** to a target histogram q, all of it in bin 2 (Eq. 12-13): differences, their cumulative sums, the sum of
# squares.

# %%
q = [0.0, 0.0, 1.0, 0.0]
cumulative, total = [], 0.0
for r, target in zip(responses, q):
    total += r - target
    cumulative.append(total)
squared = sum(c * c for c in cumulative)
print("cumulative = " + ", ".join(f"{c:+.4f}" for c in cumulative))
print(f"squared distance {squared:.4f}, RMS {math.sqrt(squared / count):.4f}")
target_histogram = torch.tensor(q, dtype=torch.float64)
assert math.isclose(squared_emd(histogram, target_histogram).item(), squared, abs_tol=1e-9)
assert math.isclose(emd(histogram, target_histogram).item(), math.sqrt(squared / count), abs_tol=1e-9)

# %% [markdown]
# **5. The gradient.** A response falls or rises with x by (s'((u + 1/2) / W) - s'((u - 1/2) / W)) K / W, and the squared distance
# with a bin by twice the sum of the cumulative differences from that bin on.

# %%
slopes = [
    (s(a) * (1 - s(a)) - s(b) * (1 - s(b))) * count / width for a, b in (((u + 0.5) / width, (u - 0.5) / width) for u in distances)
]
of_bins = [2 * sum(cumulative[k:]) for k in range(count)]
by_hand = sum(slope * g for slope, g in zip(slopes, of_bins))
sample = torch.tensor([x], dtype=torch.float64, requires_grad=True)
histogram_emd(sample, target_histogram, Bins(count), circular=False, squared=True).backward()
print(f"by hand {by_hand:+.4f}, by the operator {sample.grad.item():+.4f}")
assert math.isclose(by_hand, sample.grad.item(), abs_tol=1e-6)

# %% [markdown]
# It is negative: a larger x brings the distance down, towards bin 2.
