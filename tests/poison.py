"""Buffers that show what a kernel leaves unwritten."""

from __future__ import annotations

import pytest
import torch


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `torch.empty` and `new_empty` give is NaN, or an index far outside."""

    def poisoned(make):
        def made(*arguments: object, **options: object) -> torch.Tensor:
            tensor = make(*arguments, **options)
            return tensor.fill_(torch.nan if tensor.is_floating_point() else torch.iinfo(tensor.dtype).min // 2)

        return made

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned(torch.Tensor.new_empty))
    monkeypatch.setattr(torch, "empty", poisoned(torch.empty))
