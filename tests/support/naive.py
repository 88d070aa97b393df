"""Slow twins of the distances, written from their definitions and never optimised.

Plain Python floats are float64; none of the product's code is used.
"""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import median


def squared(x, y):
    return math.fsum((float(p) - float(q)) ** 2 for p, q in zip(x, y, strict=True))


def paths(rows, columns):
    """Every warping path from (0, 0) to the last cell, with steps (1, 1), (1, 0) and (0, 1)."""
    if (rows, columns) == (1, 1):
        yield [(0, 0)]
        return
    for p, q in ((1, 1), (1, 0), (0, 1)):
        if rows > p and columns > q:
            for path in paths(rows - p, columns - q):
                yield [*path, (rows - 1, columns - 1)]


def dtw_of_all_paths(a, b):
    """The definition itself: the cheapest of all paths."""
    return min(
        math.fsum(math.sqrt(squared(a[i], b[j])) for i, j in path) for path in paths(len(a), len(b))
    )


def dtw(a, b):
    """The recursion D(i, j) = d(i, j) + min(D(i-1, j-1), D(i-1, j), D(i, j-1))."""
    cost = {(-1, -1): 0.0}
    for i in range(len(a)):
        for j in range(len(b)):
            before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
            cost[i, j] = math.sqrt(squared(a[i], b[j])) + min(
                cost.get(cell, math.inf) for cell in before
            )
    return cost[len(a) - 1, len(b) - 1]


def simple(a, b, m):
    profile = []
    for s in range(len(a) - m + 1):
        profile.append(
            min(
                math.fsum(squared(a[s + t], b[j + t]) for t in range(m))
                for j in range(len(b) - m + 1)
            )
        )
    return median(profile)


def euclidean(x, y):
    """Exact up to the last square root: rational arithmetic."""
    total = sum((Fraction(float(p)) - Fraction(float(q))) ** 2 for p, q in zip(x, y, strict=True))
    return root(total)


def root(q, digits=40):
    """Square root of a fraction to a relative 10^-digits, as a fraction."""
    if q == 0:
        return Fraction(0)
    scale = 10 ** (2 * (digits + max(0, len(str(q.denominator)) - len(str(q.numerator)))))
    return Fraction(math.isqrt(q.numerator * scale // q.denominator), math.isqrt(scale))


def cosine(x, y):
    """1 - <x, y> / (|x| |y|) in rational arithmetic: no digits are lost near 0."""
    x, y = [Fraction(float(p)) for p in x], [Fraction(float(q)) for q in y]
    dot = sum(p * q for p, q in zip(x, y, strict=True))
    return 1 - dot / root(sum(p * p for p in x) * sum(q * q for q in y))
