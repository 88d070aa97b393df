"""The tables of a run's folder: what is measured in them.

Conventions: a measure's values lie in ``low``..``high``; it has one distance column filled (a space
of its own) or two (the audio space's and the latent space's).
"""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """The least and greatest value of a measure, and how many distances it has."""

    low: float
    high: float
    distances: int


MEASURES = {
    "C_W": Measure(0.0, 1.0, 1),
    "C_B_acc": Measure(0.0, 1.0, 2),
    "C_B_rho": Measure(-1.0, 1.0, 2),
    "kappa": Measure(-1.0, 1.0, 2),
    "monotonicity": Measure(-1.0, 1.0, 1),
}
"""The measures of the consistency table."""
