"""Whose number is it? What docs/site/api.toml says of other libraries' results, computed by these libraries.

Tolerances: where both compute in float64, 1e-12 times what sums of some hundred terms of order one leave, 1e-10; FLOAT32 where the
other library computes in float32, or reads samples so.
"""

from __future__ import annotations

import colorsys
import itertools
import math
import re
import tomllib
from typing import Any

import numpy
import pytest
import scipy.spatial
import scipy.stats
import torch
from torch import Tensor
from torch.nn import functional as F

from docs.site import names
from docs.site.api import MORE
from huenet import color, kernels, losses, metrics
from huenet.kernels import Bins
from tests.paths import REPOSITORY

EXACT, FLOAT32 = 1e-10, 2e-6
#: titles of the API whose public names must say whose number they are, or that they are nobody's
ASKED = ("Operators", "Losses", "Metrics", "Colour")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(actual: Any, expected: Any, tolerance: float = EXACT) -> bool:
    difference = torch.as_tensor(actual, dtype=torch.float64) - torch.as_tensor(numpy.asarray(expected), dtype=torch.float64)
    return bool(difference.abs().max() <= tolerance)


#: samples, others that depend on them, and hard bins
X, Y = drawn(500), (drawn(500).square() + 0.2 * drawn(500, seed=1)) / 1.2
HARD = Bins(12, window="box")
EDGES = numpy.linspace(0, 1, 13)
#: the bins that samples are in, as labels
LABELS = [(x * 12).floor().long() for x in (X, Y)]


# %% the page


def test_everything_asked_for_is_answered() -> None:
    asked = {public.page for title in ASKED for public in names.everything()[title]}
    answered = {page for page, more in MORE.items() if "equals" in more or "nobody" in more}
    assert asked == answered & asked, f"docs/site/api.toml says nothing of {sorted(asked - answered)}"


def test_what_is_said_names_a_test_that_exists() -> None:
    text = (REPOSITORY / "docs" / "site" / "api.toml").read_text(encoding="utf-8")
    claims = [claim for more in tomllib.loads(text).values() for claim in more.get("equals", ())]
    assert len(claims) > 40
    for claim in claims:
        assert claim.keys() == {"what", "with", "test"}, claim
        path, _, test = claim["test"].partition("::")
        assert re.search(rf"^def {test}\(", (REPOSITORY / path).read_text(encoding="utf-8"), re.MULTILINE), claim


# %% histograms


def test_hard_histograms_are_numpys() -> None:
    assert close(kernels.soft_histogram(X, HARD), numpy.histogram(X, EDGES)[0] / 500)


def test_hard_histograms_are_torchs() -> None:
    assert close(kernels.soft_histogram(X, HARD), torch.histc(X, 12, 0, 1) / 500)


def test_samples_on_edges_count_half_in_both_bins() -> None:
    x = torch.tensor([0.25, 0.6], dtype=torch.float64)
    assert kernels.soft_histogram(x, Bins(4, window="box")).tolist() == [0.25, 0.25, 0.5, 0]
    assert (torch.histc(x, 4, 0, 1) / 2).tolist() == [0, 0.5, 0.5, 0]


def test_histograms_of_integers_are_bincounts() -> None:
    pixels = torch.randint(256, (1000,), generator=torch.Generator().manual_seed(0))
    assert close(
        kernels.soft_histogram(pixels.double(), Bins(256, -0.5, 255.5, window="box")), numpy.bincount(pixels, minlength=256) / 1000
    )


def test_weighted_hard_histograms_are_numpys() -> None:
    expected = numpy.histogram(X, EDGES, weights=Y)[0]
    assert close(kernels.soft_histogram(X, HARD, weights=Y), expected / expected.sum())


def test_gaussian_histograms_are_integrals_of_scipys_density() -> None:
    width = 0.4 / 12
    density = scipy.stats.gaussian_kde(X.numpy(), bw_method=width / X.std().item())
    expected = [density.integrate_box_1d(low, high) for low, high in itertools.pairwise(EDGES)]
    assert close(kernels.soft_histogram(X, Bins(12, window="gaussian", bandwidth=0.4)), expected)


def test_soft_counts_are_those_of_compat_histc() -> None:
    from huenet.compat.torch import histc

    assert close(
        histc(X, 12, 0, 1, differentiable=True), 500 * kernels.soft_histogram(X, Bins(12, window="triangular", boundary="reflect"))
    )


def test_gaussians_at_centres_are_kornias() -> None:
    enhance = pytest.importorskip("kornia.enhance")
    centers = (torch.arange(12, dtype=torch.float64) + 0.5) / 12
    expected = enhance.histogram(X[None], centers, torch.tensor(0.5 / 12, dtype=torch.float64))[0]
    ours = kernels.soft_histogram(X, Bins(12, window="rbf", bandwidth=0.5))
    assert close(ours / ours.sum(), expected, 1e-9)  # kornia adds 1e-10 to a mean of .1


def test_triangles_are_kornias() -> None:
    enhance = pytest.importorskip("kornia.enhance")
    image = X[:496].reshape(1, 1, 16, 31)
    centers = (torch.arange(12, dtype=torch.float64) + 0.5) / 12
    expected, _ = enhance.image_histogram2d(image, 0.0, 1.0, 12, bandwidth=1 / 12, centers=centers)
    assert close(496 * kernels.soft_histogram(X[:496], Bins(12, window="triangular", bandwidth=1.0)), expected.flatten())


def test_hard_joint_histograms_are_numpys() -> None:
    assert close(kernels.joint_histogram(X, Y, HARD), numpy.histogram2d(X, Y, [EDGES, EDGES])[0] / 500)


def test_gaussian_joint_histograms_are_kornias() -> None:
    enhance = pytest.importorskip("kornia.enhance")
    centers = (torch.arange(12, dtype=torch.float64) + 0.5) / 12
    expected = enhance.histogram2d(X[None], Y[None], centers, torch.tensor(0.5 / 12, dtype=torch.float64))[0]
    ours = kernels.joint_histogram(X, Y, Bins(12, window="rbf", bandwidth=0.5))
    assert close(ours / ours.sum(), expected)


def test_patch_histograms_are_pooled_responses() -> None:
    image, centers = drawn(1, 2, 16, 16), (torch.arange(5, dtype=torch.float64) + 0.5) / 5
    shared = image.clamp(centers[0], centers[-1])  # beyond the outermost centres the window reflects into the same bin
    responses = (1 - (shared.unsqueeze(2) - centers[:, None, None]).abs() * 5).clamp(min=0).flatten(1, 2)  # HarmonicGAN's psi
    expected = 64 * F.avg_pool2d(responses, 8)
    assert close(kernels.patch_histogram(image, 5, patch=8), expected.flatten(2).mT)


def test_response_sums_are_sums_of_responses() -> None:
    bins = Bins(12, window="rbf", bandwidth=0.5)
    alone = torch.stack([kernels.soft_histogram(x[None], bins).sum() for x in X[:20]])
    assert close(kernels.response_sum(X[:20], bins), alone)


# %% information


def hard_information() -> kernels.MutualInformation:
    return kernels.mutual_information(X, Y, HARD)


def test_hard_information_is_scikit_learns() -> None:
    cluster = pytest.importorskip("sklearn.metrics")
    found = hard_information()
    assert close(found.information, cluster.mutual_info_score(*LABELS))
    assert close(found.normalized, cluster.normalized_mutual_info_score(*LABELS, average_method="arithmetic"))


def test_hard_information_is_torchmetrics() -> None:
    cluster = pytest.importorskip("torchmetrics.functional.clustering")
    found = hard_information()
    assert close(found.information, cluster.mutual_info_score(*LABELS), FLOAT32)
    assert close(found.normalized, cluster.normalized_mutual_info_score(*LABELS, average_method="arithmetic"), FLOAT32)


def test_hard_information_is_scikit_images() -> None:
    import skimage.metrics

    found = hard_information()
    unit = [numpy.concatenate([[0.0], x, [1.0]]) for x in (X.numpy(), Y.numpy())]  # its bins reach over the data's own range
    ours = kernels.mutual_information(*(torch.as_tensor(x) for x in unit), Bins(12, -1e-9, 1 + 1e-9, window="box"))
    assert close(1 + ours.relative, skimage.metrics.normalized_mutual_information(*unit, bins=12))
    split = skimage.metrics.variation_of_information(*(label.numpy() for label in LABELS))  # bits
    assert close(found.conditional_y, split[0] * math.log(2)) and close(found.conditional_x, split[1] * math.log(2))


def test_entropies_are_scipys() -> None:
    found, joint = hard_information(), kernels.joint_histogram(X, Y, HARD)
    assert close(found.joint_entropy, scipy.stats.entropy(joint.flatten()))
    assert close(found.entropy_x, scipy.stats.entropy(joint.sum(1))) and close(found.entropy_y, scipy.stats.entropy(joint.sum(0)))
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    assert close(
        found.information, scipy.stats.entropy(joint.flatten(), independent.flatten())
    )  # Kullback and Leibler's divergence


def test_smoothed_information_is_monais() -> None:
    monai = pytest.importorskip("monai.losses")
    images = X[:400].reshape(1, 1, 20, 20), Y[:400].reshape(1, 1, 20, 20)
    bins = Bins(23, -0.5 / 22, 22.5 / 22, window="rbf", bandwidth=0.5, normalized=True)  # centres from 0 to 1
    joint = kernels.joint_histogram(*(image.flatten() for image in images), bins)
    expected = monai.GlobalMutualInformationLoss(num_bins=23, sigma_ratio=0.5)(*images)
    assert close(-kernels.smoothed_information(joint, 1e-7, 1e-7), expected, FLOAT32)  # its centres are float32


def test_local_information_is_that_of_unfolded_patches() -> None:
    images = drawn(2, 1, 24, 24)
    x, y = (F.unfold(image, 8, stride=4).mT for image in images[:, None])
    expected = kernels.mutual_information(x, y, 8).information
    assert close(kernels.local_mutual_information(*images, 8, patch=8, stride=4).information.flatten(), expected.flatten())


# %% distances


P, Q = (drawn(16, seed=seed) / drawn(16, seed=seed).sum() for seed in (0, 1))
CENTERS = (numpy.arange(16) + 0.5) / 16


def test_order_one_is_scipys_and_pots_wasserstein_distance() -> None:
    ours = kernels.emd(P, Q, order=1)
    assert close(ours, scipy.stats.wasserstein_distance(CENTERS, CENTERS, P, Q))
    ot = pytest.importorskip("ot")
    assert close(ours, ot.emd2_1d(CENTERS, CENTERS, P.numpy(), Q.numpy(), metric="euclidean"))


def test_order_two_is_scipys_energy_distance() -> None:
    expected = scipy.stats.energy_distance(CENTERS, CENTERS, P, Q) / math.sqrt(2)
    assert close(kernels.emd(P, Q), expected)
    assert close(kernels.squared_emd(P, Q), 16 * expected**2)


def test_circular_order_one_is_pots() -> None:
    ot = pytest.importorskip("ot")
    expected = ot.wasserstein_circle(CENTERS, CENTERS, P.numpy(), Q.numpy(), p=1)
    assert close(kernels.emd(P, Q, circular=True, order=1), float(expected[0]))


def test_histogram_emd_is_both() -> None:
    bins = Bins(16, boundary="circular")
    expected = kernels.emd(kernels.soft_histogram(X, bins), Q, circular=True)
    assert close(kernels.histogram_emd(X, Q, bins), expected)
    hard = kernels.histogram_emd(X, Q, Bins(16, window="box"), circular=False)
    assert close(hard, scipy.stats.energy_distance(CENTERS, CENTERS, numpy.histogram(X, 16, (0, 1))[0], Q) / math.sqrt(2))


# %% points


def test_contextual_similarity_is_its_formula_in_pytorch() -> None:
    """Of normalised features, contextual_loss_pytorch's steps (cosine distances, relative, softmax, best of each column)."""
    x, y = drawn(1, 30, 6), drawn(1, 25, 6, seed=1)
    mean = y.mean(1, keepdim=True)
    distance = 1 - F.normalize(x - mean, dim=-1) @ F.normalize(y - mean, dim=-1).mT
    relative = distance / (distance.amin(2, keepdim=True) + 1e-5)
    expected = torch.softmax((1 - relative) / 0.5, 2).amax(1).mean(1)
    assert close(kernels.contextual_similarity(x, y, bandwidth=0.5, eps=5e-6), expected, 1e-9)


def test_harmonic_energy_is_two_matrices_of_scipys_distances() -> None:
    features, outputs = drawn(20, 5), drawn(20, 3, seed=1)
    near, far = (scipy.spatial.distance.cdist(z, z, "cityblock") for z in (features, outputs))
    energy = kernels.harmonic_energy(features, outputs, sigma=0.7, reduction="sum")
    assert close(energy, (numpy.exp(-near / 0.7**2) * far).sum(), 1e-9)
    euclidean = scipy.spatial.distance.cdist(outputs, outputs)
    assert close(
        kernels.harmonic_energy(features, outputs, sigma=0.7, distance="l2"), (numpy.exp(-near / 0.7**2) * euclidean).mean()
    )


# %% losses on images


def test_adversarial_loss_is_pytorchs_cross_entropy() -> None:
    real, fake = drawn(2, 1, 4, 4) * 6 - 3, drawn(2, 1, 4, 4, seed=1) * 6 - 3
    bce = F.binary_cross_entropy_with_logits
    loss = losses.AdversarialLoss()
    assert close(loss(fake), bce(fake, torch.ones_like(fake)))
    assert close(loss.discriminator(real, fake), bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake)))


def test_least_squares_loss_is_pytorchs_mse() -> None:
    real, fake = drawn(2, 1, 4, 4) * 6 - 3, drawn(2, 1, 4, 4, seed=1) * 6 - 3
    loss = losses.LeastSquaresLoss()
    assert close(loss(fake), F.mse_loss(fake, torch.ones_like(fake)))
    assert close(loss.discriminator(real, fake), F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake)))


def test_hard_emd_loss_is_scipys_energy_distance() -> None:
    output, target = drawn(1, 1, 20, 20), drawn(1, 1, 20, 20, seed=1)
    hists = [numpy.histogram(image, 16, (0, 1))[0] for image in (output, target)]
    expected = scipy.stats.energy_distance(CENTERS, CENTERS, *hists) / math.sqrt(2)
    assert close(losses.CircularEMDLoss(Bins(16, window="box"), circular=False)(output, target), expected)


def test_hard_information_loss_is_torchmetrics() -> None:
    cluster = pytest.importorskip("torchmetrics.functional.clustering")
    images, labels = [x[:400].reshape(1, 1, 20, 20) for x in (X, Y)], [label[:400] for label in LABELS]
    expected = cluster.mutual_info_score(*labels)
    assert close(losses.MutualInformationLoss(HARD, form="information")(*images), -expected, FLOAT32)
    normalized = cluster.normalized_mutual_info_score(*labels, average_method="arithmetic")
    assert close(losses.MutualInformationLoss(HARD, form="normalized")(*images), 1 - normalized, FLOAT32)


def test_patches_are_pytorchs_unfold() -> None:
    image = drawn(1, 3, 12, 12)
    assert close(losses.Patches(size=5, stride=2)(image).flatten(2), F.unfold(image, 5, stride=2))


# %% metrics


def test_hard_normalized_metric_is_scikit_images() -> None:
    import skimage.metrics

    images = [torch.cat([torch.tensor([0.0, 1.0]), x[:398].float()]).reshape(1, 1, 20, 20) for x in (X, Y)]
    metric = metrics.NormalizedMutualInformation(bins=16, soft=False)
    metric.update(*images)
    expected = skimage.metrics.normalized_mutual_information(*(image.numpy().squeeze() for image in images), bins=16)
    assert close(metric.compute(), expected, FLOAT32)
    less = metrics.RelativeMutualInformation(bins=16, soft=False)
    less.update(*images)
    assert close(less.compute(), expected - 1, FLOAT32)


def test_hue_histograms_are_numpys_of_colorsys_hues() -> None:
    image = drawn(1, 3, 10, 10)
    hsv = numpy.array([colorsys.rgb_to_hsv(*pixel) for pixel in image[0].flatten(1).T.tolist()])
    expected = numpy.histogram(hsv[:, 0], 32, (0, 1), weights=hsv[:, 1] * hsv[:, 2])[0]
    assert close(metrics.hue.hue_histogram(image, 32), expected[None] / expected.sum())
    other = drawn(1, 3, 10, 10, seed=1)
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in other[0].flatten(1).T.tolist()]
    joint = numpy.histogram2d(hsv[:, 0], hues, 32, [[0, 1], [0, 1]], weights=hsv[:, 1] * hsv[:, 2])[0]
    assert close(metrics.hue.hue_joint_histogram(image, other, 32), joint[None] / joint.sum())
    share = joint.flatten() / joint.sum()
    information = sum(scipy.stats.entropy(joint.sum(axis)) for axis in (0, 1)) - scipy.stats.entropy(share)
    assert close(metrics.hue.hue_mutual_information(image, other, 32), [information / scipy.stats.entropy(share)])


# %% colour


def test_hsv_is_matplotlibs_scikit_images_and_kornias() -> None:
    import matplotlib.colors
    import skimage.color

    rgb = drawn(1, 3, 9, 9)
    hsv, last = color.rgb_to_hsv(rgb), rgb[0].permute(1, 2, 0).numpy()
    for theirs in (matplotlib.colors.rgb_to_hsv, skimage.color.rgb2hsv):
        assert close(hsv[0].permute(1, 2, 0), theirs(last))
    for back in (matplotlib.colors.hsv_to_rgb, skimage.color.hsv2rgb):
        assert close(color.hsv_to_rgb(hsv)[0].permute(1, 2, 0), back(hsv[0].permute(1, 2, 0).numpy()))
    kornia = pytest.importorskip("kornia.color")
    scale = torch.tensor([2 * math.pi, 1, 1], dtype=torch.float64)[:, None, None]  # its hues are radians
    assert close(kornia.rgb_to_hsv(rgb) / scale, hsv, 1e-7)  # it adds 1e-8 to divisors
