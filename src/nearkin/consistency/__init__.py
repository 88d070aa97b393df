"""Distance consistency: a transformed clip and its own original should be nearest neighbours.

Distance matrices in, numbers out: nothing here knows audio or networks, so that every number of a
study can be computed again from saved matrices alone (Kim, Urbano, Liem and Hanjalic 2019, section
3.1, doi:10.3389/fams.2019.00053, "the paper").

Conventions
-----------
``d[i, j]``, float32 or float64, shape [n, N]: distance from query i (a transformed clip) to
original j, in one space. ``own[i]``: column of the query's own original; when it is left out,
d is square and query i belongs to original i. Every original but one's own is an "other".

What is missing is NaN and always whole: a row is NaN where there is no query, a column where there
is no original (an all-zero vector has no cosine). A measure takes the queries that are there and
whose own original is there; with none left it is undefined, NaN. A measure of two spaces takes
what is there in both. ``failed[i]`` says that a row is missing because the encoder failed on the
query: such a query counts as lost (error 1, the last rank, no growth), while one that could not be
made is left out.

An error is strict: a query as near to some other as to its own original is an error.
"""

from __future__ import annotations

from nearkin.consistency.between import (
    Agreement,
    agreement,
    agreement_by_chance,
    between_space_accuracy,
    between_space_rho,
    kappa,
    rho_by_clip,
)
from nearkin.consistency.estimates import (
    Estimate,
    between_space_accuracy_estimate,
    between_space_rho_estimate,
    within_space_estimate,
)
from nearkin.consistency.matrices import validate
from nearkin.consistency.neighbours import Found, Neighbours, neighbours
from nearkin.consistency.ranks import centred_ranks, spearman
from nearkin.consistency.replicates import (
    AgreementReplicates,
    RankedSpace,
    agreement_replicates,
    own_rho_replicates,
    rho,
    rho_replicates,
)
from nearkin.consistency.within import (
    monotonicity,
    within_space,
    within_space_at,
    within_space_at_by_clip,
)

__all__ = [
    "Agreement",
    "AgreementReplicates",
    "Estimate",
    "Found",
    "Neighbours",
    "RankedSpace",
    "agreement",
    "agreement_by_chance",
    "agreement_replicates",
    "between_space_accuracy",
    "between_space_accuracy_estimate",
    "between_space_rho",
    "between_space_rho_estimate",
    "centred_ranks",
    "kappa",
    "monotonicity",
    "neighbours",
    "own_rho_replicates",
    "rho",
    "rho_by_clip",
    "rho_replicates",
    "spearman",
    "validate",
    "within_space",
    "within_space_at",
    "within_space_at_by_clip",
    "within_space_estimate",
]
