"""Hues as vectors and as a network's input."""

from __future__ import annotations

import torch

from huenet.color_transfer.hue_encoding import encode_hue, turns_of, unit_vector


def test_turns_of_inverts_unit_vector_and_is_safe_at_zero() -> None:
    turns = torch.linspace(-0.49, 0.49, 99, dtype=torch.float64).view(1, 1, 9, 11)
    assert torch.allclose(turns_of(unit_vector(turns)), turns, atol=1e-15)
    for length in (0.0, 1e-30, 1e-9):
        vector = torch.full((1, 2, 1, 1), length, requires_grad=True)
        turned = turns_of(vector)
        turned.sum().backward()
        assert abs(turned.item()) <= length and vector.grad.abs().max() < 1


def test_encoded_hues_are_in_range_and_vectors_meet_at_red() -> None:
    hue = torch.tensor([0.0, 0.25, 0.5, 1.0, 0.7]).view(1, 1, 1, 5)
    hsv = torch.cat([hue, torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 5), torch.ones_like(hue)], dim=1)
    assert encode_hue(hsv, "value").flatten()[:4].tolist() == [-1, -0.5, 0, 1]
    vectors = encode_hue(hsv, "vector")
    assert torch.allclose(vectors[..., 0], vectors[..., 3], atol=1e-6)
    assert (vectors[..., 4] == 0).all()  # grey
