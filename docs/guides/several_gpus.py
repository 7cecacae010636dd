# %% [markdown]
# # Several GPUs
#
# This page was built without a GPU, with two processes on one CPU that talk through gloo. On GPUs the commands and the code are
# the same; torch then talks through NCCL.
#
# ## Training
#
# `torchrun` in front is all. `--batch-size` is that of all processes together, so that a run on eight GPUs learns as one on one
# does, only sooner; each process writes nothing but what the first one writes for all.

# %%
from _shell import photos, sh, write

photos("photos", "astronaut", "coffee")

# %% [shell]
sh("torchrun --standalone --nproc-per-node 2 -m huenet train --data photos --out run --preset small --size 32 --steps 4")

# %% [markdown]
# The same for `huenet translate train`. A run may go on with another number of processes. `batch-size` must be a multiple of
# it.
#
# ## Losses of your own
#
# The mean of two histograms' losses is not the loss of the joint histogram. Where a loss is of one image's histogram, nothing
# is to be done: DistributedDataParallel's mean is right. Where one histogram is made of the whole batch, join it:

# %% [file]
write(
    "joined.py",
    """\
import torch
import torch.distributed as dist
from huenet.distributed import all_reduce_histogram
from huenet.kernels import Bins, emd, soft_histogram

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
hue = Bins(32, boundary="circular")
everybody = torch.rand(2, 5000, generator=torch.manual_seed(0), dtype=torch.float64)
everybody[0] *= 0.5                                       # samples that lack half of the circle, and targets
x, target = (row[rank::size].clone().requires_grad_() for row in everybody)

def joined(samples):
    return all_reduce_histogram(soft_histogram(samples, hue), samples.numel())

loss = emd(joined(x), joined(target), circular=True)
loss.backward()

alone = everybody[0].clone().requires_grad_()
wanted = emd(soft_histogram(alone, hue), soft_histogram(everybody[1], hue), circular=True)
wanted.backward()
assert torch.allclose(loss, wanted, atol=1e-9) and torch.allclose(x.grad, alone.grad[rank::size], atol=1e-9)
own = emd(soft_histogram(x, hue), soft_histogram(target, hue), circular=True)
if rank == 0:
    print(f"{size} processes {loss.item():.9f}, one process {wanted.item():.9f}, own samples alone {own.item():.9f}")
dist.destroy_process_group()
""",
)

# %% [shell]
sh("torchrun --standalone --nproc-per-node 2 joined.py")

# %% [markdown]
# Values and gradients are those of one process that has all samples. One thing to choose: `gradients="mean"` where
# DistributedDataParallel divides them by the number of processes afterwards. [docs/distributed.md](../docs/distributed.md) says
# the rest: unequal shares, mutual information, what all processes must do alike.
#
# ## Metrics
#
# `huenet.metrics` sum their states over processes by themselves, with torchmetrics and without.
