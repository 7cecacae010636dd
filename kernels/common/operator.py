"""How an operator is registered: once, for all of them.

An operator declares the tensors it takes, its settings and the shape of its result. Its folder has a module for each backend:

    reference.forward(*tensors, *settings) -> result              plain PyTorch, autograd does the rest
    portable, fused:
        forward(*tensors, *settings) -> result, *kept             `kept` is what the backward pass needs beside the inputs
        kept(*tensors, *settings) -> *kept                        the same tensors, unwritten; only where something is kept
        backward(grad, *saved, *kept, *settings, needs) -> grads  one for each tensor, empty where not needed
    fused:
        unserved(*tensors, *settings) -> str | None               why its kernels cannot serve, None if they can

Tensors are contiguous, those that may be left out may be None; `grad` may have been expanded, and is made contiguous too. Of this
the operator makes two `torch.library.custom_op`s, forward and backward, opaque to tracing, so that `torch.compile(fullgraph=True)`
and `torch.library.opcheck` take them on every supported version of torch; their fakes; the autograd formula; an error on a second
derivative. Where nothing traces, the same functions are called without torch's dispatcher, whose way through Python costs
as much as a histogram of a small image. Inside them autocast is off, as histograms are summed in the dtype given, and the
first tensor's GPU is the current one, on which Triton launches kernels. The backend is chosen inside, where nothing is traced.
"""

import contextlib
import functools
import importlib
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from . import first_use
from .arguments import plain_autograd_only
from .backends import check_backend, choose_backend
from .devices import check_float64, full_precision, hold_freed_memory

_PLAIN = (Tensor, torch.nn.Parameter)
_SCHEMA = {int: "int", float: "float", bool: "bool"}


class Operator:
    """An operator over its backends, to be called as operator(*tensors, *settings, backend=...).

    Args:
        name: it is registered as `huenet::name` and `huenet::name_backward`.
        tensors: names of the tensors, "?" after those that may be None; all of them may be differentiated.
        settings: by name, their types: int, float, bool, str, or a class with a `spec` and `from_spec`, as `Bins`.
        result: shape of the result, from (*tensors, *settings).
        reference, portable: the backends' modules; None where there is no such backend.
        fused: whether the folder of `portable` has a module `fused`, which is imported when first used.
        saves: names of the tensors that the backward pass needs; "result" is the result itself. By default all tensors.
        sampled: names of the tensors whose second dimension counts samples, of which any number will do. By default all tensors.
    """

    #: for reports: whether calls run both passes of the fused backend directly, within `jit.launch.recorded`
    rehearsing = False

    def __init__(
        self,
        name: str,
        tensors: str,
        settings: dict[str, type] | None = None,
        *,
        result: Callable[..., Sequence[int]],
        reference: ModuleType | None,
        portable: ModuleType,
        fused: bool = True,
        saves: str | None = None,
        sampled: str | None = None,
    ) -> None:
        self.name, self.reference, self._portable, self._result = name, reference, portable, result
        self._fused = f"{portable.__package__}.fused" if fused else None
        self._tensors = [tensor.rstrip("?") for tensor in tensors.split()]
        self._settings = settings or {}
        self._saves = self._tensors if saves is None else saves.split()
        self._sampled = self._tensors if sampled is None else sampled.split()
        #: by device on which the kernels have been used: why they are not to be trusted there, None if they are
        self._checked: dict[torch.device, str | None] = {}
        self._checking = threading.Lock()
        optional = {tensor.rstrip("?") for tensor in tensors.split() if tensor.endswith("?")}
        plain = [f"{_SCHEMA.get(kind, 'str')} {setting}" for setting, kind in self._settings.items()]
        typed = lambda names: [f"Tensor{'?' if n in optional else ''} {n}" for n in names]  # noqa: E731
        forward = ", ".join([*typed(self._tensors), *plain, "str backend"])
        backward = ", ".join(["Tensor grad", *typed(self._saves), "Tensor[] kept", *plain, "str backend", "bool[] needs"])
        self._exact_forward, self._exact_backward = _exact(self._forward), _exact(self._backward)
        self.op = self._register(name, f"({forward}) -> (Tensor, Tensor[])", self._exact_forward, self._fake_forward)
        self.op_backward = self._register(
            f"{name}_backward", f"({backward}) -> Tensor[]", self._exact_backward, self._fake_backward
        )
        self.op.register_autograd(self._differentiate, setup_context=self._setup_context)
        torch.library.register_autograd(self.op_backward._qualname, self._refuse)
        self._direct = self._make_direct()

    def __call__(self, *arguments: Any, backend: str | None = None) -> Tensor:
        """The result. Raises ValueError for an unknown backend or one that cannot serve, RuntimeError for derivatives there are
        not."""
        check_backend(backend)
        tensors, settings = self._split(arguments)
        if backend == "reference":
            with full_precision(tensors[0]):
                return self.reference.forward(*tensors, *settings)
        if Operator.rehearsing and self._fused is not None:
            return self._rehearse(tensors, settings)
        plain_autograd_only(*(tensor for tensor in tensors if tensor is not None))
        encoded = (value.spec if hasattr(kind, "from_spec") else value for kind, value in zip(self._settings.values(), settings))
        if _traced(tensors):
            return self.op(*tensors, *encoded, backend or "")[0]
        if backend != "torch" and self._fused is not None and tensors[0].device not in self._checked:
            self._check(backend, tensors, settings)
        if not (torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)):
            return self._exact_forward(*tensors, *encoded, backend or "")[0]
        return self._direct(*tensors, *encoded, backend or "")

    def _rehearse(self, tensors: Sequence[Any], settings: Sequence[Any]) -> Tensor:
        """Both passes of the fused backend, all gradients wanted, whatever the device."""
        fused = self._load_fused()
        result, *kept = as_tuple(fused.forward(*tensors, *settings))
        fused.backward(torch.empty_like(result), *tensors, *kept, *settings, [tensor is not None for tensor in tensors])
        return result

    def _check(self, backend: str | None, tensors: Sequence[Any], settings: Sequence[Any]) -> None:
        """Where the kernels would serve for the first time on this device, compare them with the portable backend; see
        first_use.py. What is found stands for as long as the process."""
        x = tensors[0]
        if not x.numel() or not first_use.is_wanted(x) or self._module(backend or "", tensors, settings) is self._portable:
            return
        device, sampled = x.device, [name in self._sampled for name in self._tensors]
        with self._checking:  # other threads wait, and find it done
            if device not in self._checked:
                passes = [_exact(lambda _, small, module=m: self._passes(module, small, settings)) for m in self._modules()]
                kernels, portable = (lambda small, run=run: run(small[0], small) for run in passes)
                self._checked[device] = first_use.failure(kernels, portable, first_use.drawn(tensors, sampled))

    def _modules(self) -> tuple[ModuleType, ModuleType]:
        return self._load_fused(), self._portable

    @torch.no_grad()
    def _passes(self, module: ModuleType, tensors: Sequence[Tensor | None], settings: Sequence[Any]) -> list[Tensor]:
        """What a backend makes of tensors: the result, and the gradients of what is not None."""
        result, *kept = as_tuple(module.forward(*tensors, *settings))
        named = {**dict(zip(self._tensors, tensors)), "result": result}
        grad = torch.cos(torch.arange(result.numel(), device=result.device, dtype=result.dtype)).view_as(result)  # any numbers
        saved = [named[name] for name in self._saves]
        needs = [tensor is not None for tensor in tensors]
        grads = module.backward(grad, *saved, *kept, *settings, needs)
        return [result, *(slope for slope, need in zip(grads, needs) if need)]

    def _distrust(self, device: torch.device) -> str | None:
        """Why the kernels are not to be trusted on a device, None if they are or nobody has looked."""
        found = self._checked.get(device)
        return found and f"of {self.name} {found}, on {first_use.where(device)}"

    def _split(self, arguments: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        return arguments[: len(self._tensors)], arguments[len(self._tensors) :]

    def _decoded(self, settings: Sequence[Any]) -> list[Any]:
        kinds = self._settings.values()
        return [kind.from_spec(value) if hasattr(kind, "from_spec") else value for kind, value in zip(kinds, settings, strict=True)]

    def _module(self, backend: str, tensors: Sequence[Tensor | None], settings: Sequence[Any]) -> ModuleType:
        """The backend that serves: the portable one also where there is nothing to do."""
        if self._fused is None or not tensors[0].numel():
            return self._portable
        chosen = choose_backend(backend or None, tensors[0], lambda: self._unserved(tensors, settings))
        return self._load_fused() if chosen == "triton" else self._portable

    def _unserved(self, tensors: Sequence[Tensor | None], settings: Sequence[Any]) -> str | None:
        """Why the fused backend cannot serve, None if it can."""
        return self._load_fused().unserved(*tensors, *settings) or self._distrust(tensors[0].device)

    def _load_fused(self) -> ModuleType:
        return _imported(self._fused)

    @staticmethod
    def _register(name: str, schema: str, function: Callable[..., Any], fake: Callable[..., Any]) -> Any:
        op = torch.library.custom_op(f"huenet::{name}", function, mutates_args=(), schema=schema)
        op.register_fake(fake)
        return op

    def _make_direct(self) -> Callable[..., Tensor]:
        """The operator as an autograd function, which gives the result; what is kept need not pass through autograd."""

        def forward(ctx: Any, *arguments: Any) -> Tensor:
            result, kept = self._exact_forward(*arguments)
            self._save(ctx, arguments, result, kept)
            return result

        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            # where a second derivative may follow, it is the op that has an error for it
            direct = not torch.is_grad_enabled() and not _traced([grad])
            return self._differentiate(ctx, grad, None, self._exact_backward if direct else self.op_backward)

        methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
        return type(self.name, (torch.autograd.Function,), methods).apply

    def _forward(self, *arguments: Any) -> tuple[Tensor, list[Tensor]]:
        tensors, (*settings, backend) = self._split(arguments)
        tensors, settings = _contiguous(tensors), self._decoded(settings)
        result, *kept = as_tuple(self._module(backend, tensors, settings).forward(*tensors, *settings))
        return result, kept

    def _fake_forward(self, *arguments: Any) -> tuple[Tensor, list[Tensor]]:
        tensors, (*settings, backend) = self._split(arguments)
        settings = self._decoded(settings)
        kept = getattr(self._module(backend, tensors, settings), "kept", lambda *_: [])
        return tensors[0].new_empty(self._result(*tensors, *settings)), list(kept(*tensors, *settings))

    def _backward(self, grad: Tensor, *arguments: Any) -> list[Tensor]:
        saved, (kept, *settings, backend, needs) = arguments[: len(self._saves)], arguments[len(self._saves) :]
        grad, *saved = _contiguous([grad, *saved])
        settings = self._decoded(settings)
        module = self._module(backend, saved, settings)
        return list(module.backward(grad, *saved, *kept, *settings, needs))

    def _fake_backward(self, grad: Tensor, *arguments: Any) -> list[Tensor]:
        saved, needs = dict(zip(self._saves, arguments)), arguments[-1]
        like = [saved.get(name, grad) for name in self._tensors]  # what is not saved has the shape of the result
        return [grad.new_empty(0) if not need else tensor.new_empty(tensor.shape) for tensor, need in zip(like, needs)]

    def _setup_context(self, ctx: Any, inputs: tuple, output: tuple[Tensor, list[Tensor]]) -> None:
        ctx.mark_non_differentiable(*output[1])
        self._save(ctx, inputs, *output)

    def _save(self, ctx: Any, inputs: tuple, result: Tensor, kept: list[Tensor]) -> None:
        tensors, ctx.plain = self._split(inputs)
        named = {**dict(zip(self._tensors, tensors)), "result": result}
        ctx.save_for_backward(result, *(named[name] for name in self._saves), *kept)

    def _differentiate(
        self, ctx: Any, grad: Tensor, _kept: Any, op_backward: Callable[..., list[Tensor]] | None = None
    ) -> tuple[Tensor | None, ...]:
        # unpacked once only: with checkpoints, a second time is an error
        result, *tensors = ctx.saved_tensors
        saved, kept = tensors[: len(self._saves)], tensors[len(self._saves) :]
        grad = torch.add(grad, result, alpha=0)  # NaN where the result is not finite: see nonfinite.py
        needs = list(ctx.needs_input_grad[: len(self._tensors)])
        grads = (op_backward or self.op_backward)(grad, *saved, kept, *ctx.plain, needs)
        return *(grad if need else None for grad, need in zip(grads, needs)), *[None] * len(ctx.plain)

    def _refuse(self, ctx: Any, *grads: Tensor) -> None:
        """Says what to do, where torch would speak of missing formulas."""
        raise RuntimeError(
            f"huenet::{self.name}_backward is differentiable once only; second derivatives need backend='reference', which is "
            "plain PyTorch"
        )


@functools.cache
def _imported(name: str) -> ModuleType:
    return importlib.import_module(name)


def _exact(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with autocast off, on the first tensor's GPU; RuntimeError where that device has no float64."""

    def exact(first: Tensor, *rest: Any) -> Any:
        check_float64(first)
        if first.is_cpu:
            hold_freed_memory()
        with full_precision(first), torch.cuda.device_of(first) if first.is_cuda else contextlib.nullcontext():
            return function(first, *rest)

    return exact


def _traced(tensors: Sequence[Tensor | None]) -> bool:
    """Whether anything but autograd watches what is called, or tensors are not plain ones: then operators must be ops."""
    if torch.compiler.is_compiling() or is_in_torch_dispatch_mode() or torch._C._is_torch_function_mode_enabled():
        return True
    return any(type(tensor) not in _PLAIN or tensor.is_meta for tensor in tensors if tensor is not None)


def as_tuple(results: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a forward pass gives: the result and what is kept, or the result alone."""
    return (results,) if isinstance(results, Tensor) else results


def _contiguous(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]
