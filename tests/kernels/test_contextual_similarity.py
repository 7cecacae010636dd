"""contextual_similarity: blocks of rows against the dense reference, both against loops and cdist, and its laws.

Tolerances. EXACT: exponents are d / (h m), and the smallest minimum of these points is m = 1e-3: distances of order one rounded to
2^-53 leave 1e-12, and gradients divide by m once more. Where points coincide, m + eps is 1e-5 and exponents are rounded to 1e-10:
COINCIDENT. In float32 the error may be twice that of the dense reference in float32, plus that of summing N terms.
"""

from __future__ import annotations

import importlib
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from huenet.kernels import contextual_similarity
from tests.assertions import assert_close, assert_gradients_close, relative_error
from tests.kernels.agreement import check_far_from_the_origin
from tests.kernels.strategies import gradients
from tests.largest import LargestTensor

EXACT, COINCIDENT = 1e-11, 1e-7
DISTANCES, CENTERS, REDUCTIONS = ("cosine", "l2", "l1"), ("batch", "sample", "none"), ("target", "source")
KINDS = [(d, c, r) for d, c, r in itertools.product(DISTANCES, CENTERS, REDUCTIONS) if d == "cosine" or c == "batch"]
MODULE = importlib.import_module("huenet.kernels.contextual_similarity.portable")
OPERATOR = importlib.import_module("huenet.kernels.contextual_similarity").OPERATOR


def points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def similarity(backend: str | None = None, **options: object):
    return lambda x, y: contextual_similarity(x, y, backend=backend, **options)


def compare(x: Tensor, y: Tensor, tolerance: float, **options: object) -> None:
    actual, actual_gradients = gradients(similarity("torch", **options), [x, y])
    expected, expected_gradients = gradients(similarity("reference", **options), [x, y])
    assert_close(actual, expected, tolerance)
    assert_gradients_close(actual_gradients, expected_gradients, tolerance, "x y")


@pytest.fixture(params=["samples together", "rows apart"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of several samples, and of a few rows of one."""
    if request.param == "rows apart":
        monkeypatch.setattr(MODULE, "CPU_BLOCK", 200)
        monkeypatch.setattr(MODULE, "_FEWEST_ROWS", 7)


@pytest.mark.parametrize("distance, center, reduce", KINDS)
@pytest.mark.parametrize("shape", [(37, 53, 5), (53, 37, 1), (64, 64, 17)], ids=str)
def test_agrees_with_reference(block, distance, center, reduce, shape):
    n, m, channels = shape
    if distance == "cosine" and channels == 1:
        channels = 2  # in one channel directions are signs and all affinities tie
    x, y = points(2, 3, n, channels), points(2, 3, m, channels, seed=1)
    compare(x, y, EXACT, distance=distance, center=center, reduce=reduce)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("bandwidth, eps", [(0.1, 1e-5), (0.5, 1e-2), (3.0, 1.0)])
def test_parameters(block, distance, bandwidth, eps):
    compare(points(2, 31, 4), points(2, 45, 4, seed=1), EXACT, distance=distance, bandwidth=bandwidth, eps=eps)


def by_loops(x: Tensor, y: Tensor, distance: str, center: str, reduce: str, h: float = 0.5, eps: float = 1e-5) -> float:
    """The paper's Eq. 1-4 for one sample, number by number."""
    x, y = x.tolist(), y.tolist()
    if distance == "cosine" and center != "none":
        mean = [sum(column) / len(y) for column in zip(*y)]
        x, y = ([[a - b for a, b in zip(row, mean)] for row in rows] for rows in (x, y))

    def d(a: list[float], b: list[float]) -> float:
        if distance == "cosine":
            return (1 - sum(map(math.prod, zip(a, b))) / (math.hypot(*a) * math.hypot(*b))) / 2
        return sum((p - q) ** 2 if distance == "l2" else abs(p - q) for p, q in zip(a, b))

    affinities = []
    for a in x:
        row = [d(a, b) for b in y]
        w = [math.exp((1 - z / (min(row) + eps)) / h) for z in row]
        affinities.append([z / sum(w) for z in w])
    best = map(max, zip(*affinities) if reduce == "target" else affinities)
    return sum(best) / (len(y) if reduce == "target" else len(x))


@pytest.mark.parametrize("distance, center, reduce", KINDS)
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_is_the_papers_formula(backend, distance, center, reduce):
    x, y = points(7, 3), points(9, 3, seed=1)
    actual = contextual_similarity(x, y, distance=distance, center=center, reduce=reduce, backend=backend)
    assert actual.item() == pytest.approx(by_loops(x, y, distance, center, reduce), rel=EXACT)


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_agrees_with_cdist(distance, reduce):
    """As it is usually written, with torch.cdist and autograd through exp and division."""

    def usual(x: Tensor, y: Tensor) -> Tensor:
        d = torch.cdist(x, y, p=1.0) if distance == "l1" else torch.cdist(x, y).square()
        w = torch.exp((1 - d / (d.amin(-1, keepdim=True) + 1e-5)) / 0.5)
        affinity = w / w.sum(-1, keepdim=True)
        return affinity.amax(-2 if reduce == "target" else -1).mean(-1)

    inputs = [points(3, 40, 6), points(3, 50, 6, seed=1)]
    actual, expected = gradients(similarity(distance=distance, reduce=reduce), inputs), gradients(usual, inputs)
    assert_close(actual[0], expected[0], EXACT)
    assert_gradients_close(actual[1], expected[1], EXACT, "x y")


@pytest.mark.parametrize("distance, center, reduce", KINDS)
def test_gradcheck(block, distance, center, reduce):
    x, y = points(2, 9, 3).requires_grad_(), points(2, 8, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(similarity(distance=distance, center=center, reduce=reduce), (x, y))


@pytest.mark.parametrize("metric", ["product", "l2", "l1"])
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_opcheck(metric, reduce):
    x, y = points(2, 6, 3, dtype=torch.float32).requires_grad_(), points(2, 7, 3, seed=1, dtype=torch.float32).requires_grad_()
    torch.library.opcheck(OPERATOR.op, (x, y, 0.5, 1e-5, metric, reduce, "torch"))


@pytest.mark.parametrize("mean_shape", [None, (1, 1, 3), (2, 1, 3)], ids=["origin", "batch", "sample"])
def test_half_directions(mean_shape):
    module = importlib.import_module("huenet.kernels.contextual_similarity.directions")
    inputs = [points(2, 5, 3), *([points(*mean_shape, seed=1)] if mean_shape else [])]
    leaves = [z.clone().requires_grad_() for z in inputs]
    torch.library.opcheck(module.OPERATOR.op, (*leaves, *([] if mean_shape else [None]), "torch"))
    actual, slopes = gradients(module.half_directions, inputs)
    expected, expected_slopes = gradients(lambda v, mean=0: torch.nn.functional.normalize(v - mean, dim=-1) / 2, inputs)
    assert_close(actual, expected, EXACT)
    assert_gradients_close(slopes, expected_slopes, EXACT, "points mean" if mean_shape else "points")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_zero(dtype):
    """Of several; where there is NaN, any."""
    module, nan = importlib.import_module("huenet.kernels.contextual_similarity.portable"), math.nan
    signs = torch.tensor([[1.0, 0, 1, 0], [0, 1, 1, 1], [1, 1, 1, 0], [nan] * 4], dtype=dtype)
    assert module._first_zero(signs.clone(), -1).tolist() == [1, 0, 3, 0]
    assert module._first_zero(signs.mT.clone(), -2).tolist() == [1, 0, 3, 0]


@pytest.mark.parametrize("needs", [(True, False), (False, True)], ids=["x", "y"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_only_what_is_needed_is_differentiated(block, distance, needs):
    inputs = [points(2, 30, 4), points(2, 20, 4, seed=1)]
    results = []
    for backend in ("torch", "reference"):
        x, y = (z.clone().requires_grad_(need) for z, need in zip(inputs, needs))
        contextual_similarity(x, y, distance=distance, backend=backend).sum().backward()
        results.append([z.grad for z in (x, y) if z.grad is not None])
    assert len(results[0]) == 1
    assert_gradients_close(*results, EXACT, "x")


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("spread", [1.0, 0.1, 0.05, 0.01])
def test_float32_errs_no_more_than_the_dense_formula_does(distance, spread):
    """The closer x is to y, the more a rounded distance matters, and the closer the similarity is to 1, the more its slope is what
    rounding leaves of 1 - p."""
    y = points(1, 300, 8, dtype=torch.float32)
    x = y.flip(1) + spread * points(1, 300, 8, seed=1, dtype=torch.float32)

    expected = gradients(similarity("reference", distance=distance), [x.double(), y.double()])
    errors = [
        [relative_error(a, e) for a, e in zip((result, *slopes), (expected[0], *expected[1]))]
        for result, slopes in (
            gradients(f, [x, y]) for f in (similarity(name, distance=distance) for name in ("torch", "reference"))
        )
    ]
    for ours, theirs in zip(*errors):
        assert ours <= 2 * theirs + 300 * 2.0**-24


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("places, apart", [([10.0], 1e-3), ([100.0], 1e-2), ([-1000.0, 1000.0], 0.1)])
def test_near_points_far_from_the_origin(backend, places, apart):
    check_far_from_the_origin(similarity(backend, distance="l2"), places, apart, 200)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("n, m", [(1, 6), (6, 1), (1, 1)])
def test_single_points(distance, reduce, n, m):
    inputs = [points(2, n, 3), points(2, m, 3, seed=1)]
    options = {"distance": distance, "reduce": reduce, "center": "none"}
    actual, expected = (gradients(similarity(backend, **options), inputs) for backend in ("torch", "reference"))
    assert_close(actual[0], expected[0], EXACT)
    for a, e in zip(actual[1], expected[1], strict=True):
        torch.testing.assert_close(a, e, rtol=EXACT, atol=EXACT)
    if m == 1:  # all affinity goes to the one target
        assert (actual[0] == 1).all()


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_of_a_set_with_itself(block, distance, reduce):
    x = points(2, 40, 6)
    actual, slopes = gradients(similarity(distance=distance, reduce=reduce), [x, x])
    assert_close(actual, similarity("reference", distance=distance, reduce=reduce)(x, x), COINCIDENT)
    assert (actual > 0.99).all()
    assert all(slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance, center, reduce", KINDS)
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_masked_and_duplicate_points(block, distance, center, reduce, dtype, value):
    """Published code divides by a negative minimum there and overflows."""
    x, y = points(2, 40, 5, dtype=dtype), points(2, 50, 5, seed=1, dtype=dtype)
    x[0, 10:30], y[0, 5:25] = value, value
    x[1], y[1] = value, value  # all alike: every affinity is 1 / M
    y[0, 30:35] = y[0, 35:40]
    options = {"distance": distance, "center": center, "reduce": reduce}
    actual, slopes = gradients(similarity("torch", **options), [x, y])
    expected = similarity("reference", **options)(x.double(), y.double())
    assert_close(actual, expected, COINCIDENT if dtype == torch.float64 else 5e-3)  # 2^-24 over h eps, twice
    if center != "batch" or distance != "cosine":
        assert actual[1].item() == pytest.approx(1 / 50, rel=1e-6)
        assert all(slope[1].norm() <= 1e-4 * slope[0].norm() for slope in slopes)  # of either sign, and so 0
    assert all(slope.isfinite().all() and slope[0].any() for slope in slopes)


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_a_zero_vector_points_along_the_diagonal(backend):
    x, y = points(1, 3, 4), points(1, 5, 4, seed=1)
    diagonal = x.clone()
    x[0, 1], diagonal[0, 1] = 0, 7
    value = similarity(backend, center="none")
    assert_close(value(x, y), value(diagonal, y), EXACT)
    _, (slope, _) = gradients(value, [x, y])
    assert not slope[0, 1].any() and slope[0, 0].any()


@pytest.mark.parametrize("distance", ["l2", "l1"])
def test_ties_go_to_the_lowest_index(block, distance):
    """Rows 2 and 3 are equal, as are columns 1 and 4: the later ones win nothing and are nobody's nearest."""
    x, y = points(1, 20, 4), points(1, 6, 4, seed=1)
    x[0, 3], y[0, 4] = x[0, 2], y[0, 1]
    x[0, 2:4] += 0.1 * (y[0, 1] - x[0, 2])
    _, (slope, _) = gradients(similarity(distance=distance, bandwidth=0.1), [x, y])
    assert not slope[0, 3].any()
    _, expected = gradients(similarity("reference", distance=distance, bandwidth=0.1), [x, y])
    assert_close(slope, expected[0], EXACT)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    distance=st.sampled_from(DISTANCES),
    reduce=st.sampled_from(REDUCTIONS),
)
def test_laws(seed, n, m, distance, reduce):
    x, y = points(n, 3, seed=seed), points(m, 3, seed=seed + 1)
    value = similarity(distance=distance, reduce=reduce)
    cx = value(x, y)
    assert 1 / max(n, m) ** 2 <= cx <= 1 + EXACT  # every row gives some column at least 1 / M
    if reduce == "source":
        assert cx >= 1 / m - EXACT
    shuffle = torch.Generator().manual_seed(seed)
    mixed = x[torch.randperm(n, generator=shuffle)], y[torch.randperm(m, generator=shuffle)]
    # a permutation changes no distance but for the rounding of y's mean, which the smallest minimum magnifies
    assert_close(value(*mixed), cx, COINCIDENT)
    assert_close(value(x + 3, y + 3), cx, COINCIDENT)  # centred, or distances of differences
    if distance == "cosine":
        assert_close(value(5 * x, 5 * y), cx, COINCIDENT)


def test_rows_that_win_nothing_have_no_gradient():
    x, y = points(1, 60, 3), points(1, 20, 3, seed=1)
    _, (slope, _) = gradients(similarity(), [x, y])
    assert int(slope[0].any(-1).sum()) <= 20


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_nan_or_infinity_shows_in_its_sample(block, distance):
    x, y = points(3, 30, 4), points(3, 30, 4, seed=1)
    x[0, 7, 1], y[1, 7, 2] = torch.nan, torch.inf
    leaves = [z.requires_grad_() for z in (x, y)]
    actual = similarity(distance=distance, center="sample")(x, y)
    slopes = torch.autograd.grad(actual.sum(), leaves)
    expected = similarity("reference", distance=distance, center="sample")(x[2], y[2])
    assert actual[:2].isnan().all() and all(slope[:2].isnan().all() for slope in slopes)
    assert_close(actual[2], expected, EXACT)
    assert_gradients_close([slope[2] for slope in slopes], [e[2] for e in torch.autograd.grad(expected, leaves)], EXACT, "x y")


@pytest.mark.parametrize("metric", ["product", "l2", "l1"])
def test_the_distances_are_never_stored(metric):
    """8,192 x 8,192 of them are 256 MB in float32; points and gradients 1 MB, blocks of rows some MB."""
    x, y = points(1, 8192, 8, dtype=torch.float32), points(1, 8192, 8, seed=1, dtype=torch.float32)
    with LargestTensor() as seen:
        _, *held = MODULE.forward(x, y, 0.5, 1e-5, metric, "target")
        grads = MODULE.backward(torch.ones(1), x, y, *held, 0.5, 1e-5, metric, "target", [True, True])
    assert all(grad.any() for grad in grads)
    assert seen.bytes <= 4 * max(x.numel(), MODULE.CPU_BLOCK)  # a block of rows


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "strided", "stride-0 gradient", "empty", "mixed"])
def test_inputs(kind):
    x, y = points(2, 30, 6, dtype=torch.float32), points(2, 20, 6, seed=1, dtype=torch.float32)
    if kind in ("float16", "bfloat16"):
        half = [z.to(getattr(torch, kind)) for z in (x, y)]
        result, slopes = gradients(similarity(), half)
        expected, expected_slopes = gradients(similarity(), [z.float() for z in half])
        assert result.dtype == torch.float32 and torch.equal(result, expected)
        assert_gradients_close(slopes, expected_slopes, 2.0**-8, "x y")  # rounded to half once
    elif kind == "strided":
        strided = [z.repeat_interleave(2, -1).mT.contiguous().mT[..., ::2] for z in (x, y)]
        assert not strided[0].is_contiguous()
        assert_close(similarity()(*strided), similarity()(x, y), 1e-6)  # y's mean is summed in another order
    elif kind == "stride-0 gradient":
        slopes = []
        for weight in (torch.ones(()).expand(2), torch.ones(2)):
            leaf = x.clone().requires_grad_()
            similarity()(leaf, y).backward(weight)
            slopes.append(leaf.grad)
        assert torch.equal(*slopes) and slopes[0].any()
    elif kind == "empty":
        leaf = x[:0].requires_grad_()
        result = similarity()(leaf, y[:0])
        result.sum().backward()
        assert result.shape == (0,) and leaf.grad.shape == (0, 30, 6)
    else:
        assert similarity()(x.half(), y.double()).dtype == torch.float64


def test_leading_dimensions_broadcast():
    x, y = points(2, 1, 9, 3), points(3, 8, 3, seed=1)
    actual, slopes = gradients(similarity(center="sample"), [x, y])
    assert actual.shape == (2, 3) and [s.shape for s in slopes] == [x.shape, y.shape]
    assert_close(actual[1, 2], similarity(center="sample")(x[1, 0], y[2]), EXACT)
    assert similarity()(x[0, 0], y[0]).shape == ()


def test_autocast_changes_nothing():
    x, y = points(2, 30, 6, dtype=torch.float32), points(2, 20, 6, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        cast = similarity()(x, y)
    assert torch.equal(cast, similarity()(x, y))


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_compiles_without_graph_breaks(reduce):
    inputs = [points(2, 30, 6), points(2, 20, 6, seed=1)]
    compiled = torch.compile(similarity(reduce=reduce), fullgraph=True, backend="aot_eager")
    actual, expected = gradients(compiled, inputs), gradients(similarity(reduce=reduce), inputs)
    assert_close(actual[0], expected[0], 0.0)
    assert_gradients_close(actual[1], expected[1], EXACT, "x y")


def test_derivatives_that_cannot_be_had_raise():
    x, y = points(9, 3).requires_grad_(), points(8, 3, seed=1)
    (slope,) = torch.autograd.grad(similarity()(x, y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once only"):
        torch.autograd.grad(slope.sum(), x)
    with pytest.raises(RuntimeError, match=r"torch\.func transforms are not supported"):
        torch.func.grad(lambda z: similarity()(z, y))(x.detach())


def test_the_reference_has_second_derivatives():
    inputs = points(5, 3).requires_grad_(), points(4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradgradcheck(similarity("reference"), inputs)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: contextual_similarity([1.0], x), TypeError, "x must be a torch.Tensor, got list"),
        (lambda x: contextual_similarity(x, x.long()), TypeError, "y must be a floating tensor, got torch.int64"),
        (lambda x: contextual_similarity(x[0], x), ValueError, r"x must be points \(..., N, C\) .* got \(3,\)"),
        (lambda x: contextual_similarity(x, x[:0]), ValueError, r"y must be points .* at least one point"),
        (lambda x: contextual_similarity(x, x[:, :2]), ValueError, "y must have the channels of x, expected 3"),
        (lambda x: contextual_similarity(x.expand(2, 4, 3), x.expand(3, 4, 3)), ValueError, "y must broadcast against x"),
        (lambda x: contextual_similarity(x, x.to("meta")), ValueError, "y must be on the device of x"),
        (lambda x: contextual_similarity(x, x, bandwidth=0), ValueError, "bandwidth must be a finite number above 0, got 0"),
        (lambda x: contextual_similarity(x, x, bandwidth=math.nan), ValueError, "bandwidth must be .* got nan"),
        (lambda x: contextual_similarity(x, x, bandwidth="a"), ValueError, "bandwidth must be .* got 'a'"),
        (lambda x: contextual_similarity(x, x, eps=0.0), ValueError, "eps must be a finite number of at least 1e-12, got 0.0"),
        (lambda x: contextual_similarity(x, x, distance="dot"), ValueError, "distance must be one of 'cosine', .* got 'dot'"),
        (lambda x: contextual_similarity(x, x, center=None), ValueError, "center must be one of 'batch', .* got None"),
        (lambda x: contextual_similarity(x, x, reduce="mean"), ValueError, "reduce must be one of 'target', .* got 'mean'"),
        (lambda x: contextual_similarity(x, x, backend="cuda"), ValueError, "backend must be None or one of .*, got 'cuda'"),
        (lambda x: contextual_similarity(x, x, backend="triton"), ValueError, "backend 'triton' needs samples on a GPU"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(points(4, 3))
