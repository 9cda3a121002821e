"""Rounding that keeps sums: numbers that add up before they are rounded add up afterwards, too.

Readers add up what is published: contributions to the score, shares and probabilities to 1. Rounded one by one, three numbers can miss
their sum by a unit of the last digit, and the record would contradict itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

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
    return [unit / _UNITS for unit in apportioned_units(values, total)]


def apportioned_units(values: Sequence[float], total: float) -> list[int]:
    """As `apportion`, in units of the last digit."""
    if not values:
        return []
    scaled = [value * _UNITS for value in values]
    units = [floor(value) for value in scaled]
    missing = round(rounded(total) * _UNITS) - sum(units)
    # With a sum of `total`, at most one unit for each value is missing.
    for_each, left_over = divmod(missing, len(values))
    if for_each:
        units = [unit + for_each for unit in units]
    remainders = [value - unit for value, unit in zip(scaled, units, strict=True)]
    # Sorting keeps the order of equal remainders.
    for index in sorted(range(len(values)), key=remainders.__getitem__, reverse=True)[:left_over]:
        units[index] += 1
    return units
