"""The comparison helpers catch what they are there to catch."""

import pytest
import torch

from tests.assertions import assert_close, assert_gradients_close, relative_error


def test_relative_error_is_a_ratio_of_norms():
    assert relative_error(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "actual, expected",
    [
        (torch.tensor([1.0, 2.1]), torch.tensor([1.0, 2.0])),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 2.0])),
        (torch.ones(2, 1), torch.ones(2)),
    ],
    ids=["value", "nan", "shape"],
)
def test_assert_close_fails(actual, expected):
    with pytest.raises(AssertionError):
        assert_close(actual, expected, 1e-3)


def test_a_zero_expected_gradient_is_refused():
    with pytest.raises(AssertionError, match="tests nothing"):
        assert_gradients_close([torch.zeros(3)], [torch.zeros(3)], 1e-3)
