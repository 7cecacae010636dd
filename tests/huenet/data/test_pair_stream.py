"""The promises of the stream of pairs."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from huenet.data import PairStream, Photos
from tests.huenet.data.pictures import numbered


def _noise(count: int, side: int) -> Photos:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    return Photos(images, tuple(f"{i}.png" for i in range(count)), size=8)


def _photos_of(batch: torch.Tensor) -> list[int]:
    return (batch[:, 0, 2, 2] * 255).round().long().tolist()


@pytest.mark.parametrize(("count", "batch_size"), [(7, 3), (5, 5), (3, 8), (2, 1), (16, 4)])
def test_every_epoch_shows_every_photo_once_in_each_role(count: int, batch_size: int) -> None:
    stream = PairStream(numbered(count), batch_size, seed=1)
    epochs, steps = 6, -(-6 * count // batch_size)
    pairs = [stream.batch(step) for step in range(steps)]
    sources = [i for source, _ in pairs for i in _photos_of(source)]
    targets = [i for _, target in pairs for i in _photos_of(target)]
    for role in (sources, targets):
        shown = [tuple(role[e * count : (e + 1) * count]) for e in range(epochs)]
        assert all(sorted(epoch) == list(range(count)) for epoch in shown)
        assert count < 4 or len(set(shown)) == epochs  # shuffled anew
    assert all(source != target for source, target in zip(sources, targets))


def test_every_pair_is_equally_likely() -> None:
    stream = PairStream(numbered(4), batch_size=400, seed=0, flips=False)
    source, target = stream.batch(0)
    counts = Counter(zip(_photos_of(source), _photos_of(target)))
    # 400 places, 12 pairs: 33 each. An epoch of 100 has a pair with p = 1/3: deviation sqrt(100 * 2/9) = 4.7.
    assert len(counts) == 12 and all(abs(n - 33) < 5 * 4.7 for n in counts.values())


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    photos = _noise(9, 12)
    stream = PairStream(photos, 4, seed=5)
    in_order = [stream.batch(step) for step in range(10)]
    for step in (9, 0, 7, 7):
        again = PairStream(photos, 4, seed=5).batch(step)
        assert torch.equal(again[0], in_order[step][0]) and torch.equal(again[1], in_order[step][1])
    other = PairStream(photos, 4, seed=6).batch(0)
    assert not torch.equal(other[0], in_order[0][0])


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_batch_of_one_process(world_size: int) -> None:
    photos = _noise(5, 9)
    single = PairStream(photos, 6, seed=2)
    ranks = [PairStream(photos, 6, seed=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in range(5):
        for role in range(2):
            joint = torch.cat([rank.batch(step)[role] for rank in ranks])
            assert torch.equal(joint, single.batch(step)[role])


def test_augmentation_is_keyed_by_seed_epoch_and_photo() -> None:
    """The same photo in the same epoch looks the same however the epoch is cut into batches."""
    photos = _noise(6, 14)
    whole = PairStream(photos, 6, seed=3)
    single = PairStream(photos, 1, seed=3)
    for epoch in range(3):
        for role in range(2):
            parts = torch.cat([single.batch(6 * epoch + i)[role] for i in range(6)])
            assert torch.equal(whole.batch(epoch)[role], parts)
    assert not torch.equal(whole.batch(0)[0].sort(0).values, whole.batch(1)[0].sort(0).values)


def test_flips_and_crops() -> None:
    stream = PairStream(numbered(3), batch_size=300, seed=0)
    source, _ = stream.batch(0)
    corners = Counter(tuple((image[0, [0, 0, -1, -1], [0, -1, 0, -1]] * 255).round().long().tolist()) for image in source)
    assert set(corners) == {
        (201, 202, 203, 204),
        (202, 201, 204, 203),
        (203, 204, 201, 202),
        (204, 203, 202, 201),
    }
    assert all(abs(n - 75) < 5 * 7.5 for n in corners.values())  # binomial, 7.5 is its deviation
    plain, _ = PairStream(numbered(3), batch_size=50, seed=0, flips=False).batch(0)
    assert (plain[:, 0, 0, 0] * 255 == 201).all()

    place = Photos(torch.arange(100, dtype=torch.uint8).reshape(1, 1, 10, 10).repeat(1, 3, 1, 1), ("a",), size=8)
    first = (PairStream(place, 200, seed=0, flips=False).batch(0)[0][:, 0, 0, 0] * 255).round().long()
    assert set(first.tolist()) == {0, 1, 2, 10, 11, 12, 20, 21, 22}
    centred = PairStream(place, 4, seed=0, flips=False, crop=False).batch(0)[0]
    assert torch.equal(centred, place.pictures([0, 0, 0, 0]))


def test_a_single_photo_is_paired_with_itself() -> None:
    source, target = PairStream(numbered(1), 3, seed=0).batch(4)
    assert _photos_of(source) == _photos_of(target) == [0, 0, 0]


def test_wrong_arguments() -> None:
    photos = numbered(3)
    for arguments, message in [
        ({"batch_size": 0}, "batch_size must be a positive multiple of world_size 1, got 0"),
        ({"batch_size": 3, "world_size": 2}, "multiple of world_size 2, got 3"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank must be from 0 to 1, got 2"),
        ({"batch_size": 4, "seed": -1}, "seed must be an integer >= 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            PairStream(photos, **{"seed": 0, **arguments})
    with pytest.raises(ValueError, match="photos must not be empty"):
        PairStream(photos.subset([]), 1, seed=0)
    with pytest.raises(ValueError, match="step must be >= 0, got -1"):
        PairStream(photos, 1, seed=0).batch(-1)
