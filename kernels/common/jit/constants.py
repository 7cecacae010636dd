"""Compile-time constants that come as one argument of a kernel, an axis or the like: a named tuple with a field NUMBERS."""

import functools
from typing import Any

import triton
import triton.language as tl


class Constants:
    """What such a named tuple derives from before its fields. Every launch looks its kernel up by them, and hashing some dozens of
    fields takes longer than the rest of it: so an object is hashed once, and is asked for the same object again."""

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return tuple.__hash__(self)

    @functools.cached_property
    def without_numbers(self) -> Any:
        """What is known at compile time."""
        return self._replace(NUMBERS=None)

    @functools.cached_property
    def frozen(self) -> Any:
        """The same with every field a compile-time constant, which the compiler needs for shapes; its interpreter, none."""
        bare = self.without_numbers
        return bare if triton.knobs.runtime.interpret else type(bare)(*map(tl.constexpr, bare))
