"""The largest tensor that a computation makes: what is never stored is never made."""

from __future__ import annotations

from typing import Any
from unittest import mock

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from huenet.kernels.common import devices, operator


class LargestTensor(TorchDispatchMode):
    """Within it, `bytes` is the size of the largest result of any operation, views aside."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __enter__(self) -> LargestTensor:
        devices.hold_freed_memory()  # 31 MB, once in a process, that nothing is ever written to
        # registered operators are one operation for a mode; called directly, theirs are seen
        self._direct = mock.patch.object(operator, "_traced", lambda tensors: False)
        self._direct.start()
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._direct.stop()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: tuple = (), options: dict | None = None) -> Any:
        results = function(*arguments, **(options or {}))
        for result in tree_leaves(results):
            if isinstance(result, Tensor) and not result._is_view():
                self.bytes = max(self.bytes, result.untyped_storage().nbytes())
        return results
