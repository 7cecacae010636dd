"""Whole numbers of which the host makes sizes. Triton has the same functions, wrapped so that kernels may call them too: a call of
them takes longer than many a launch."""


def cdiv(count: int, size: int) -> int:
    """How many pieces of `size` cover `count`."""
    return -(-count // size)


def next_power_of_2(count: int) -> int:
    """The least power of two that is at least `count`, which is positive."""
    return 1 << (count - 1).bit_length()
