"""The pool of earlier translations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from huenet.data.photos import seeded_generator
from huenet.training.checkpoint import CheckpointError
from huenet.translation.pool import ImagePool


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2)


def pool(size: int = 5) -> ImagePool:
    return ImagePool(size, (1, 2, 2), torch.float32, torch.device("cpu"))


def test_it_shows_what_it_keeps_first_and_then_older_ones_half_of_the_time() -> None:
    kept, rng = pool(), seeded_generator(0)
    assert torch.equal(kept.exchange(numbered(1, 5), rng), numbered(1, 5)) and kept.count == 5
    shown, seen = 0, []
    for first in range(6, 406, 2):
        batch = numbered(first, 2)
        judged = kept.exchange(batch, rng)[:, 0, 0, 0].tolist()
        old = [number for number in judged if number not in (first, first + 1)]
        assert all(number < first + 2 for number in judged)
        seen += old
        shown += len(old)
    # 400 draws of probability 1/2, less those that meet this batch's own: 5 standard deviations of 10
    assert 150 < shown < 250
    assert len(set(seen)) == len(seen), "what was shown again has left the pool"


def test_what_it_keeps_has_no_gradient_and_is_a_copy() -> None:
    kept, batch = pool(), torch.ones(2, 1, 2, 2, requires_grad=True)
    assert not kept.exchange(batch, seeded_generator(0)).requires_grad
    with torch.no_grad():
        batch += 1
    assert kept.images.max() == 1


def test_its_state_goes_on_and_another_is_named() -> None:
    kept, path = pool(), Path("checkpoint.safetensors")
    kept.exchange(numbered(1, 4), seeded_generator(0))
    other = pool()
    other.load_state(path, kept.state())
    first, second = (one.exchange(numbered(9, 8), seeded_generator(1)) for one in (kept, other))
    assert torch.equal(first, second)
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors lacks the pool"):
        pool(6).load_state(path, kept.state())
    for count in (torch.tensor(7), torch.tensor(-1), torch.tensor(1.0)):
        with pytest.raises(CheckpointError, match=r"checkpoint.safetensors has a damaged pool"):
            pool().load_state(path, {**kept.state(), "count": count})
