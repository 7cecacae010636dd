# %% [markdown]
# # Gallery
#
# Pictures that this repository's commands make, each with its command beneath. Those of photos are painted anew whenever this page
# is built, by the model in the package, which has seen drawn pictures only. Photos are scikit-image's: coffee by Rachel Michetti,
# cat (chelsea) by Stéfan van der Walt, both CC0; rocket by SpaceX; astronaut and hubble_deep_field by NASA, public domain.
#
# ## Painted photos
#
# Source, target, painted.

# %% [picture]
from _shell import photo, sh, show

PHOTOS = {name: photo(name) for name in ("coffee", "rocket", "chelsea", "astronaut", "hubble_deep_field")}
sh("huenet transfer coffee.png rocket.png --out cup-at-night.png")
show("coffee.png", "rocket.png", "cup-at-night.png", title="A cup of coffee with a night sky's colours")

# %% [picture]
sh("huenet transfer rocket.png coffee.png --out sky-of-coffee.png")
show("rocket.png", "coffee.png", "sky-of-coffee.png", title="The night sky with the coffee's colours")

# %% [picture]
sh("huenet transfer astronaut.png hubble_deep_field.png --out astronaut-of-stars.png")
show("astronaut.png", "hubble_deep_field.png", "astronaut-of-stars.png", title="An astronaut with far galaxies' colours")

# %% [markdown]
# It knows nothing of what things are: skin turns with the rest.
#
# ## How far hues turn

# %% [picture]
sh("huenet transfer coffee.png rocket.png --out a-third.png --strength 0.33")
sh("huenet transfer coffee.png rocket.png --out two-thirds.png --strength 0.67")
show(
    "coffee.png",
    "a-third.png",
    "two-thirds.png",
    "cup-at-night.png",
    title="Nothing, a third, two thirds, all of the way",
)

# %% [markdown]
# ## Saturation and value too
#
# By curves that are not trained, and beyond the paper.

# %% [picture]
sh("huenet transfer chelsea.png coffee.png --out hues.png")
sh("huenet transfer chelsea.png coffee.png --out saturation.png --also saturation")
sh("huenet transfer chelsea.png coffee.png --out both.png --also saturation value")
show("chelsea.png", "hues.png", "saturation.png", "both.png", title="A cat: hues, saturation too, value too")

# %% [markdown]
# ## As in the paper
#
# Of drawn flowers, painted by a model that has learnt from photos alone: [which, and how](../docs/paper.md#figures-2-3-and-6).
#
# ![Figure 2: source, target, output, their hue channels and hue histograms](../docs/figure2.png)
#
# ![Figure 3: joint histograms of the source's hue with the target's and with the output's](../docs/figure3.png)
#
# ![Figure 6: source, target, Hue-Net, without mutual information, Reinhard, hue histogram matching](../docs/figure6.png)
#
# ```sh
# make paper DATA="flower_color oxford102 cars"
# ```
#
# ## Pairs that ask too much
#
# Targets with little colour, with white petals, with many hues for one: source, target, and what two models make of them;
# [what is to be seen](../docs/model.md#what-it-does-with-pairs-that-ask-too-much).
#
# ![The first two pairs of each kind: source, target, before, after](../docs/hard_pairs.png)
#
# ```sh
# huenet demo --out runs/demo
# python -m bench hard-pairs --before runs/demo/generator.safetensors
# ```
#
# ## Speed
#
# ![Time against the number of bins](../bench/results/cpu/bins.png)
#
# ![The roofline](../bench/results/cpu/roofline.png)
#
# ```sh
# make bench
# ```
