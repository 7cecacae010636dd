"""huenet.color against the standard library's colorsys, and its gradients at the corners of the colour
cube."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest
import torch

from huenet.color import color_weights, encode_hue, hsv_to_rgb, mean_chroma, rgb_to_hsv, turns_of, unit_vector, wrap_hue

DTYPES = [torch.float32, torch.float64]
# A sextant is a quotient of differences of numbers up to 1: a few roundings, divided by the chroma (>= 1/15).
TOLERANCE = {torch.float32: 64 * 2.0**-23, torch.float64: 64 * 2.0**-52}


def _grid(steps: int) -> np.ndarray:
    return np.array(list(itertools.product(np.linspace(0.0, 1.0, steps), repeat=3)))


def _as_image(colors: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(colors, dtype=dtype).T.reshape(3, 1, -1)


def _circular_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ((a - b + 0.5) % 1.0 - 0.5).abs()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["grid", "bytes", "random"])
def test_rgb_to_hsv_is_colorsys(dtype: torch.dtype, kind: str) -> None:
    rng = np.random.default_rng(0)
    colors = {
        "grid": _grid(17),
        "bytes": rng.integers(0, 256, (3000, 3)) / 255.0,
        "random": rng.random((3000, 3)),
    }[kind]
    image = _as_image(colors, dtype)
    stored = image.reshape(3, -1).T.double().numpy()  # what the dtype kept of the colours
    expected = _as_image(np.array([colorsys.rgb_to_hsv(*color) for color in stored]), torch.float64)
    got = rgb_to_hsv(image)
    assert got.dtype == dtype
    chroma = (image.amax(0) - image.amin(0)).double()
    # Subtraction is exact to half a unit in the last place; dividing by the chroma magnifies it.
    allowed = 8 * torch.finfo(dtype).eps / chroma.clamp(min=1e-3)
    assert (_circular_distance(got[0].double(), expected[0]) <= allowed).all()
    assert (got[1:].double() - expected[1:]).abs().max() <= 8 * torch.finfo(dtype).eps
    assert ((got[0] >= 0) & (got[0] < 1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_hsv_to_rgb_is_colorsys(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(1)
    colors = np.concatenate([_grid(19), rng.random((3000, 3))])  # 18 steps a turn: every corner of the hexcone
    image = _as_image(colors, dtype)
    stored = image.reshape(3, -1).T.double().numpy()
    expected = _as_image(np.array([colorsys.hsv_to_rgb(*color) for color in stored]), torch.float64)
    got = hsv_to_rgb(image)
    assert got.dtype == dtype
    assert (got.double() - expected).abs().max() <= 16 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip_of_every_eight_bit_grid_color(dtype: torch.dtype) -> None:
    image = _as_image(_grid(16), dtype)
    assert (hsv_to_rgb(rgb_to_hsv(image)) - image).abs().max() <= TOLERANCE[dtype]


def test_leading_dimensions() -> None:
    image = torch.rand(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    batched = rgb_to_hsv(image)
    assert torch.equal(batched[1, 2], rgb_to_hsv(image[1, 2]))
    assert color_weights(batched).shape == (2, 5, 1, 4, 6)


def test_weights_are_the_chroma() -> None:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chroma = image.amax(1, keepdim=True) - image.amin(1, keepdim=True)
    torch.testing.assert_close(color_weights(rgb_to_hsv(image)), chroma, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hue_never_rounds_to_one(dtype: torch.dtype) -> None:
    below_zero = torch.tensor([-1e-30, -1e-10, -1e-45, -0.0, 0.0, 1.0, -1.0, 3.0], dtype=dtype)
    assert ((wrap_hue(below_zero) >= 0) & (wrap_hue(below_zero) < 1)).all()
    almost_red = torch.tensor([1.0, 0.0, 1e-12], dtype=dtype).reshape(3, 1, 1)  # a hue just under a full turn
    assert 0 <= rgb_to_hsv(almost_red)[0].item() < 1


def test_hue_is_taken_modulo_one() -> None:
    hsv = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for turns in (-2.0, -1.0, 1.0, 5.0):
        turned = hsv + torch.tensor([turns, 0.0, 0.0], dtype=torch.float64).reshape(3, 1, 1)
        torch.testing.assert_close(hsv_to_rgb(turned), hsv_to_rgb(hsv), rtol=0, atol=1e-13)


def test_gradients_at_generic_colors() -> None:
    # 0.09 apart in every channel: far from the kinks where two channels change places.
    colors = [[0.2, 0.5, 0.9], [0.9, 0.3, 0.12], [0.4, 0.8, 0.1], [0.7, 0.2, 0.4]]
    rgb = _as_image(np.array(colors), torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_hsv, rgb)
    hsv = _as_image(np.array([[0.05, 0.3, 0.7], [0.3, 0.9, 0.4], [0.62, 0.5, 0.5]]), torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(hsv_to_rgb, hsv)
    assert torch.autograd.gradcheck(color_weights, hsv)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_finite_at_the_special_colors(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    colors = np.concatenate([_grid(3), [[0.3, 0.3, 0.3], [tiny, 0, 0], [tiny / 2, 0, 0], [0.5, 0.5, 0.5 + 1e-7]]])
    for convert in (rgb_to_hsv, hsv_to_rgb, lambda rgb: hsv_to_rgb(rgb_to_hsv(rgb))):
        image = _as_image(colors, dtype).requires_grad_()
        output = convert(image)
        output.sum().backward()
        assert torch.isfinite(output).all() and torch.isfinite(image.grad).all()
        assert image.grad.abs().sum() > 0


def test_hue_of_grey_has_no_gradient() -> None:
    image = torch.full((3, 2, 2), 0.4, requires_grad=True)
    rgb_to_hsv(image)[0].sum().backward()
    assert (image.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hsv = rgb_to_hsv(image)
        rgb = hsv_to_rgb(hsv)
    assert torch.equal(hsv, rgb_to_hsv(image.float())) and rgb.dtype == torch.float32
    rgb.sum().backward()
    assert image.grad.dtype == dtype and torch.isfinite(image.grad).all()


def test_compiles_without_graph_breaks() -> None:
    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(lambda rgb: hsv_to_rgb(rgb_to_hsv(rgb)), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), image)


def test_turns_of_inverts_unit_vector_and_is_safe_at_zero() -> None:
    turns = torch.linspace(-0.49, 0.49, 99, dtype=torch.float64).view(1, 1, 9, 11)
    assert torch.allclose(turns_of(unit_vector(turns)), turns, atol=1e-15)
    for length in (0.0, 1e-30, 1e-9):
        vector = torch.full((1, 2, 1, 1), length, requires_grad=True)
        turned = turns_of(vector)
        turned.sum().backward()
        assert abs(turned.item()) <= length and vector.grad.abs().max() < 1


def test_encoded_hues_are_in_range_and_vectors_meet_at_red() -> None:
    hue = torch.tensor([0.0, 0.25, 0.5, 1.0, 0.7]).view(1, 1, 1, 5)
    hsv = torch.cat([hue, torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 5), torch.ones_like(hue)], dim=1)
    assert encode_hue(hsv, "value").flatten()[:4].tolist() == [-1, -0.5, 0, 1]
    vectors = encode_hue(hsv, "vector")
    assert torch.allclose(vectors[..., 0], vectors[..., 3], atol=1e-6)
    assert (vectors[..., 4] == 0).all()  # grey


def test_wrong_input() -> None:
    for function in (rgb_to_hsv, hsv_to_rgb, color_weights):
        with pytest.raises(ValueError, match=r"must have shape .*\(2, 4, 4\)"):
            function(torch.rand(2, 4, 4))
        with pytest.raises(ValueError, match="must have shape"):
            function(torch.rand(3))
        with pytest.raises(TypeError, match="uint8"):
            function(torch.zeros(3, 4, 4, dtype=torch.uint8))
        with pytest.raises(TypeError, match="ndarray"):
            function(np.zeros((3, 4, 4)))


@pytest.mark.parametrize("channel", range(3))
def test_a_nan_is_no_grey(channel):
    rgb = torch.full((3, 1, 2), 0.5)
    rgb[channel, 0, 1] = torch.nan
    hsv = rgb_to_hsv(rgb)
    assert hsv[:, 0, 1].isnan().all() and hsv[:, 0, 0].tolist() == [0.0, 0.0, 0.5]
    assert color_weights(hsv)[0, 0, 1].isnan()
    vector = torch.tensor([0.0, 0.0]).index_fill(0, torch.tensor([min(channel, 1)]), torch.nan).view(1, 2, 1, 1)
    assert turns_of(vector).isnan()


def test_mean_chroma_is_that_of_the_weights():
    rgb = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(mean_chroma(rgb), color_weights(rgb_to_hsv(rgb)).mean((-3, -2, -1)))
