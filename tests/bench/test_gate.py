"""No time is taken of wrong numbers: the gate refuses a provider that is off in its result, its gradient, or at one size only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from bench import images, operators, worker
from bench.cases import Case, suite
from bench.gate import relative_error
from bench.images import base_shape, hues, repeated
from bench.operators import OPERATORS, Run
from bench.providers import PROVIDERS, unavailable
from bench.worker import Failure, Session

CASE = Case("soft_histogram", side=16, bins=32)


def session(monkeypatch: pytest.MonkeyPatch, change: Callable[[Run], Run], provider: str = "torch") -> Session:
    """A session whose provider is huenet's with its run changed."""
    operator = OPERATORS["soft_histogram"]
    honest = operator.huenet
    changed = dataclasses.replace(
        operator, huenet=lambda case, name: honest(case, name) if name == "reference" else change(honest(case, name))
    )
    monkeypatch.setitem(operators.OPERATORS, "soft_histogram", changed)
    monkeypatch.setattr(worker, "_TRUTHS", {})
    return Session(provider, "cpu")


def test_right_numbers_pass_with_their_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = session(monkeypatch, lambda run: run).prepare(CASE)["errors"]
    assert 0 < errors["result"] < 2e-6 and 0 < errors["gradient"] < 2e-6


def test_a_wrong_result_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="the result is off by") as caught:
        session(monkeypatch, lambda run: lambda given: 1.001 * run(given)).prepare(CASE)
    assert caught.value.status == "wrong"


def test_a_wrong_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, histogram):
            return histogram.clone()

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    with pytest.raises(Failure, match=r"the gradient of x is off by 1\.0e"):
        session(monkeypatch, lambda run: lambda given: Doubled.apply(run(given))).prepare(CASE)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    with pytest.raises(Failure, match="the result is off by nan"):
        session(monkeypatch, lambda run: lambda given: run(given) + value).prepare(CASE)


def test_full_size_is_checked_not_only_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that forgets all samples but the first 1,024 of an image four times that large is right on the base, and even
    its histogram is, as the rest repeats the first; its gradient is not."""
    monkeypatch.setattr(images, "LARGEST", 1 << 15)
    large = dataclasses.replace(CASE, side=64)
    assert base_shape(large)[1] == 32
    forgetful = lambda run: lambda given: run(type(given)(x=given.x[:, :1024]))  # noqa: E731
    with pytest.raises(Failure, match="the gradient of x is off by"):
        session(monkeypatch, forgetful).prepare(large)


def test_other_mathematics_is_checked_against_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half precision inside, which float64 inputs escape, is found; a different formula is not held against a library."""
    operator = OPERATORS["soft_histogram"]
    monkeypatch.setattr(worker, "_TRUTHS", {})

    def library(rounding: torch.dtype) -> Callable[[Case], Run]:
        def run(given):
            low = given.x if given.x.dtype == torch.float64 else given.x.to(rounding).float()
            return 3 * operator.naive(CASE)(type(given)(x=low))

        return lambda case: run

    for rounding, passes in ((torch.float32, True), (torch.bfloat16, False)):
        monkeypatch.setitem(
            operators.OPERATORS, "soft_histogram", dataclasses.replace(operator, peers={"kornia": library(rounding)})
        )
        if passes:
            Session("kornia", "cpu").prepare(CASE)
        else:
            with pytest.raises(Failure, match="off by"):
                Session("kornia", "cpu").prepare(CASE)


@pytest.mark.parametrize("operator", [name for name, operator in OPERATORS.items() if operator.naive])
def test_every_operator_passes_with_huenet_and_naive(operator: str) -> None:
    side = 1 if operator == "emd" else 16
    for provider in ("torch", "reference", "naive"):
        Session(provider, "cpu").prepare(Case(operator, side=side, batch=6, bins=32))


@pytest.mark.parametrize("operator", [name for name, operator in OPERATORS.items() if not operator.naive])
def test_every_function_of_compat_passes_beside_the_original(operator: str) -> None:
    case = Case(operator, side=12, batch=1 if operator == "compat_monai" else 2, bins=16)
    for provider in ("torch", *OPERATORS[operator].peers):
        if unavailable(provider, "cpu"):
            pytest.skip(unavailable(provider, "cpu"))
        Session(provider, "cpu").prepare(case)


@pytest.mark.parametrize(("operator", "side"), [("harmonic_energy", 24), ("squared_mutual_information", 64)])
def test_what_is_repeated_passes(monkeypatch: pytest.MonkeyPatch, operator: str, side: int) -> None:
    monkeypatch.setattr(images, "LARGEST", 1 << 21)
    case = Case(operator, side=side, bins=3)
    values = next(iter(OPERATORS[operator].inputs(case).samples.values()))
    assert values.shape[1] < case.samples
    Session("torch", "cpu").prepare(case)


def test_what_is_too_large_for_the_specification_is_checked_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "DENSE", 0)
    monkeypatch.setattr(worker, "_TRUTHS", {})
    for operator in ("contextual_similarity", "patch_histogram"):
        Session("torch", "cpu").prepare(Case(operator, side=16, bins=8))
    assert {key[-1] for key in worker._TRUTHS} == {"torch"}


def test_repeating_an_image_repeats_it() -> None:
    case = Case("soft_histogram", side=512, batch=6, bins=256)
    images, side = base_shape(case)
    assert (images, side) == (3, 128)  # three images of 128^2 x 256 responses are what the dense computation may take
    base = hues(case, 0)
    full = repeated(base, case)
    assert full.shape == (6, 512 * 512)
    assert torch.equal(full[4], full[1]) and torch.equal(full[1, side * side : 2 * side * side], base[1])


def test_relative_error_of_other_shapes_is_nan() -> None:
    assert relative_error(torch.zeros(2), torch.zeros(3)) != relative_error(torch.zeros(2), torch.zeros(3))
    assert relative_error(torch.tensor([1.1]), torch.tensor([1.0])) == pytest.approx(0.1, rel=1e-6)


def test_suites_name_operators_and_providers_that_exist() -> None:
    for name in ("quick", "cpu", "gpu"):
        cases = suite(name)
        assert len(set(cases)) == len(cases) > 0
        for case in cases:
            assert case.operator in OPERATORS
            assert any(case.runs(provider) for provider in OPERATORS[case.operator].builders())
    assert all(set(operator.builders()) <= set(PROVIDERS) for operator in OPERATORS.values())
