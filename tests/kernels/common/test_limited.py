"""The clamp of the formulas: values of torch's, and slopes that do not depend on its version."""

from __future__ import annotations

import pytest
import torch

from huenet.kernels.common.limited import limited
from huenet.kernels.common.windows import WINDOWS


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, None), (None, 1.0)])
def test_values_of_clamp_and_slope_one_at_the_limits(low: float | None, high: float | None) -> None:
    x = torch.tensor([-torch.inf, -2.0, -1.0, 0.0, 1.0, 2.0, torch.inf, torch.nan], requires_grad=True)
    result = limited(x, low, high)
    assert torch.equal(result.nan_to_num(9.0), x.clamp(low, high).nan_to_num(9.0))
    (slopes,) = torch.autograd.grad(result.sum(), x)
    inside = (x >= (-torch.inf if low is None else low)) & (x <= (torch.inf if high is None else high)) | x.isnan()
    assert torch.equal(slopes, inside.float())


@pytest.mark.parametrize("window", WINDOWS)
def test_slopes_of_windows_at_their_ends(window: str) -> None:
    """Where a window ends, and where its pieces meet, in any version of torch: autograd's slope is the one that kernels have."""
    form = WINDOWS[window]
    u = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(form.response(u, 1.0).sum(), u)
    torch.testing.assert_close(slopes, form.derivative(u.detach(), 1.0), rtol=0, atol=1e-12)
