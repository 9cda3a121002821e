"""Rounding that keeps sums: what adds up before it is rounded adds up afterwards."""

from __future__ import annotations

from collections.abc import Sequence

DECIMALS = 4
"""Digits after the point in every published score, share and relevance."""

_UNITS = 10**DECIMALS


def rounded(value: float) -> float:
    """`value` with `DECIMALS` digits, never ``-0.0``."""
    return round(float(value), DECIMALS) + 0.0


def apportion(values: Sequence[float], total: float) -> list[float]:
    """Round `values` so that the results add up to ``rounded(total)`` (largest remainders first, then the earlier value).

    Args:
        values: Numbers whose sum is `total` but for rounding; with a sum of `total` none moves by more than one unit.
        total: What the rounded values have to add up to.
    """
    if not values:
        return []
    scaled = [value * _UNITS for value in values]
    units = [int(number // 1) for number in scaled]
    missing = round(rounded(total) * _UNITS) - sum(units)
    by_remainder = sorted(range(len(values)), key=lambda i: (units[i] - scaled[i], i))
    every, extra = divmod(missing, len(values))
    for place, index in enumerate(by_remainder):
        units[index] += every + (place < extra)
    return [unit / _UNITS for unit in units]
