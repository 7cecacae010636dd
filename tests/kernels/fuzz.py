"""Operators under whatever people give them: random settings, values, dtypes and layouts, every backend against the reference.

A case is drawn by hypothesis, which finds the simplest that fails and prints it; it says all that is needed to draw its tensors
again: `check(Case(...), "torch")` becomes a test. `make fuzz` runs thousands of each operator, the tests a few.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import HealthCheck, given, reject, seed, settings
from hypothesis import strategies as st
from torch import Tensor

from huenet.kernels import Bins
from huenet.kernels.common.cases import Settings, declared
from huenet.kernels.common.windows import WINDOWS as WINDOW_OF
from huenet.kernels.local_mutual_information.patches import Patches
from tests.kernels.agreement import EXACT, SINGLE, kinds
from tests.kernels.strategies import ALL_WINDOWS, boundaries_of, gradients, upstream

NAMES = tuple(declared())
INFORMATION = ("mutual_information", "local_mutual_information")
RANGES = ((0.0, 1.0), (-1.0, 2.0), (0.0, 255.0), (1000.1, 1001.1), (-1024.0, 3071.0), (1e-3, 2e-3))
SPECIAL = (math.nan, math.inf, -math.inf, 1e30, -1e30, 1e-40, -0.0, 0.5, 1.0)
#: half precision rounds the gradient of a half-precision input once, on its way out
ROUNDED = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


@dataclass(frozen=True)
class Case:
    """One call of an operator."""

    operator: str
    settings: Settings
    rows: int
    size: int
    dtype: torch.dtype
    #: how values are drawn, and the range that they are drawn for
    values: str
    low: float
    high: float
    #: how tensors lie in memory
    layout: str
    weights: str | None
    #: values put into the inputs here and there
    special: tuple[float, ...]
    seed: int

    def inputs(self) -> list[Tensor]:
        """The operator's tensors."""
        cases, generator = declared()[self.operator].CASES, torch.Generator().manual_seed(self.seed)
        votes = torch.promote_types(self.dtype, torch.float32)  # gradients of tiny ones overflow in half precision
        inputs = []
        for chosen in cases.inputs:
            shape = chosen.shape(self.size, self.rows)
            if chosen.name == "weights":
                if self.weights:
                    inputs.append(_laid_out(_weights(self.weights, shape, generator), self.layout).to(votes))
                continue
            x = _values(self.values, shape, self.low, self.high, generator)
            for value in self.special if chosen.name == cases.inputs[self.seed % len(cases.inputs)].name else ():
                x.view(-1)[torch.randint(x.numel(), (), generator=generator)] = value
            inputs.append(_laid_out(x.to(self.dtype), self.layout))
        return inputs

    def call(self, backend: str, dtype: torch.dtype | None = None) -> tuple[Tensor, list[Tensor]]:
        """Result and gradients, with inputs of another dtype perhaps."""
        cases, inputs = declared()[self.operator].CASES, self.inputs()
        return gradients(
            lambda *given: cases.call(list(given), backend, **self.settings),
            [x if dtype is None else x.to(dtype) for x in inputs],
        )


def _values(kind: str, shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """float64 over [0, 1] for the kind, brought to the range."""
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    if kind == "beyond":
        x = x * 3 - 1
    elif kind == "levels":  # of eight bits, both ends among them
        x = (x * 255).round() / 255
    elif kind == "edges":  # of bins, or their centres
        x = (x * 32).round() / 32
    elif kind == "few":
        x = (x * 3).floor() / 3 + 0.1
    elif kind == "constant":
        x = torch.full_like(x, 0.37)
    return low + (high - low) * x


def _weights(kind: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    return {"some": x, "mask": (x > 0.5).double(), "none": torch.zeros_like(x), "tiny": x * 1e-6, "one": (x == x.max()).double()}[
        kind
    ]


def _laid_out(x: Tensor, layout: str) -> Tensor:
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "strided":
        return x.repeat_interleave(2, -1)[..., ::2]
    return x


@st.composite
def cases(draw: Any, operator: str, most: int = 40) -> Case:
    """A case of an operator, with at most so many samples (points, bins) an image."""
    low, high = draw(st.sampled_from(RANGES)) if operator not in ("emd", "harmonic_energy", "contextual_similarity") else (0.0, 1.0)
    options: Settings = {}
    sizes = st.integers(1, most)
    histograms = ("soft_histogram", "joint_histogram", "mutual_information", "histogram_emd")
    if operator in (*histograms, "patch_histogram", "local_mutual_information", "response_sum"):
        window = draw(st.sampled_from(ALL_WINDOWS))
        options["bins"] = Bins(
            draw(st.sampled_from([1, 2, 3, 7, 16, 33, 64] + [100, 256] * (most > 20))), low, high,
            draw(st.sampled_from([None, 0.1, 0.4, 0.7, 1.0, 1.5, 3.0, 9.0])), draw(st.sampled_from(boundaries_of(window))), window,
        )  # fmt: skip
    if operator in INFORMATION:
        options["marginals"] = draw(st.sampled_from(["joint", "histogram"]))
    if operator == "histogram_emd":
        options |= {"circular": draw(st.booleans()), "squared": True}
    if operator == "patch_histogram":
        sizes = st.integers(4, 9)
        options |= {"patch": draw(st.integers(1, 4)), "stride": draw(st.integers(1, 5))}
    if operator == "local_mutual_information":
        sizes = st.integers(4, 9)
        lengths = draw(st.integers(1, 2))
        options["patch"] = tuple(draw(st.integers(1, 4)) for _ in range(lengths))
        options["stride"] = tuple(draw(st.integers(1, 5)) for _ in range(lengths))
    if operator == "squared_mutual_information":
        low, high = -1.0, 1.0
        options |= {"centers": draw(st.integers(1, 9)), "sigma": draw(st.sampled_from([0.3, 1.0, 2.0])),
                    "beta": draw(st.sampled_from([0.1, 0.5, 0.9])), "ridge": draw(st.sampled_from([0.01, 0.05, 1.0]))}  # fmt: skip
    if operator == "contextual_similarity":
        options |= {
            "distance": draw(st.sampled_from(["cosine", "l2", "l1"])),
            "reduce": draw(st.sampled_from(["target", "source"])),
            "bandwidth": draw(st.sampled_from([0.1, 0.5, 2.0])),
            "center": draw(st.sampled_from(["sample", "batch", "none"])),
        }
        sizes = st.integers(2, most)
    if operator == "harmonic_energy":
        options |= {"distance": draw(st.sampled_from(["l1", "l2"])), "sigma": draw(st.sampled_from([0.5, 1.5, 5.0]))}
        sizes = st.integers(2, most)
    points = operator in ("contextual_similarity", "harmonic_energy")
    # the squares of float32 beyond 1e19 are infinite
    special = [value for value in SPECIAL if not points or abs(value) != 1e30]
    if operator == "emd":
        options["circular"] = draw(st.booleans())
    return Case(
        operator, options, draw(st.integers(1, 3)), draw(sizes),
        draw(st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16])),
        draw(st.sampled_from(["uniform", "beyond", "levels", "edges", "few", "constant"])), low, high,
        draw(st.sampled_from(["plain", "transposed", "strided"])),
        draw(st.sampled_from([None, "some", "mask", "none", "tiny", "one"])),
        draw(st.lists(st.sampled_from(special), max_size=2).map(tuple)), draw(st.integers(0, 2**31 - 1)),
    )  # fmt: skip


def check(case: Case, backend: str) -> None:
    """The backend's result and gradients against the reference's: not finite in the same places, and elsewhere as near to
    float64's as rounding allows, relative to what they are and to the terms that may cancel in them."""
    exact = case.dtype == torch.float64
    actual, expected = case.call(backend), case.call("reference", torch.float64)
    same = expected if exact else case.call("reference")
    names = ["result", *(f"gradient of {chosen.name}" for chosen in declared()[case.operator].CASES.inputs)]
    for name, a, e, s in zip(names, *([z[0], *z[1]] for z in (actual, expected, same))):
        # where the reference overflows, but would not in float64, a backend need not
        alike = (kinds(a) == kinds(s)) | (kinds(a) == kinds(e))
        assert alike.all(), f"{name}: {kinds(a).tolist()}, expected {kinds(s).tolist()}"
        if name != "result" and _ambiguous(case, name):
            continue
        finite = a.isfinite() & e.isfinite() & s.isfinite()
        a, e, s = (z.double()[finite] for z in (a, e, s))
        bound = EXACT if exact else SINGLE + (ROUNDED.get(case.dtype, 0.0) if name != "result" else 0.0)
        allowed = bound * max(e.norm().item(), _terms(case, name, expected[0]))
        allowed = max(allowed, 2 * (s - e).norm().item())
        error = (a - e).norm().item()
        assert error <= allowed, f"{name}: error {error:.2e} above {allowed:.2e}, of {e.norm():.2e}"


def _terms(case: Case, name: str, result: Tensor) -> float:
    """A bound on the size of the terms whose sum a result or gradient is, in multiples of how finely they are rounded.

    A response is at most 1, its slope 1 / W bins. Distances in bins are rounded, which narrow windows magnify: `agreement` has
    its bound for W = 0.4.
    """
    bins, operator = case.settings.get("bins"), case.operator
    given = upstream(result).norm().item()
    if operator == "squared_mutual_information":  # a quadratic form of at most 1 / beta, less 1
        # alpha and the ridge's own term, of at most 1 / ridge, nearly cancel in the gradient of a sample or two
        return 1 / case.settings["beta"] if name == "result" else given / (case.settings["ridge"] * case.settings["sigma"])
    if operator == "contextual_similarity" and case.settings["distance"] == "cosine" and name == "result":
        # of coincident points, distances are rounded to that of one, and exponents are distances over bandwidth times eps, 1e-5
        exact = case.dtype == torch.float64
        rounding = torch.finfo(torch.float64 if exact else torch.float32).eps
        return 2 * rounding / (1e-5 * case.settings["bandwidth"]) / (EXACT if exact else SINGLE) * result.norm().item()
    if bins is None:
        return 0.0
    narrow = max(1.0, 0.4 / bins.effective_bandwidth)
    # images of a sample at the boundary, whose slopes may cancel
    images = {"open": 1, "reflect": 3, "circular": 2 * math.ceil(bins.radius(torch.float64) / bins.count) + 1}[bins.boundary]
    largest = {
        # both axes are rounded
        "joint_histogram": 2.0,
        # marginals are divided by and logarithms taken, of 2^-53 at the least, -37
        "mutual_information": 80.0,
        "local_mutual_information": 80.0,
        # K cumulative sums of at most 1, squared; their slope is twice their sum
        "histogram_emd": 2.0 * bins.count**1.5,
        "patch_histogram": case.settings["patch"] ** 2 if operator == "patch_histogram" else 1,
    }.get(operator, 1.0)
    if name == "result":
        return narrow * largest * math.sqrt(result[..., 0].numel() if operator == "local_mutual_information" else case.rows)
    if operator == "local_mutual_information":  # a pixel's gradient is the sum of so many patches'
        given *= math.sqrt(math.prod(map(lambda a, b: -(-a // b), case.settings["patch"], case.settings["stride"])))
    if name == "gradient of weights":
        sums = case.inputs()[-1].double()
        if operator == "local_mutual_information":
            sums = Patches(case.settings["patch"], case.settings["stride"]).unfolded(sums)
        sums = sums.sum(-1)
        total = sums[sums > 0].min().item() if bool((sums > 0).any()) else 1.0
        return narrow * largest * given * math.sqrt(case.size) / total
    return narrow * images * largest * given * bins.scale / bins.effective_bandwidth


def _ambiguous(case: Case, name: str) -> bool:
    """Whether a slope hangs on rounding: on which of equal minima or maxima is taken, on which side of a kink a sample is, or on
    whether a cell in which a sample without a vote responds is empty, so that its logarithm counts as 0, or nearly so."""
    if case.operator in INFORMATION and name == "gradient of weights" and case.weights in ("mask", "one", "none"):
        return True
    if _on_a_kink(case):
        return True
    tied = case.values not in ("uniform", "beyond") or any(map(math.isfinite, case.special))
    if case.operator in ("emd", "histogram_emd"):
        return case.settings["circular"] and (tied or case.size == 1)
    return case.operator == "contextual_similarity" and (tied or case.dtype != torch.float64)


def _on_a_kink(case: Case) -> bool:
    """Whether a sample is so near to where a window or its slope may jump that rounding may take it to the other side."""
    bins = case.settings.get("bins")
    if bins is None:
        return False
    near = 1e-10 if case.dtype == torch.float64 else 1e-4
    for x in case.inputs()[: 2 if case.operator in ("joint_histogram", *INFORMATION) else 1]:
        t = bins.coordinate(x.double())
        for knot in WINDOW_OF[bins.window].knots:
            place = t - 0.5 - knot * bins.effective_bandwidth
            if ((place - place.round()).abs() <= near * (1 + place.abs())).any():
                return True
    return False


def fuzzed(operator: str, backend: str, count: int, most: int) -> None:
    """Check an operator in so many cases, or FUZZ_CASES; FUZZ_SEED draws others."""
    count, first = int(os.environ.get("FUZZ_CASES", count)), int(os.environ.get("FUZZ_SEED", "0"))

    @seed(first)
    @settings(
        max_examples=count, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    @given(cases(operator, most))
    def run(case: Case) -> None:
        try:
            check(case, backend)
        except ValueError as error:
            if not str(error).startswith(f"backend '{backend}'"):
                raise
            reject()  # as it says that it cannot serve these settings

    try:
        run()
    except BaseException as error:
        error.add_note(f"{operator}, backend {backend}: FUZZ_SEED={first} FUZZ_CASES={count} finds it again")
        raise
