"""The losses as modules: values by hand, weights and masks, precision, gradients, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch

from huenet.color_transfer.config import LossConfig
from huenet.kernels import Bins
from huenet.kernels.common.responses import responses as dense_responses
from huenet.kernels.joint_histogram import reference as joint_reference
from huenet.kernels.soft_histogram import reference as soft_reference
from huenet.losses import AdversarialLoss, CircularEMDLoss, HueNetLoss, MutualInformationLoss, SmoothnessLoss

FORMS = ("relative", "conditional", "information", "normalized")
HALF = (torch.float16, torch.bfloat16)


def _hues(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def _constant(hue: float, bins: int = 16) -> torch.Tensor:
    """An image of one hue, the centre of a bin."""
    return torch.full((1, 1, 8, 8), (math.floor(hue * bins) + 0.5) / bins, dtype=torch.float64)


def test_emd_of_equal_images_is_zero_with_zero_gradient() -> None:
    image = _hues(2, 1, 8, 8).requires_grad_()
    loss = CircularEMDLoss(16)(image, image.detach())
    loss.backward()
    assert loss.item() == 0 and (image.grad == 0).all()


@pytest.mark.parametrize(("scale", "expected"), [("raw", 4.0), ("rms", 0.5)])
def test_emd_of_shifted_images_by_hand(scale: str, expected: float) -> None:
    """All mass moved by 4 of 16 bins: the cumulative histograms differ by 1 in 4 places, the best shift leaves them so
    (D = d over 4 bins, a level l costs 4 (1-l)^2 + 12 l^2 for l in {0, 1}), so Eq. 13 gives 4 and Eq. 12 sqrt(4 / 16)."""
    narrow = Bins(16, bandwidth=1.0, boundary="circular", window="triangular")  # all of a centred pixel in one bin
    loss = CircularEMDLoss(narrow, scale)(_constant(0.3), _constant(0.55))
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_emd_is_circular_and_takes_either_way() -> None:
    loss = CircularEMDLoss(16)
    assert loss(_constant(0.99), _constant(0.01)).item() == pytest.approx(loss(_constant(0.5), _constant(0.44)).item(), abs=1e-9)
    shifted = [(_hues(1, 1, 8, 8) + 0.25) % 1, (_hues(1, 1, 8, 8, seed=1) + 0.25) % 1]
    # A quarter turn moves the histograms by whole bins and changes nothing else but rounding of t - k.
    assert loss(_hues(1, 1, 8, 8), _hues(1, 1, 8, 8, seed=1)).item() == pytest.approx(loss(*shifted).item(), abs=1e-12)


def test_emd_accepts_other_sizes_and_a_histogram_computed_before() -> None:
    loss = CircularEMDLoss(16)
    output, target, weights = _hues(2, 1, 8, 8), _hues(2, 1, 5, 13, seed=1), _hues(2, 1, 5, 13, seed=2)
    direct = loss(output, target, target_weights=weights)
    assert direct == loss(output, target_histogram=loss.histogram(target, weights)) > 0


def test_pixels_without_weight_do_not_vote() -> None:
    output, other = _hues(1, 1, 8, 8), _hues(1, 1, 8, 8, seed=1)
    mask = (_hues(1, 1, 8, 8, seed=2) > 0.5).double()
    mixed = torch.where(mask > 0, output, other).requires_grad_()
    target, source = _hues(1, 1, 8, 8, seed=3), _hues(1, 1, 8, 8, seed=4)
    for loss, arguments in ((CircularEMDLoss(16), (target, mask)), (MutualInformationLoss(16), (source, mask))):
        masked = loss(mixed, *arguments)
        assert masked.item() == pytest.approx(loss(output, *arguments).item(), abs=1e-12)
        (gradient,) = torch.autograd.grad(masked, mixed)
        assert (gradient[mask == 0] == 0).all() and (gradient[mask > 0] != 0).any()


@pytest.mark.parametrize("grey", ["output", "target"])
def test_an_image_without_colour_adds_nothing(grey: str) -> None:
    output, other = _hues(2, 1, 8, 8).requires_grad_(), _hues(2, 1, 8, 8, seed=1)
    weights = torch.ones(2, 1, 8, 8, dtype=torch.float64)
    weights[1] = 0
    emd = CircularEMDLoss(16)
    loss = emd(output, other, **{f"{grey}_weights": weights})
    assert loss.item() == pytest.approx(emd(output[:1], other[:1]).item() / 2, abs=1e-12)
    information = MutualInformationLoss(16)
    halved = information(output, other, weights)
    assert halved.item() == pytest.approx(information(output[:1], other[:1]).item() / 2, abs=1e-12)
    (gradient,) = torch.autograd.grad(loss + halved, output)
    assert gradient.isfinite().all() and (gradient[1] == 0).all() and (gradient[0] != 0).any()


@pytest.mark.parametrize("where", ["output_hue", "target_hue", "source_hue", "output_weights", "target_weights"])
def test_a_nan_shows_in_the_loss(where: str) -> None:
    """A finite loss with NaN gradients would poison a network whose training is watched by its losses."""
    names = ("output_hue", "target_hue", "source_hue", "output_weights", "target_weights")
    given = {name: _hues(2, 1, 8, 8, seed=seed) for seed, name in enumerate(names)}
    given[where][0, 0, 3, 3] = torch.nan
    given["output_hue"].requires_grad_()
    parts = HueNetLoss(16, adversarial_weight=0.0)(**given)
    (gradient,) = torch.autograd.grad(parts.total, given["output_hue"])
    assert parts.total.isnan()
    assert gradient[1].isfinite().all(), "the other image is as it was"


@pytest.mark.parametrize("form", FORMS)
def test_a_nan_shows_in_the_information(form: str) -> None:
    weights = _hues(1, 1, 8, 8)
    weights[..., 0] = torch.nan
    assert MutualInformationLoss(16, form)(_hues(1, 1, 8, 8), _hues(1, 1, 8, 8, seed=1), weights).isnan()


@pytest.mark.parametrize("form", FORMS)
def test_information_forms_agree_with_their_definitions(form: str) -> None:
    output, source = _hues(1, 1, 16, 16), _hues(1, 1, 16, 16, seed=1)
    loss = MutualInformationLoss(8, form)(output, source)
    bins = Bins(8, boundary="circular")

    def responses(image: torch.Tensor) -> torch.Tensor:
        return dense_responses(image.flatten(), bins)

    joint = responses(source).T @ responses(output) / source.numel()
    p, q, entropy = joint.sum(1), joint.sum(0), torch.special.entr(joint).sum()
    p_entropy, q_entropy = torch.special.entr(p).sum(), torch.special.entr(q).sum()
    information = p_entropy + q_entropy - entropy
    expected = {
        "relative": 1 - information / entropy,
        "conditional": entropy - q_entropy,
        "information": -information,
        "normalized": 1 - 2 * information / (p_entropy + q_entropy),
    }[form]
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_information_is_kept_by_recolouring_and_lost_by_noise(form: str) -> None:
    loss = MutualInformationLoss(8, form)
    source = (torch.arange(8).repeat_interleave(32).view(1, 1, 16, 16) + 0.5).double() / 8
    for recoloured in ((source + 3 / 8) % 1, 1 - source):
        assert loss(recoloured, source).item() == pytest.approx(loss(source, source).item(), abs=1e-12)
        assert loss(recoloured, source) < loss(_hues(1, 1, 16, 16), source) - 0.1


def test_smoothness_by_hand() -> None:
    """A row of four pixels that turn by 0, 0, 1/4, 1/2: unit vectors differ by sqrt(2) twice; 3 pairs across, none down."""
    source = _hues(1, 1, 1, 4)
    output = (source + torch.tensor([0, 0, 0.25, 0.5], dtype=torch.float64)) % 1
    loss = SmoothnessLoss()
    assert loss(output.expand(1, 1, 2, 4), source.expand(1, 1, 2, 4)).item() == pytest.approx(2 * 2 / 3, abs=1e-12)
    votes = torch.tensor([1, 1, 0.5, 0.25], dtype=torch.float64).view(1, 1, 1, 4).expand(1, 1, 2, 4)
    weighted = loss(output.expand(1, 1, 2, 4), source.expand(1, 1, 2, 4), votes)
    assert weighted.item() == pytest.approx((2 * 0.5 + 2 * 0.25) / 3, abs=1e-12)
    assert loss((source + 0.3) % 1, source).item() == pytest.approx(0, abs=1e-12)
    assert loss(output, source).item() == pytest.approx(2 * 2 / 3, abs=1e-12)  # a single row has no pairs down


def test_channels_are_compared_one_by_one() -> None:
    output, target = _hues(2, 3, 8, 8), _hues(2, 3, 8, 8, seed=1)
    weights = _hues(2, 1, 8, 8, seed=2)
    for loss in (CircularEMDLoss(16), MutualInformationLoss(16)):
        together = loss(output, target, weights)
        single = [loss(output[:, [c]], target[:, [c]], weights) for c in range(3)]
        assert together.item() == pytest.approx(torch.stack(single).mean().item(), abs=1e-12)


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    output, target, weights = (_hues(1, 1, 16, 16, seed=seed, dtype=dtype) for seed in range(3))
    for loss in (CircularEMDLoss(16), MutualInformationLoss(16)):
        half, full = loss(output, target, weights), loss(output.float(), target.float(), weights.float())
        assert half.dtype == torch.float32 and half == full


def test_autocast_changes_nothing() -> None:
    output, target = (_hues(1, 1, 16, 16, seed=seed, dtype=torch.float32) for seed in range(2))
    logits = torch.randn(1, 1, 2, 2)
    loss = HueNetLoss(16)
    plain = loss(output, target, target, fake_logits=logits)
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss(output, target, target, fake_logits=logits)
    assert all(a.dtype == torch.float32 and a == b for a, b in zip(cast, plain))


def test_gradients_are_right() -> None:
    target, source = _hues(1, 1, 4, 5, seed=1), _hues(1, 1, 4, 5, seed=2)
    weights = _hues(1, 1, 4, 5, seed=3) + 0.1
    loss = HueNetLoss(6, mi_bins=4, smoothness_weight=10.0)

    def total(output: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return loss(output, target, source, output_weights=weights, target_weights=weights, fake_logits=logits).total

    inputs = _hues(1, 1, 4, 5).requires_grad_(), torch.randn(1, 1, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(total, inputs)
    assert all((gradient != 0).all() for gradient in torch.autograd.grad(total(*inputs), inputs))


def test_adversarial_by_hand() -> None:
    loss, logits = AdversarialLoss(), torch.tensor([[-2.0, 0.0], [1.0, 100.0]], dtype=torch.float64)
    probabilities = torch.sigmoid(logits)
    assert loss(logits).item() == pytest.approx(-probabilities.log().mean().item(), abs=1e-12)
    other = torch.tensor([0.5, -1.0], dtype=torch.float64)
    expected = -other.sigmoid().log().mean() - (1 - logits[:, 0].sigmoid()).log().mean()
    assert loss.discriminator(other, logits[:, 0]).item() == pytest.approx(expected.item(), abs=1e-12)
    # Where the sigmoid would round to 0 the gradient must not vanish: the generator would never learn.
    hopeless = torch.tensor([-200.0], requires_grad=True)
    loss(hopeless).backward()
    assert hopeless.grad.item() == -1


def test_total_is_the_weighted_sum() -> None:
    output, target, source, logits = _hues(1, 1, 8, 8), _hues(1, 1, 8, 8, seed=1), _hues(1, 1, 8, 8, seed=2), torch.zeros(3)
    parts = HueNetLoss(16, smoothness_weight=3.0)(output, target, source, fake_logits=logits)
    expected = 100 * parts.emd.item() + 25 * parts.mi.item() + math.log(2) + 3 * parts.smoothness.item()
    assert parts.total.item() == pytest.approx(expected, abs=1e-6) and parts.smoothness > 0
    assert parts.emd == CircularEMDLoss(16)(output, target) and parts.mi == MutualInformationLoss(16)(output, source)


@pytest.mark.parametrize("part", ["emd", "mi", "adversarial", "smoothness"])
def test_a_part_without_weight_is_not_computed(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = HueNetLoss(16, **{"smoothness_weight": 1.0, f"{part}_weight": 0.0})
    monkeypatch.setattr(getattr(loss, part), "forward", lambda *_: pytest.fail("computed"))
    parts = loss(
        _hues(1, 1, 8, 8),
        _hues(1, 1, 8, 8, seed=1),
        _hues(1, 1, 8, 8, seed=2),
        fake_logits=None if part == "adversarial" else torch.zeros(3),
    )
    assert getattr(parts, part) == 0 and parts.total > 0


def test_configuration_reaches_the_parts() -> None:
    config = LossConfig(
        bins=32,
        mi_bins=8,
        boundary="reflect",
        window="gaussian",
        bandwidth=0.7,
        emd_scale="raw",
        mi_form="conditional",
        emd_weight=1,
        mi_weight=2,
        adversarial_weight=3,
        smoothness_weight=4,
    )
    loss = HueNetLoss.from_config(config)
    assert loss.emd.bins == Bins(32, bandwidth=0.7, boundary="reflect", window="gaussian") and loss.emd.scale == "raw"
    assert loss.mi.bins == Bins(8, bandwidth=0.7, boundary="reflect", window="gaussian") and loss.mi.form == "conditional"
    assert (loss.emd_weight, loss.mi_weight, loss.adversarial_weight, loss.smoothness_weight) == (1, 2, 3, 4)


def test_backend_reaches_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense specification is called where it is asked for, and agrees with the default in values and gradients."""
    called = []
    for name, module in (("soft_histogram", soft_reference), ("joint_histogram", joint_reference)):
        original = module.forward
        monkeypatch.setattr(module, "forward", lambda *given, name=name, original=original: called.append(name) or original(*given))
    values, slopes = [], []
    for backend in (None, "reference"):
        output = _hues(2, 1, 8, 8).requires_grad_()
        loss = HueNetLoss.from_config(LossConfig(bins=16, adversarial_weight=0.0), backend)
        total = loss(output, _hues(2, 1, 8, 8, seed=1), _hues(2, 1, 8, 8, seed=2)).total
        total.backward()
        values.append(total.item())
        slopes.append(output.grad)
        assert sorted(set(called)) == ([] if backend is None else ["joint_histogram", "soft_histogram"])
    assert values[0] == pytest.approx(values[1], rel=1e-10)
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-12)
    with pytest.raises(ValueError, match="backend"):
        CircularEMDLoss(16, backend="fast")(_hues(1, 1, 8, 8), _hues(1, 1, 8, 8))


def test_compiles_in_one_graph() -> None:
    loss = HueNetLoss(16)
    target, source = _hues(1, 1, 8, 8, seed=1, dtype=torch.float32), _hues(1, 1, 8, 8, seed=2, dtype=torch.float32)

    def step(output: torch.Tensor) -> torch.Tensor:
        return loss(output.sigmoid(), target, source, output_weights=source, fake_logits=output).total

    output = torch.randn(1, 1, 8, 8).requires_grad_()
    (expected,) = torch.autograd.grad(step(output), output)
    (compiled,) = torch.autograd.grad(torch.compile(step, backend="aot_eager", fullgraph=True)(output), output)
    assert (expected != 0).any()
    assert torch.allclose(compiled, expected, rtol=1e-5, atol=1e-6)


def test_bad_input_is_named() -> None:
    image, emd, information = _hues(1, 1, 8, 8), CircularEMDLoss(16), MutualInformationLoss(16)
    for call, named in (
        (lambda: emd(image), "target_hue or target_histogram"),
        (lambda: emd(image, image, target_histogram=image), "target_hue or target_histogram"),
        (lambda: emd(image[0], image), r"hue must be .*\(B, C, H, W\)"),
        (lambda: emd(image, image.expand(2, 1, 8, 8)), "batch"),
        (lambda: emd(image, image, image[..., :4]), "weights"),
        (lambda: emd((image * 8).long(), image), "floating-point"),
        (lambda: information(image, image[..., :4]), "source_hue"),
        (lambda: information(image, image, image.expand(1, 2, 8, 8)), "channels"),
        (lambda: SmoothnessLoss()(image, image[..., :4]), "source_hue"),
        (lambda: HueNetLoss(16)(image, image, image), "fake_logits"),
        (lambda: CircularEMDLoss(16, "mean"), "scale"),
        (lambda: MutualInformationLoss(16, "absolute"), "form"),
        (lambda: HueNetLoss(16, mi_weight=-1), "mi_weight must not be negative, got -1"),
        (lambda: HueNetLoss(16, emd_weight=math.nan), "emd_weight must be finite, got nan"),
        (lambda: emd(image.numpy(), image), "hue must be a torch.Tensor, got ndarray"),
        (lambda: emd(image, image, [1.0]), "weights must be a torch.Tensor, got list"),
    ):
        with pytest.raises((TypeError, ValueError), match=named):
            call()


def test_masks_are_weights() -> None:
    output, target, source, mask = *(_hues(2, 1, 8, 8, seed=seed) for seed in range(3)), _hues(2, 1, 8, 8, seed=3) > 0.5
    loss = HueNetLoss(16, adversarial_weight=0.0, smoothness_weight=1.0)
    parts = loss(output, target, source, output_weights=mask, target_weights=mask)
    expected = loss(output, target, source, output_weights=mask.double(), target_weights=mask.double())
    assert all(torch.equal(part, value) for part, value in zip(parts, expected))


def test_images_fade_out_where_their_weights_are_faint() -> None:
    """From a mean weight of 4/255 down to one of 1/255, so that nothing jumps where the hue of a picture is but rounding."""
    output, target, source, weights = (_hues(2, 1, 8, 8, seed=seed) for seed in range(4))
    loss = HueNetLoss.from_config(LossConfig(bins=16, adversarial_weight=0.0))
    weights = weights / weights.mean((1, 2, 3), keepdim=True)

    def parts(mean: float) -> torch.Tensor:
        faint = weights * torch.tensor([1.0, mean / 255]).view(2, 1, 1, 1)
        found = loss(output, target, source, output_weights=faint, target_weights=weights)
        return torch.stack([found.emd, found.mi])

    whole, alone = parts(4.0), parts(0.0)
    torch.testing.assert_close(parts(100.0), whole)
    torch.testing.assert_close(parts(2.5), (whole + alone) / 2)
    torch.testing.assert_close(parts(1.0), alone)
    assert (whole > alone).all()
