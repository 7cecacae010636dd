"""All operators on a GPU, in every case that their folders declare, against the dense reference in float64."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.cases import BACKEND, DEVICE, EVERY, FEW_CASES, FUSED, NO_FALLBACK, assert_same, draw, sizes, step
from tests.kernels.agreement import check_case

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("poisoned_buffers"), pytest.mark.filterwarnings(NO_FALLBACK)]
LABELLED = pytest.mark.parametrize("operator, label", [(name, label) for name, cases in EVERY.items() for label in cases.settings])
FEW = pytest.mark.parametrize("operator, label", FEW_CASES)


@LABELLED
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_agrees_with_the_reference(operator, label, dtype):
    cases = EVERY[operator]
    settings, size = cases.settings[label], min(sizes(cases), 600)
    check_case(cases, settings, draw(cases, settings, size, 2, dtype), BACKEND)


@FEW
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(operator, label, dtype):
    cases, settings = EVERY[operator], EVERY[operator].settings[label]
    half = [tensor.to(dtype).requires_grad_() for tensor in draw(cases, settings, min(sizes(cases), 500))]
    single = [tensor.detach().float().requires_grad_() for tensor in half]
    actual, expected = step(cases, settings, half, BACKEND), step(cases, settings, single, BACKEND)
    assert actual[0].dtype == torch.float32
    assert_same(actual, [expected[0], *(gradient.to(dtype) for gradient in expected[1:])])


@FEW
def test_strides_of_inputs_and_of_the_upstream_gradient(operator, label):
    cases, settings = EVERY[operator], EVERY[operator].settings[label]
    dense = [tensor.requires_grad_() for tensor in draw(cases, settings, min(sizes(cases), 600), 2)]
    strided = [tensor.detach().mT.contiguous().mT.requires_grad_() for tensor in dense]
    one = torch.ones([], device=DEVICE)
    expanded = [
        step(cases, settings, leaves, BACKEND, one.expand_as(cases.run(leaves, BACKEND, settings))) for leaves in (dense, strided)
    ]
    assert_same(*expanded)
    assert_same(expanded[0], step(cases, settings, dense, BACKEND))


@FEW
def test_an_empty_batch(operator, label):
    cases, settings = EVERY[operator], EVERY[operator].settings[label]
    leaves = [tensor[:0].requires_grad_() for tensor in draw(cases, settings, 20)]
    result, *grads = step(cases, settings, leaves, BACKEND)
    assert not result.numel()
    assert [grad.shape for grad in grads] == [leaf.shape for leaf in leaves]


@FEW
def test_a_nan_shows_in_its_image_only(operator, label):
    cases, settings = EVERY[operator], EVERY[operator].settings[label]
    leaves = draw(cases, settings, min(sizes(cases), 300), 3)
    leaves[0][0].view(-1)[7] = torch.nan
    result = cases.run(leaves, BACKEND, settings)
    expected = cases.run([leaf.double() for leaf in leaves], "reference", settings)
    assert result[0].isnan().any() and result[1:].isfinite().all()
    assert torch.equal(result.isnan(), expected.isnan())


def test_all_operators_with_kernels_are_here():
    assert len(FUSED) == 8 and len(EVERY) == 10
