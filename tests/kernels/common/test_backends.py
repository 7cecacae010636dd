"""Which backend is used, and what is said where Triton cannot serve."""

from __future__ import annotations

import warnings

import pytest
import torch

from huenet.kernels.common import backends, first_use


class OnGPU:
    """What choose_backend asks of a tensor, without a GPU."""

    is_cuda, device = True, "cuda:0"


@pytest.fixture(autouse=True)
def forget_warnings():
    backends.warn_once.cache_clear()


def test_default_goes_by_device():
    assert backends.choose_backend(None, torch.rand(1)) == "torch"
    assert backends.choose_backend(None, OnGPU()) == "triton"
    for backend in ("reference", "torch"):
        assert backends.choose_backend(backend, OnGPU()) == backend


def test_falls_back_with_one_warning_for_each_reason():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for reason in ("serves no such bins", "serves no such bins", "serves nothing"):
            assert backends.choose_backend(None, OnGPU(), lambda reason=reason: reason) == "torch"
    assert [str(warning.message).split("'triton' ")[1] for warning in caught] == ["serves no such bins", "serves nothing"]


def test_raises_where_triton_was_asked_for():
    with pytest.raises(ValueError, match="backend 'triton' serves no such bins; use 'torch'"):
        backends.choose_backend("triton", OnGPU(), lambda: "serves no such bins")
    with pytest.raises(ValueError, match="backend 'triton' needs samples on a GPU"):
        backends.choose_backend("triton", torch.rand(1))
    with pytest.raises(ValueError, match="backend must be None or one of reference, torch, triton, got 'cuda'"):
        backends.choose_backend("cuda", torch.rand(1))


@pytest.mark.parametrize(
    "asked, capturing, wanted", [(None, False, True), ("1", True, False), ("0", False, False), (None, True, False)]
)
def test_kernels_are_checked_but_for_graphs_and_on_request(asked, capturing, wanted, monkeypatch):
    monkeypatch.delenv("HUENET_CHECK", raising=False)
    if asked is not None:
        monkeypatch.setenv("HUENET_CHECK", asked)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    assert first_use.is_wanted(OnGPU()) == wanted
    assert first_use.is_wanted(torch.rand(1)) == (asked == "1")
