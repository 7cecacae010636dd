# %% [markdown]
# # Mutual information for registration
#
# Two images of one thing by different devices do not agree in brightness, but one tells the other. Mutual information is largest
# where they lie on each other, so it can be climbed. Here the second image is the first's negative, bent, and moved.

# %%
import torch
from torch.nn import functional as F

from huenet.kernels import Bins, mutual_information

rows, columns = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
blobs = sum(torch.exp(-((rows - a) ** 2 + (columns - b) ** 2) / 0.05) for a, b in ((-0.4, 0.1), (0.3, -0.3), (0.2, 0.5)))
fixed = (blobs / blobs.max())[None, None]


def moved(image: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """An image translated by a shift (x, y) in halves of its side."""
    theta = torch.cat([torch.eye(2), shift[:, None]], 1)[None]
    return F.grid_sample(image, F.affine_grid(theta, image.shape, align_corners=False), align_corners=False, padding_mode="border")


true = torch.tensor([0.15, -0.1])
moving = moved(1 - fixed.sqrt(), true)

# %% [markdown]
# Few bins and wide windows make the hill wide enough to climb. `reflect` keeps values at the ends whole, and values at the range's
# very ends are what backgrounds are made of.

# %%
bins = Bins(32, boundary="reflect", bandwidth=1.0)
shift = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.Adam([shift], lr=0.01)
for step in range(81):
    optimizer.zero_grad()
    information = mutual_information(moved(moving, shift).flatten(), fixed.flatten(), bins).information
    (-information).backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: {information.item():.3f} nats, shift {shift[0].item():+.3f}, {shift[1].item():+.3f}")
assert torch.allclose(shift, -true, atol=2 / 64)  # a pixel is 2/64 of the side from -1 to 1

# %% [markdown]
# - Start at a low resolution: pool both images, register, go on from there with larger ones.
# - Mask what has no counterpart: `weights` takes a boolean mask.
# - Brightness that maps differently here and there: `local_mutual_information`.
# - Coming from MONAI, VoxelMorph or kornia: [keep the call, change the import](../docs/compat.md).
