# %% [markdown]
# # Train Hue-Net on your photos
#
# The model in the package has seen drawn pictures only. One that has learnt from photos like yours may paint them better. All
# it needs is a folder of them: no pairs, no labels, any sizes. Here the folder is cut out of four photos of scikit-image, and
# everything is small enough to run while this page is built; for real training leave out `--size 32 --steps 40`.

# %%
import csv

from _shell import FOLDER, photos, sh, show

photos("photos", "astronaut", "coffee", "chelsea", "rocket")
print(len(list((FOLDER / "photos").iterdir())), "photos")

# %% [markdown]
# ## Train
#
# `--preset small` is 64 x 64 pixels and a quarter of an hour on two CPU cores; without it, the default is for a GPU, at 128 x
# 128. `--hold-out` keeps photos for measuring, which are never learnt from: a tenth of what you have, 30 if you can.

# %% [shell]
sh("huenet train --data photos --out run --preset small --hold-out 6 --size 32 --steps 40")

# %% [markdown]
# Stop it whenever you like, with Ctrl-C or by pulling the plug: the same command goes on from the last checkpoint, and on a CPU
# ends with the same weights, bit for bit. Options that decide the result must be the same again; those that are not are named:

# %%
try:
    sh("huenet train --data photos --out run --preset small --hold-out 6 --size 32 --steps 40 --mi-weight 10")
except RuntimeError as error:
    print(str(error).splitlines()[-1])
else:
    raise AssertionError("expected a refusal")

# %% [markdown]
# ## Is it learning?
#
# `run/metrics.csv` has a row every ten steps, TensorBoard the same. `emd`, the distance of hues to the target's, should fall,
# and so should `mi`, one minus what the output shares with the source; they pull against each other. `discriminator` near 0 for
# long says that it wins, and near 1.4 (two times log 2) that it guesses. `run/samples` has pictures: sources, targets and
# outputs.

# %%
with open(FOLDER / "run" / "metrics.csv", newline="") as file:
    for row in csv.DictReader(file):
        print(*(f"{name} {float(row[name]):.3g}" for name in ("step", "emd", "mi", "discriminator")), sep="   ")

# %% [markdown]
# ## Measure
#
# On the photos held out, in pairs, with the paper's Table 1 and two methods that learn nothing for comparison. The page
# `report/index.html` has every pair, sortable. Forty steps at 32 x 32 are no measure of anything but that the command runs:

# %% [shell]
sh("huenet evaluate --checkpoint run/generator.safetensors --data photos --out report --pairs 8")

# %% [markdown]
# ## Paint
#
# At full size, whatever size it learnt at. In Python, `huenet.load("run/generator.safetensors")`.

# %% [shell]
sh("huenet transfer --checkpoint run/generator.safetensors photos/coffee-0.png photos/chelsea-0.png --out painted.png")

# %%
show("photos/coffee-0.png", "photos/chelsea-0.png", "painted.png", title="Source, target, painted after forty steps")

# %% [markdown]
# ## What to change
#
# | you see | try |
# |---|---|
# | outputs too near to the source | less `--mi-weight` (50 by default), more steps |
# | outputs that lose the source's shading | more `--mi-weight` |
# | patches within a petal | more `--smoothness-weight`; when painting, `--strength 0.6` |
# | few photos, and samples that stop changing | `--drawn 4000` in place of photos, as the model in the package |
# | it does not fit in memory | smaller `--batch-size` first, then `--size`, `--width` |
# | to repeat the paper | `--preset paper` and, for all its experiments, [docs/paper.md](../docs/paper.md) |
#
# Several GPUs: [their guide](several_gpus.md). Every option with its meaning: [`huenet train`](../commands/train.md).
