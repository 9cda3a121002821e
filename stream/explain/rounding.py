"""Rounding that keeps sums: numbers that add up before they are rounded add up afterwards, too.

Readers add up what is published: contributions to the score, shares and probabilities to 1. Rounded one by one, three numbers can miss
their sum by a unit of the last digit, and the record would contradict itself.
"""

from __future__ import annotations

from collections.abc import Sequence

DECIMALS = 4
"""Digits after the point in every published score, share and relevance."""

_UNITS = 10**DECIMALS


def rounded(value: float) -> float:
    """`value` with `DECIMALS` digits, never ``-0.0``."""
    return round(float(value), DECIMALS) + 0.0


def apportion(values: Sequence[float], total: float) -> list[float]:
    """Round `values` so that the results add up to ``rounded(total)``: the method of the largest remainder.

    Every value is rounded down. The units that are then missing go to the values with the largest remainders, of equal remainders to the
    earlier value.

    Args:
        values: Numbers whose sum is `total`, apart from floating-point errors. None then moves by more than one unit of the last digit.
        total: The sum before rounding.
    """
    if not values:
        return []
    scaled = [value * _UNITS for value in values]
    units = [int(value // 1) for value in scaled]
    missing = round(rounded(total) * _UNITS) - sum(units)
    by_remainder = sorted(range(len(values)), key=lambda i: (units[i] - scaled[i], i))
    # With a sum of `total`, at most one unit for each value is missing.
    for_each, left_over = divmod(missing, len(values))
    for rank, index in enumerate(by_remainder):
        units[index] += for_each + (rank < left_over)
    return [unit / _UNITS for unit in units]
