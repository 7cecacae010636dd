"""Checks and conversions of the arguments that the public functions share. Every message names the argument."""

import math
import numbers
import sys

import torch
from torch import Tensor

from .shares import normalised


def plain_autograd_only(*tensors: Tensor) -> None:
    """RuntimeError where a registered operator would be differentiated in a way it cannot, or worse, give zeros."""
    if torch.compiler.is_compiling():
        return
    remedy = "pass backend='reference', which is plain PyTorch, where the function has that argument"
    if torch._C._are_functorch_transforms_active():
        raise RuntimeError(f"torch.func transforms are not supported by huenet.kernels; {remedy}. Leading dimensions are batches.")
    if any(torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        raise RuntimeError(f"forward-mode derivatives are not supported by huenet.kernels; {remedy}")


def number(name: str, value: float) -> float:
    """A finite float. TypeError for what is no real number, ValueError for NaN and infinity.

    What `torch.compile` traces as a symbol becomes its value, on which the compiled code then depends: settings are strings where
    operators are registered, and checks need numbers.
    """
    if not torch.compiler.is_compiling() and type(value) is float and math.isfinite(value):
        return value  # soon done: bins are often made anew for every call
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    value = float.fromhex(float(value).hex())
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return value


def integer(name: str, value: int) -> int:
    """An int, as `number`. TypeError for what is no integer."""
    if not torch.compiler.is_compiling() and type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    size = min(abs(value), sys.maxsize)  # of a range, whose length is a number also where `value` is a symbol
    return len(range(size)) * (1 if value > 0 else -1)


def samples(name: str, x: Tensor) -> Tensor:
    """Samples as float32 or float64. TypeError for what is no floating tensor, ValueError for a scalar."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got {x.layout}; {name}.to_dense() is one")
    if not x.dtype.is_floating_point:
        remedy = f"{name}.float() / 255" if name in ("x", "y") else f"{name}.float()"
        raise TypeError(f"{name} must be a floating tensor, got {x.dtype}; convert it first, e.g. {remedy}")
    if x.dim() == 0:
        raise ValueError(f"{name} must have the samples on its last dimension, got a scalar")
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def paired(x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y")) -> tuple[Tensor, Tensor]:
    """Two tensors over the same last dimension, broadcast over the leading ones, in their common dtype."""
    first, second = names
    x, y = samples(first, x), samples(second, y)
    if x.device != y.device:
        raise ValueError(f"{second} must be on the device of {first}, expected {x.device}, got {y.device}")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"{second} must be as long as {first}, expected {x.shape[-1]} on the last dimension, got {tuple(y.shape)}")
    try:
        x, y = torch.broadcast_tensors(x, y)
    except RuntimeError:
        raise ValueError(f"{second} must broadcast against {first} of shape {tuple(x.shape)}, got {tuple(y.shape)}") from None
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(dtype)


def one_batch(x: Tensor, y: Tensor, names: tuple[str, str], dims: int) -> tuple[Tensor, Tensor]:
    """Two floating tensors over the same leading dimensions, all but the last `dims`, in their common dtype."""
    first, second = names
    if x.device != y.device:
        raise ValueError(f"{second} must be on the device of {first}, expected {x.device}, got {y.device}")
    if x.shape[:-dims] == y.shape[:-dims] and x.dtype == y.dtype:
        return x, y
    try:
        leading = torch.broadcast_shapes(x.shape[:-dims], y.shape[:-dims])
    except RuntimeError:
        kept = f"the last {dims} dimensions" if dims > 1 else "the last dimension"
        shapes = f"{first} of shape {tuple(x.shape)} but for {kept}, got {tuple(y.shape)}"
        raise ValueError(f"{second} must broadcast against {shapes}") from None
    dtype = torch.promote_types(x.dtype, y.dtype)
    x, y = (z.to(dtype).expand(*leading, *z.shape[-dims:]) for z in (x, y))
    return x, y


def shares(x: Tensor, weights: Tensor | None) -> Tensor | None:
    """Weights over their sum (mean 1 over the samples, then divided by N), in x's shape; all zero where they sum to zero, all NaN
    where one is not finite. A boolean mask is weights of 0 and 1."""
    weights = votes(x, weights)
    return None if weights is None else normalised(weights, x.dtype)


def votes(x: Tensor, weights: Tensor | None) -> Tensor | None:
    """Weights as floating numbers in x's shape, not normalised. A boolean mask is weights of 0 and 1."""
    if weights is None:
        return None
    if isinstance(weights, Tensor) and weights.dtype == torch.bool:
        weights = weights.to(x.dtype)
    weights = samples("weights", weights)
    if weights.shape[-1] == 1 and x.shape[-1] != 1:
        raise ValueError(
            f"weights must have one value per sample, expected {x.shape[-1]} on the last dimension, got {tuple(weights.shape)}"
        )
    try:
        weights = weights.broadcast_to(x.shape)
    except RuntimeError:
        raise ValueError(f"weights must broadcast to x's shape {tuple(x.shape)}, got {tuple(weights.shape)}") from None
    if weights.device != x.device:
        raise ValueError(f"weights must be on the device of x, expected {x.device}, got {weights.device}")
    return weights


def histograms(p: Tensor, q: Tensor, circular: bool) -> tuple[Tensor, Tensor]:
    """Two histograms over the same bins, broadcast against each other, in their common dtype."""
    if not isinstance(circular, bool):
        raise TypeError(f"circular must be True or False, got {circular!r}")
    p, q = paired(p, q, ("p", "q"))
    if not p.shape[-1]:
        raise ValueError("p must have at least one bin on its last dimension, got none")
    return p, q


def rows(x: Tensor | None) -> Tensor | None:
    """(..., N) as (B, N); None stays."""
    if x is None or x.dim() == 2:
        return x
    return x.reshape(-1, x.shape[-1]) if x.shape[-1] else x.reshape(x.shape[:-1].numel(), 0)


def of_rows(result: Tensor, x: Tensor) -> Tensor:
    """What was made of rows of x (..., N), (B, ...), over x's leading dimensions."""
    return result if x.dim() == 2 else result.view(x.shape[:-1] + result.shape[1:])
