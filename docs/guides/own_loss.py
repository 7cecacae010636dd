# %% [markdown]
# # A loss of your own in five minutes
#
# Say that an image's brightness should be spread as that of a reference, whatever is where; and that it should stay sharp enough
# to tell the source. Both are a line of the operators, and the rest is PyTorch.

# %%
import torch
from torch import nn

from huenet.kernels import Bins, histogram_emd, mutual_information, soft_histogram


class BrightnessLoss(nn.Module):
    """Images (B, 1, H, W) in [0, 1]: how far brightness is from the reference's, and how little it tells of the source."""

    def __init__(self, count: int = 64, content: float = 0.1) -> None:
        super().__init__()
        self.bins, self.content = Bins(count, boundary="reflect"), content

    def forward(self, output: torch.Tensor, reference: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        output, reference, source = (image.flatten(1) for image in (output, reference, source))
        spread = histogram_emd(output, soft_histogram(reference, self.bins), self.bins, circular=False)
        told = mutual_information(output, source, self.bins).relative
        return (spread - self.content * told).mean()


# %% [markdown]
# Samples are on the last dimension, hence `flatten(1)`: a histogram for each image. To try it, move a dark image's pixels directly:

# %%
generator = torch.manual_seed(0)
source = torch.rand(2, 1, 48, 48, generator=generator) * 0.3
reference = 0.5 + torch.rand(2, 1, 48, 48, generator=generator) * 0.4
output = source.clone().requires_grad_(True)
loss = BrightnessLoss()
optimizer = torch.optim.Adam([output], lr=0.02)
for step in range(61):
    optimizer.zero_grad()
    value = loss(output, reference, source)
    value.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {value.item():+.4f}, mean brightness {output.mean().item():.2f}")
assert output.mean() > 0.6 > 0.3 > source.mean()

# %% [markdown]
# The mean stops short of the reference's 0.7: the last term pulls against it. Their weights are yours to choose.
#
# ## Is the gradient right?
#
# Gradients are written by hand, and tested. Yours are checked as any: in float64, against differences.

# %%
small = torch.rand(1, 1, 4, 4, dtype=torch.float64, generator=generator).requires_grad_(True)
others = torch.rand(2, 1, 1, 4, 4, dtype=torch.float64, generator=generator)
print(torch.autograd.gradcheck(lambda image: loss(image, *others), small))
