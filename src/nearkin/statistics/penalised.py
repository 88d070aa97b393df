"""Penalised least squares with its smoothing parameters chosen by restricted maximum likelihood.

Arrays in, arrays out; what the columns mean is :mod:`nearkin.statistics.additive`'s business.
``V = (X'X + S_lambda)^-1`` throughout; times the residual variance it is the Bayesian covariance
of the coefficients (Wood 2017, section 6.10).

References
----------
Wood and Fasiolo (2017), A generalized Fellner-Schall method for smoothing parameter optimization
with application to Tweedie location, scale and shape models, Biometrics 73(4), 1071-1081.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg

FloatArray = npt.NDArray[np.float64]

# Change of the fitted scores, in standard deviations of the scores, at which the fit has settled.
FIT_TOLERANCE = 1e-9
MAX_ITERATIONS = 1000
# Smoothing parameters relative to the data's own weight: beyond these a smooth is a straight line
# (or free) to all printed digits.
MIN_SMOOTHING, MAX_SMOOTHING = 1e-8, 1e10
# Longest step of a smoothing parameter's logarithm in one round; slope below which it is taken.
LONGEST_STEP = 3.0
SLOWEST = 1e-9
# Eigenvalues of the normal equations below this share of the largest are directions without data.
RANK_TOLERANCE = 1e-11


class Fit(NamedTuple):
    """What penalised least squares leaves: arrays over the model matrix's P columns."""

    coefficients: FloatArray  # [P]
    covariance: FloatArray  # [P, P], Bayesian, given the smoothing parameters
    unidentified: FloatArray  # [P, d]: orthonormal directions the data say nothing about
    edf: FloatArray  # [P]
    scale: float  # residual variance
    smoothing: FloatArray  # [blocks, penalties]
    iterations: int
    converged: bool


def fit_reml(X: FloatArray, y: FloatArray, *, parametric: int, penalties: FloatArray) -> Fit:
    """Fit ``y = X b + error``, all but the leading columns penalised in blocks of equal width.

    The smoothing parameters maximise the restricted likelihood. Wood and Fasiolo's update
    ``lambda <- lambda * scale * (tr(S_lambda^- S) - tr(V S)) / (b' S b)`` rests where its factor is
    1, but crawls there when a smooth is all but out of the model; so the factor's logarithm (the
    excess) is brought to zero by Newton and secant steps, one for each parameter. The fit has
    settled when the fitted scores have: a parameter that belongs at infinity never does.

    Parameters
    ----------
    X : float64[n, P]
        Model matrix.
    y : float64[n]
        Scores.
    parametric : int
        Leading columns of `X`, not penalised.
    penalties : float64[m, q]
        Diagonals of the m penalties of a block of q columns, no column in two of them; every
        block has a smoothing parameter for each.

    Returns
    -------
    Fit
        Directions without data get the coefficient 0 (the shortest solution).
    """
    n, columns = X.shape
    m, q = penalties.shape
    blocks = (columns - parametric) // q if q else 0
    gram, moment = X.T @ X, X.T @ y
    ranks = np.count_nonzero(penalties, axis=1)
    if blocks:
        # A parameter of 1 then weighs as much as the data, whatever the scale of the magnitudes.
        weight = np.trace(gram[parametric:, parametric:]) / blocks
        penalties = penalties * (weight / penalties.sum(axis=1, keepdims=True))
    each = np.arange(blocks)
    excess = step = np.zeros((blocks, m))
    tiny = np.finfo(float).tiny

    def penalised(smoothing: FloatArray) -> FloatArray:
        return gram + np.diag(
            np.concatenate([np.zeros(parametric), np.ravel(smoothing @ penalties)])
        )

    smoothing = np.ones((blocks, m))
    values, vectors = linalg.eigh(penalised(smoothing))
    unidentified = vectors[:, values < RANK_TOLERANCE * values[-1]]
    # Filling the empty directions makes the system regular and leaves the solution in the others.
    empty, fill = unidentified @ unidentified.T, values[-1]

    enough = FIT_TOLERANCE * np.std(y)
    previous = np.zeros(columns)
    converged = False
    for iteration in range(1, MAX_ITERATIONS + 1):
        factor = linalg.cho_factor(penalised(smoothing) + fill * empty, check_finite=False)
        V = linalg.cho_solve(factor, np.eye(columns), check_finite=False) - empty / fill
        b = V @ moment
        edf = np.einsum("ij,ji->i", V, gram)
        residuals = y - X @ b
        scale = float(residuals @ residuals / (n - edf.sum()))
        change = b - previous
        converged = not blocks or bool(iteration > 1 and change @ gram @ change <= n * enough**2)
        if converged:
            break
        previous = b
        curves = b[parametric:].reshape(blocks, q)
        spread = V[parametric:, parametric:].reshape(blocks, q, blocks, q)[each, :, each, :]
        held = np.einsum("jm,jab,mb->jmab", smoothing, spread, penalties)  # lambda V S
        lost = np.trace(held, axis1=2, axis2=3)
        used = np.maximum(ranks - lost, tiny)  # degrees of freedom the penalty leaves
        bend = np.maximum(smoothing * (curves**2 @ penalties.T), tiny)  # lambda b'Sb
        excess, before = np.log(scale * used / bend), excess
        # How fast the excess falls as a smooth stiffens: if it stood alone, or as last seen.
        alone = (ranks - 2 * lost + np.einsum("jmab,jmba->jm", held, held)) / used
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = (before - excess) / step
        slope = np.where((seen > 0.01 * alone) & (seen < 2 * alone), seen, alone)
        step = np.clip(excess / np.maximum(slope, SLOWEST), -LONGEST_STEP, LONGEST_STEP)
        smoothing = np.clip(smoothing * np.exp(step), MIN_SMOOTHING, MAX_SMOOTHING)
    return Fit(b, V * scale, unidentified, edf, scale, smoothing, iteration, converged)
