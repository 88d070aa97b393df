"""Slow twins of the consistency measures, written from the equations of the paper's section 3.1.

Loops over clips, in the order of the equations; never optimised, and without any of the
product's code.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations


def delta(d, i):
    """0 if the query is strictly nearer to its own original than to every other, else 1."""
    return 0 if all(d[i][i] < d[i][j] for j in range(len(d[i])) if j != i) else 1


def rank(d, i):
    return 1 + sum(1 for j in range(len(d[i])) if j != i and d[i][j] <= d[i][i])


def nearest(d, i):
    best = None
    for j in range(len(d[i])):
        if j != i and (best is None or d[i][j] < d[i][best]):
            best = j
    return best


def within_space(d):
    return 1 - sum(delta(d, i) for i in range(len(d))) / len(d)


def within_space_in_every_collection(d, n):
    """C_W averaged over every collection of n clips: the definition, without a binomial."""
    right = total = 0
    for collection in combinations(range(len(d)), n):
        for i in collection:
            total += 1
            right += all(d[i][i] < d[i][j] for j in collection if j != i)
    return Fraction(right, total)


def average_ranks(values):
    return [
        sum(1 for other in values if other < value)
        + (1 + sum(1 for other in values if other == value)) / 2
        for value in values
    ]


def pearson(x, y, weights=None):
    w = [1.0] * len(x) if weights is None else weights
    total = math.fsum(w)
    mean_x = math.fsum(a * c for a, c in zip(x, w, strict=True)) / total
    mean_y = math.fsum(b * c for b, c in zip(y, w, strict=True)) / total
    xy = math.fsum((a - mean_x) * (b - mean_y) * c for a, b, c in zip(x, y, w, strict=True))
    xx = math.fsum((a - mean_x) ** 2 * c for a, c in zip(x, w, strict=True))
    yy = math.fsum((b - mean_y) ** 2 * c for b, c in zip(y, w, strict=True))
    return xy / math.sqrt(xx * yy) if xx > 0 and yy > 0 else math.nan


def rho_of_a_resample(d_a, d_b, drawn):
    """Pooled rho of the clips drawn (a list with repeats), with the ranks of the full sample.

    The resampled matrix is built pair by pair; two copies of one clip are no pair.
    """
    n = len(d_a)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    ranks_a = dict(zip(pairs, average_ranks([d_a[i][j] for i, j in pairs]), strict=True))
    ranks_b = dict(zip(pairs, average_ranks([d_b[i][j] for i, j in pairs]), strict=True))
    resampled = [(x, y) for x in drawn for y in drawn if x != y]
    if not resampled:
        return math.nan
    return pearson([ranks_a[pair] for pair in resampled], [ranks_b[pair] for pair in resampled])


# With failed queries. ``failed[i]``: the encoder failed on query i. ``made[i]``: the query could be
# made. ``there[i]``: the encoder has an original i. Queries that were made and have an original are
# asked.


def asked(made, there):
    return [i for i in range(len(made)) if made[i] and there[i]]


def others(i, there, group=None):
    """The clips that query i is compared with."""
    apart = range(len(there)) if group is None else group
    return [
        j
        for j in range(len(there))
        if j != i and there[j] and (group is None or apart[j] != apart[i])
    ]


def delta_or_lost(d, i, failed, there, group=None):
    """Delta of the paper; a query that the encoder failed is an error."""
    if failed[i]:
        return 1
    return 0 if all(d[i][i] < d[i][j] for j in others(i, there, group)) else 1


def within_space_with_failures(d, failed, made, there, group=None):
    queries = asked(made, there)
    return 1 - sum(delta_or_lost(d, i, failed, there, group) for i in queries) / len(queries)


def in_every_collection_with_failures(d, n, failed, made, there):
    """C_W over every collection of n clips that are there; a failed query is right in none."""
    clips = [j for j in range(len(d)) if there[j]]
    right = total = 0
    for collection in combinations(clips, n):
        for i in collection:
            if made[i]:
                total += 1
                right += not failed[i] and all(d[i][i] < d[i][j] for j in collection if j != i)
    return Fraction(right, total)


def agreement_with_failures(d_audio, d_latent, failed, made, there):
    """C_B_acc, the agreement of independent errors, and Cohen's kappa of the paper's two deltas.

    The audio space has all originals and fails on none.
    """
    queries = asked(made, there)
    nothing, everything = [False] * len(made), [True] * len(made)
    heard = {i: delta_or_lost(d_audio, i, nothing, everything) for i in queries}
    seen = {i: delta_or_lost(d_latent, i, failed, there) for i in queries}
    same = Fraction(sum(heard[i] == seen[i] for i in queries), len(queries))
    a = Fraction(sum(1 - heard[i] for i in queries), len(queries))
    b = Fraction(sum(1 - seen[i] for i in queries), len(queries))
    chance = a * b + (1 - a) * (1 - b)
    return same, chance, None if chance == 1 else (same - chance) / (1 - chance)


def growth_with_failures(severity, d_own, failed):
    """Spearman of severity and distance of one clip; None marks a query that could not be made.

    A failed query did not grow: it stays where the clip was at the next milder one (0: the
    original). A clip with failures that never grows has 0.
    """
    steps = sorted(range(len(severity)), key=lambda p: severity[p])
    reached, moved = 0.0, {}
    for p in steps:
        if failed[p]:
            moved[p] = reached
        elif d_own[p] is not None:
            reached = moved[p] = d_own[p]
    there = sorted(moved)
    if len(there) < 2:
        return math.nan
    rho = pearson(
        average_ranks([severity[p] for p in there]), average_ranks([moved[p] for p in there])
    )
    return 0.0 if math.isnan(rho) and any(failed) else rho
