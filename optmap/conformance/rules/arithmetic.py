"""Building blocks that round as the kernels do: fused multiply-add, vector lanes and scalar tails, powers.

MindSpore's CPU kernels come in two kinds. Those in plain C++ round after every operation. Those of its NNACL library are
compiled with contraction, so `a * b + c` rounds once, and handle an array in vector blocks first and a scalar tail after;
in the tail C's `sqrt` promotes to double. All helpers keep the dtype of their operands: in float64 a fused operation is
plain arithmetic and lanes and tails round alike.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""A float32 or float64 array; every array in one computation has the same dtype."""

LANES = 8
"""float32 values in one AVX register, the block width of NNACL's optimizer kernels."""


def fma(a: Any, b: Any, c: Any) -> Any:
    """`a * b + c` rounded once to the operands' dtype.

    A float32 product is exact in float64, so only the sum is rounded before the final rounding. The two roundings differ
    from one only where the float64 sum lands within 2**-29 relative of a float32 tie.
    """
    if a.dtype == np.float64:
        return a * b + c
    return np.add(np.multiply(a, b, dtype=np.float64), c, dtype=np.float64).astype(np.float32)


class Averaging(Enum):
    """The form of a running average, which determines its rounding. `rest` is 1 minus the weight of the old value."""

    FUSED = auto()
    """`old + (new - old) * rest`, each product and sum fused, as in NNACL."""
    STEPPED = auto()
    """`old + (new - old) * rest`, each operation rounded."""
    WEIGHTED = auto()
    """`old * keep + new * rest`, each operation rounded."""

    def of(self, old: Any, new: Any, keep: Any, rest: Any) -> Any:
        """The next average of `old` and a new value."""
        if self is Averaging.WEIGHTED:
            return old * keep + new * rest
        return fma(new - old, rest, old) if self is Averaging.FUSED else old + (new - old) * rest

    def of_square(self, old: Any, new: Any, keep: Any, rest: Any) -> Any:
        """The next average of `old` and the square of a new value."""
        return fma(fma(new, new, -old), rest, old) if self is Averaging.FUSED else self.of(old, new * new, keep, rest)


def root(square: Array, epsilon: Any, *, inside: bool) -> Array:
    """The square root with epsilon added inside it or beside it."""
    added: Array = np.sqrt(square + epsilon) if inside else np.sqrt(square) + epsilon
    return added


def scalars(like: Array, *values: float) -> tuple[Any, ...]:
    """Numbers as scalars of an array's dtype."""
    return tuple(map(like.dtype.type, values))


def wide(value: Any) -> Any:
    """The value in float64, where C's usual conversions would promote it to double."""
    return value.astype(np.float64)


def by_lanes(lanes: Callable[..., Array], tail: Callable[..., Array], *operands: Array, width: int = LANES) -> Array:
    """Apply `lanes` to the leading whole blocks and `tail` to the rest, element order being the C order.

    Args:
        lanes: elementwise formula of the vector block; takes the operands as 1-D arrays.
        tail: elementwise formula of the scalar remainder, likewise.
        operands: arrays of one common shape.
        width: elements in a block.

    Returns:
        An array shaped like the operands.
    """
    shape, size = operands[0].shape, operands[0].size
    cut = size - size % width
    flat = [operand.reshape(-1) for operand in operands]
    if cut == size:
        return lanes(*flat).reshape(shape)
    if cut == 0:
        return tail(*flat).reshape(shape)
    head = lanes(*(operand[:cut] for operand in flat))
    rest = tail(*(operand[cut:] for operand in flat))
    return np.concatenate([head, rest]).reshape(shape)


def flushed(value: Array) -> Array:
    """Zero in place of denormal numbers, which some kernels take for it."""
    return np.where(np.abs(value) < np.finfo(value.dtype).tiny, value.dtype.type(0), value)


def quotient(dividend: Array, divisor: Array) -> Array:
    """MindSpore's Div: over a zero of either sign stands an infinity of the dividend's sign, and minus infinity for NaN."""
    infinite = np.where(dividend > 0, np.inf, np.where(dividend == 0, np.nan, -np.inf)).astype(dividend.dtype)
    return np.where(divisor == 0, infinite, dividend / divisor)


def sign(value: Array) -> Array:
    """-1, 0 or 1 in the array's dtype; 0 for NaN, for which numpy.sign returns NaN."""
    return np.subtract(value > 0, value < 0, dtype=value.dtype)


def power(base: Any, exponent: Any) -> Any:
    """`base ** exponent` of two scalars of one dtype: C's `powf` or `pow`, which numpy calls for scalars as well."""
    return base ** type(base)(exponent)


def powers(base: Array, exponent: Any) -> Array:
    """`base ** exponent` of an array, computed in double and rounded to the array's dtype."""
    return np.power(base, float(exponent), dtype=np.float64).astype(base.dtype)
