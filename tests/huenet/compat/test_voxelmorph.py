"""huenet.compat.voxelmorph: against VoxelMorph's and neurite's formulas, written out densely."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from huenet.compat.voxelmorph import NMI, MutualInformation
from tests.assertions import assert_close
from tests.largest import LargestTensor

DTYPES = [torch.float32, torch.float64]
#: absolute of values; of gradients relative to the largest, but twice the rounding of the formula itself where that is more
VALUE = {torch.float32: 1e-6, torch.float64: 1e-10}
GRADIENT = {torch.float32: 1e-5, torch.float64: 1e-10}
EPS = 1e-7
EVEN = torch.linspace(0, 1, 33, dtype=torch.float64)[1::2]
UNEVEN = torch.tensor([0.0, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0], dtype=torch.float64)


def volumes(*shape: int, seed: int = 0, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Float64, but numbers of float32; related; some of the first's beyond [0, scale]."""
    x, noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))
    x = scale * (1.2 * x - 0.1)
    return x.double(), ((x / scale).square() * scale + 0.2 * scale * noise).double()


def information(u: Tensor, v: Tensor) -> Tensor:
    """Of normalised responses (R, N, K) -> (R,)."""
    joint = u.mT @ v / u.shape[1]
    independent = u.mean(1).unsqueeze(-1) * v.mean(1).unsqueeze(-2) + EPS
    return (joint * (joint / independent + EPS).log()).sum((1, 2))


def shared(x: Tensor, centers: Tensor, sigma_ratio: float) -> Tensor:
    """(R, N) -> (R, N, K)."""
    sigma = centers.diff().mean() * sigma_ratio
    # less the largest exponent, so that far from all centres they are not all 0
    exponents = -(x.unsqueeze(-1) - centers.to(x)).square() / (2 * sigma.to(x) ** 2)
    weights = (exponents - exponents.detach().amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True)


def plain_global(true: Tensor, pred: Tensor, centers: Tensor, sigma_ratio: float = 0.5, max_clip: float = 1) -> Tensor:
    u, v = (shared(z.clamp(0, max_clip).flatten(1), centers, sigma_ratio) for z in (true, pred))
    return -information(u, v).mean()


def plain_local(true: Tensor, pred: Tensor, centers: Tensor, patch: int, sigma_ratio: float = 0.5, max_clip: float = 1) -> Tensor:
    """(B, 1, X, Y, Z), patch by patch."""
    ends = []
    for length in reversed(true.shape[2:]):
        missing = -length % patch
        ends += [missing // 2, missing - missing // 2]
    true, pred = (pad(z.clamp(0, max_clip), ends) for z in (true, pred))
    found = []
    for item in zip(true[:, 0], pred[:, 0]):
        cut = [z.unfold(0, patch, patch).unfold(1, patch, patch).unfold(2, patch, patch).reshape(-1, patch**3) for z in item]
        found.append(information(*(shared(rows, centers, sigma_ratio) for rows in cut)))
    return -torch.cat(found).mean()


def plain_cropped(true: Tensor, pred: Tensor, centers: Tensor) -> Tensor:
    """(B, 1, X, Y, Z); the box reaches from 9 voxels before to 10 behind."""
    kernel = torch.ones(1, 1, 20, 20, 20, dtype=true.dtype)
    mask = torch.conv3d(pad(true.clamp(0, 1), (9, 10) * 3), kernel) > 1e-4
    u, v = (shared(z.clamp(0, 1)[mask].unsqueeze(0), centers, 0.5) for z in (true, pred))
    return -information(u, v).mean()


def plain_neurite(
    x: Tensor, y: Tensor, bins: int = 16, alpha: float | None = None, ends: tuple = (None, None), strict: bool = True
):
    """(B, C, N) twice -> (B, C)."""
    alpha = 1 / (2 * (0.5 / (bins - 1)) ** 2) if alpha is None else alpha
    maps = []
    for z in (x, y):
        low, high = (end if strict else end.detach() for end in (z.min(), z.max()))
        centers = low + (high - low) * torch.arange(bins, dtype=z.dtype) / (bins - 1)
        z = z if ends == (None, None) else z.clamp(*ends)
        maps.append((-alpha * (z.unsqueeze(-1) - centers).square()).exp())
    return plain_maps(*maps)


def plain_maps(u: Tensor, v: Tensor) -> Tensor:
    """(..., N, K) twice -> (...)."""
    joint = u.mT @ v
    joint = joint / (joint.sum((-2, -1), keepdim=True) + EPS)
    p, q = (each.sum(-2) / (each.sum((-2, -1)).unsqueeze(-1) + EPS) for each in (u, v))
    return (joint * (joint / (p.unsqueeze(-1) * q.unsqueeze(-2) + EPS) + EPS).log()).sum((-2, -1))


def with_gradients(loss, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    value = loss(x, y)
    return value.detach(), list(torch.autograd.grad(value.sum(), (x, y)))


def largest_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


def apart(gradient: Tensor, x: Tensor, split: bool) -> list[Tensor]:
    """With `split`, the gradients of x's extremes apart from the others, which they hide."""
    if not split:
        return [gradient]
    ends = torch.stack([x.argmin(), x.argmax()])
    others = gradient.flatten().clone()
    others[ends] = 0
    return [gradient.flatten()[ends], others]


def check(found, formula, x: Tensor, y: Tensor, dtype: torch.dtype, split: bool = False) -> None:
    """Values and gradients of `found` in dtype against those of the formula in float64."""
    value, gradients = with_gradients(found, x.to(dtype), y.to(dtype))
    expected, expected_gradients = with_gradients(formula, x, y)
    rounded, rounded_gradients = with_gradients(formula, x.to(dtype), y.to(dtype))
    assert value.dtype == dtype and value.shape == expected.shape
    own = 2 * (rounded - expected).abs().max().item() if dtype == torch.float32 else 0
    assert (value - expected).abs().max() <= max(VALUE[dtype], own)
    for image, *each in zip((x, y), gradients, expected_gradients, rounded_gradients):
        for part in zip(*(apart(gradient, image, split) for gradient in each)):
            assert part[1].any()
            own = largest_error(part[2], part[1]) if dtype == torch.float32 else 0
            assert largest_error(part[0], part[1]) <= max(GRADIENT[dtype], 2 * own)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 7, 8, 9), (1, 3, 20, 21), (3, 1, 300)], ids=str)
@pytest.mark.parametrize(
    "centers, sigma_ratio, max_clip",
    [
        (EVEN, 0.5, 1),
        (EVEN * 4, 1.0, 4),
        (torch.linspace(0, 1, 23, dtype=torch.float64), 0.2, 1),
        (UNEVEN, 0.5, 1),
        (EVEN * 0.5, 0.5, 1),
        ([0.1, 0.9], 0.4, 0.7),
        (EVEN, 0.04, 1),
    ],
    ids=["even", "scaled", "ends", "uneven", "beyond", "two", "narrow"],
)
def test_nmi(dtype, shape, centers, sigma_ratio, max_clip):
    """Through the operators and, where centres are uneven or the range goes beyond them, through blocks."""
    x, y = volumes(*shape, scale=max_clip)
    loss = NMI(centers, shape[2:], sigma_ratio, max_clip)
    centers = torch.as_tensor(centers, dtype=torch.float64)
    check(loss.loss, lambda x, y: plain_global(x, y, centers, sigma_ratio, max_clip), x, y, dtype)


def test_which_centres_go_to_the_operators():
    for centers in (EVEN, EVEN.float(), EVEN.numpy(), EVEN.tolist(), torch.linspace(-0.1, 1.1, 40)):
        assert NMI(centers, (9,))._bins is not None
    for centers in (UNEVEN, EVEN * 0.99, EVEN + 0.04, EVEN + 1e-5 * (torch.arange(16) % 2)):
        assert NMI(centers, (9,))._bins is None


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("centers", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("shape, patch", [((1, 1, 8, 12, 4), 4), ((1, 1, 7, 9, 11), 3), ((2, 1, 5, 6, 7), 4), ((1, 1, 3, 4, 2), 1)])
def test_nmi_of_patches(dtype, centers, shape, patch):
    """Padded before and behind; several samples, which the original cannot compute; patches of one voxel, its default."""
    x, y = volumes(*shape)
    loss = NMI(centers, shape[2:], local=True, patch_size=patch, crop_background=True)
    if patch == 1:
        # a voxel's information is that of 1 x 1e-7: all gradient is rounding
        assert_close(loss.loss(x, y), plain_local(x, y, centers, 1), 1e-6)
        return
    check(loss.loss, lambda x, y: plain_local(x, y, centers, patch), x, y, dtype)


@pytest.mark.parametrize("dims", [1, 2])
def test_nmi_of_patches_of_fewer_axes(dims):
    """As of a volume that repeats itself along the other axes."""
    x, y = volumes(2, 1, *(7, 8)[:dims])
    flat = NMI(EVEN, x.shape[2:], local=True, patch_size=4).loss(x, y)
    deep = [z.view(2, 1, *z.shape[2:], *(1,) * (3 - dims)).expand(2, 1, 7, 8 if dims == 2 else 4, 4) for z in (x, y)]
    assert_close(flat, NMI(EVEN, deep[0].shape[2:], local=True, patch_size=4).loss(*deep), 1e-10)


def test_many_patches_are_done_some_at_a_time(monkeypatch):
    x, y = volumes(1, 1, 8, 8, 8)
    loss = NMI(EVEN, (8, 8, 8), local=True, patch_size=2)
    value, gradients = with_gradients(loss.loss, x, y)
    monkeypatch.setattr("huenet.compat.voxelmorph._CPU_CELLS", 5 * 16**2)
    found, found_gradients = with_gradients(loss.loss, x, y)
    assert_close(found, value, 1e-12)
    for gradient, expected in zip(found_gradients, gradients):
        assert_close(gradient, expected, 1e-10)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("centers", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_nmi_without_background(dtype, centers):
    """Boxes of 20 to a side reach 9 voxels before and 10 behind; voxels of all items are taken together."""
    x, y = volumes(2, 1, 30, 14, 12)
    x[:, :, 5:] = 0
    x[1, :, :, :10] = 0
    # voxels within a box's reach count, zeros among them
    mask = torch.conv3d(pad(x.clamp(0, 1), (9, 10) * 3), torch.ones(1, 1, 20, 20, 20, dtype=x.dtype)) > 1e-4
    assert 0.2 < mask.double().mean() < 0.8
    loss = NMI(centers, (30, 14, 12), crop_background=True)
    check(loss.loss, lambda x, y: plain_cropped(x, y, centers), x, y, dtype)


@pytest.mark.parametrize("centers", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_nothing_but_background(centers):
    x = torch.zeros(1, 1, 4, 4, 4, requires_grad=True)
    loss = NMI(centers, (4, 4, 4), crop_background=True).loss(x, torch.rand(1, 1, 4, 4, 4))
    loss.backward()
    assert loss == 0 and not x.grad.any()


@pytest.mark.parametrize("options", [{}, {"local": True, "patch_size": 3}, {"crop_background": True}], ids=str)
def test_both_layouts(options):
    x, y = volumes(2, 1, 6, 7, 8)
    loss = NMI(EVEN, (6, 7, 8), **options)
    last = [z.movedim(1, -1).contiguous() for z in (x, y)]
    assert_close(loss.loss(*last), loss.loss(x, y), 1e-12)


@pytest.mark.parametrize("centers", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("options", [{}, {"local": True, "patch_size": 8}], ids=str)
def test_nothing_of_voxels_by_bins_is_stored(centers, options):
    """Of 64^3 voxels a block of 2^18 responses at most, or a few images in float64; all responses would be 16 images."""
    x, y = (z.float().requires_grad_() for z in volumes(1, 1, 64, 64, 64))
    with LargestTensor() as largest:
        NMI(centers, (64, 64, 64), **options).loss(x, y).backward()
    assert x.grad.any() and y.grad.any()
    assert largest.bytes <= 2 * 8 * 64**3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "bins, alpha, ends, scale",
    [
        (16, None, (None, None), 1),
        (9, 30.0, (0.2, 0.7), 1),
        (16, None, (None, None), 0.1),
        (12, 2.0, (None, 3.0), 5),
        (23, None, (0.0, None), 1),
    ],
)
def test_neurite(dtype, strict, bins, alpha, ends, scale):
    """Range, width and clamp; gradients through the extremes apart."""
    x, y = volumes(2, 3, 150, scale=scale)
    loss = MutualInformation(None, bins, alpha, *ends, strict=strict)
    formula = lambda x, y: plain_neurite(x, y, bins, alpha, ends, strict)  # noqa: E731
    check(loss.channelwise, formula, x, y, dtype, split=strict)


def test_neurite_of_blocks(monkeypatch):
    x, y = volumes(2, 3, 150)
    monkeypatch.setattr("huenet.compat.parzen.CPU_RESPONSES", 6 * 16 * 7)
    check(MutualInformation(strict=True).channelwise, plain_neurite, x, y, torch.float64, split=True)


def test_neurites_volumes_maps_and_layouts():
    x, y = volumes(2, 3, 5, 6, 7)
    loss, last = MutualInformation(), MutualInformation(channels_last=True)
    expected = plain_neurite(x.flatten(2), y.flatten(2))
    assert_close(loss.channelwise(x, y), expected, 1e-10)
    assert_close(last.channelwise(x.movedim(1, -1), y.movedim(1, -1)), expected, 1e-10)
    single = plain_neurite(x[:, :1].flatten(2), y[:, :1].flatten(2))[:, 0]
    assert single.shape == (2,)
    for volumes_of in (loss.volumes, last.volumes):
        assert_close(volumes_of(x[:, :1], y[:, :1]), single, 1e-10)
        assert_close(volumes_of(x[:, 0].unsqueeze(-1), y[:, 0].unsqueeze(-1)), single, 1e-10)
    u, v = x.softmax(1), y.softmax(1)
    of_maps = plain_maps(u.flatten(2).mT, v.flatten(2).mT)
    assert_close(loss.maps(u, v), of_maps, 1e-10)
    assert_close(last.segs(u.movedim(1, -1), v.movedim(1, -1)), of_maps, 1e-10)


def test_neurites_centres():
    """Which the original refuses by mistake; half a mean distance wide."""
    x, y = volumes(2, 1, 200)
    alpha = 1 / (2 * (0.5 * UNEVEN.diff().mean()) ** 2)
    u, v = ((-alpha * (z.unsqueeze(-1) - UNEVEN).square()).exp() for z in (x, y))
    assert_close(MutualInformation(UNEVEN).channelwise(x, y), plain_maps(u, v), 1e-10)


def test_a_constant_volume_has_no_information():
    x, y = torch.full((1, 1, 50), 0.3), torch.rand(1, 1, 50)
    for loss in (NMI(EVEN, (50,)).loss, MutualInformation().volumes, MutualInformation(strict=True).volumes):
        value, gradients = with_gradients(loss, x, y)
        # each of 16 x 16 cells takes a share of 1e-7 at most; J's rounding may be all one way, of a sum of 256 equal numbers
        assert abs(value.item()) < 256 * (EPS + 2**-25) and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "loss", [NMI(EVEN, (8, 9)).loss, NMI(UNEVEN, (8, 9)).loss, MutualInformation().channelwise, MutualInformation().maps]
)
def test_half_precision(loss, dtype):
    """The inputs' dtype, computed in float32; under autocast float32."""
    x, y = (z.clamp(0, 1).to(dtype) for z in volumes(2, 1, 8, 9))
    expected = loss(x.float(), y.float())
    assert expected.dtype == torch.float32
    assert torch.equal(loss(x, y), expected.to(dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(x, y), expected) and torch.equal(loss(x.float(), y.float()), expected)


def test_images_of_two_dtypes():
    """Computed and returned in the wider one."""
    x, y = volumes(2, 1, 8, 9)
    losses = NMI(EVEN, (8, 9)).loss, NMI(UNEVEN, (8, 9)).loss, MutualInformation().channelwise, MutualInformation().volumes
    for loss in losses:
        assert_close(loss(x.float(), y), loss(x, y), 1e-10)
        assert loss(x, y.float()).dtype == torch.float64
    u, v = x.softmax(2), y.softmax(2)
    assert_close(MutualInformation().maps(u.float(), v), MutualInformation().maps(u.float(), v.float()), 1e-4)


def test_a_nan_shows():
    x, y = volumes(2, 1, 60)
    x[0, 0, 3] = math.nan
    assert NMI(EVEN, (60,)).loss(x, y).isnan() and NMI(UNEVEN, (60,)).loss(x, y).isnan()
    assert MutualInformation(EVEN).volumes(x, y).isnan().tolist() == [True, False]


def test_the_backend_is_the_operators():
    x, y = volumes(1, 1, 5, 4)
    assert_close(NMI(EVEN, (5, 4), backend="reference").loss(x, y), plain_global(x, y, EVEN), 1e-10)
    with pytest.raises(ValueError, match="backend must be None or one of"):
        NMI(EVEN, (5, 4), backend="cuda").loss(x, y)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: NMI([0.5], (4, 5)), ValueError, r"bin_centers must be at least 2 finite numbers that increase, got \[0.5\]"),
        (lambda x: NMI([0.5, 0.1], (4, 5)), ValueError, "bin_centers must be at least 2 finite numbers that increase"),
        (lambda x: NMI([0, math.nan], (4, 5)), ValueError, "bin_centers must be at least 2 finite numbers that increase"),
        (lambda x: NMI(EVEN, (4, 5, 6, 7)), ValueError, r"vol_size must be 1 to 3 lengths of at least 1, got \(4, 5, 6, 7\)"),
        (lambda x: NMI(EVEN, (4.5, 5)), TypeError, "vol_size must be an integer, got 4.5"),
        (lambda x: NMI(EVEN, (4, 5), 0), ValueError, "sigma_ratio must be positive, got 0"),
        (lambda x: NMI(EVEN, (4, 5), max_clip=-1), ValueError, "max_clip must be positive, got -1"),
        (lambda x: NMI(EVEN, (4, 5), patch_size=0), ValueError, "patch_size must be at least 1, got 0"),
        (lambda x: NMI(EVEN, (4, 6), local=True).loss(x, x), ValueError, r"y_true must have a single channel .* 4, 6\), got"),
        (
            lambda x: NMI(EVEN, (4, 5), crop_background=True).loss(x.expand(2, 3, 4, 5), x.expand(2, 3, 4, 5)),
            ValueError,
            r"y_true must have a single channel with local or crop_background, \(B, 1, 4, 5\), got \(2, 3, 4, 5\)",
        ),
        (lambda x: NMI(EVEN, (4, 5)).loss(x, x[:1]), ValueError, r"y_pred must have the shape of y_true, expected \(2, 1, 4, 5\)"),
        (lambda x: NMI(EVEN, (4, 5)).loss(x.int(), x), TypeError, "y_true must be a floating torch.Tensor, got torch.int32"),
        (lambda x: NMI(EVEN, (4, 5)).loss(x, x.to("meta")), ValueError, "y_pred must be on the device of y_true, expected cpu"),
        (lambda x: NMI(EVEN, (4, 5)).loss(x[0, 0, 0], x[0, 0, 0]), ValueError, r"y_true must be \(B, C, ...\)"),
        (lambda x: MutualInformation(EVEN, 16), ValueError, "nb_bins must be None where bin_centers are given, got 16"),
        (lambda x: MutualInformation(nb_bins=1), ValueError, "nb_bins must be at least 2, got 1"),
        (lambda x: MutualInformation(soft_bin_alpha=0), ValueError, "soft_bin_alpha must be positive, got 0"),
        (lambda x: MutualInformation(min_clip="0"), TypeError, "min_clip must be a real number, got '0'"),
        (lambda x: MutualInformation().volumes(x[:, 0], x[:, 0]), ValueError, r"x must have a single channel, .*; see"),
        (lambda x: MutualInformation().channelwise(x[:, 0, 0], x[:, 0, 0]), ValueError, r"x must be \(B, C, ...\) with at least 3"),
        (lambda x: MutualInformation().maps(x, 1), TypeError, "y must be a floating torch.Tensor, got int"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.rand(2, 1, 4, 5))
