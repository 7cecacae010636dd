# %% [markdown]
# # Unpaired translation that keeps structure
#
# Two folders of pictures that are no pairs, and a network that carries one kind into the other. Adversarial and cycle losses
# alone are content with any output that looks like the target: a translated eight may be a three. A term that ties the output
# to its input keeps it. Here cats become coffee cups and back, on squares of two photos and for so few steps that nothing can
# come of it but the way to do it.

# %%
import csv

import torch
from _shell import FOLDER, photos, sh, show

from huenet.losses import HarmonicLoss, StructureConsistencyLoss

photos("cats", "chelsea", count=6)
photos("cups", "coffee", count=6)

# %% [markdown]
# ## Train
#
# CycleGAN, with structure consistency (SCC) of weight 5. `--preset small` is 64 x 64 for two CPU cores; without it the settings
# are CycleGAN's own, for a GPU. Leave out `--size 32 --steps 8` in earnest.

# %% [shell]
sh("huenet translate train --a cats --b cups --out run --preset small --structure-weight 5 --size 32 --steps 8 --log-every 4")

# %% [markdown]
# Which term for what:
#
# | option | keeps | when |
# |---|---|---|
# | `--structure-weight` | that values of the output depend on the input's, pixel by pixel | colours may change freely, shapes not |
# | `--mi-weight` | the same by mutual information of each channel | modalities: MR to CT, day to night |
# | `--harmonic-weight` | that patches which look alike stay alike | textures, large areas |
# | `--contextual-weight` | that every patch of the target is found somewhere in the output | style, targets that are near |
# | `--geometry-weight` | that turning and translating can change places | `--method gcgan-rot`, `gcgan-vf` |
#
# ## Choose the weight
#
# Watch two columns of `run/metrics.csv`: `structure`, which begins near 0 and should leave it within some hundred steps, and
# `discriminator`. Structure still near 0: more weight. Discriminator near 0 and outputs that look like their inputs: less.
# SCC's authors take 0.5 for fine structure and 5 for large flat areas; [digits](../docs/digits.md#the-weight) tells how it was
# found there.

# %%
with open(FOLDER / "run" / "metrics.csv", newline="") as file:
    for row in csv.DictReader(file):
        print(*(f"{name} {float(row[name]):+.3f}" for name in ("cycle", "structure", "discriminator")), sep="   ")

# %% [markdown]
# ## Translate
#
# One photo or a folder, at any size, in either direction. In Python, `huenet.load("run/translator.safetensors")(photo)`.

# %% [shell]
sh("huenet translate apply --checkpoint run/translator.safetensors cats --out translated")
sh("huenet translate apply --checkpoint run/translator.safetensors cups --out back --direction b-to-a")

# %%
show(
    "cats/chelsea-0.png",
    "translated/chelsea-0.png",
    "cups/coffee-0.png",
    "back/coffee-0.png",
    title="After eight steps",
)

# %% [markdown]
# ## In a trainer of your own
#
# The terms are modules on images (B, C, H, W); in a CycleGAN of yours [they are six lines](../docs/cyclegan.md).

# %%
source = torch.rand(2, 3, 64, 64, generator=torch.manual_seed(0)) * 2 - 1  # images in [-1, 1]
output = (0.8 * source).requires_grad_(True)
loss = 5 * StructureConsistencyLoss()(source, output) + HarmonicLoss(low=-1)(source, output)
loss.backward()
print(f"{loss.item():.3f}")

# %% [markdown]
# Every term, method and preset with its source: [docs/translation.md](../docs/translation.md). What was measured: [aerial
# photos to maps](../docs/maps.md), [digits](../docs/digits.md).
