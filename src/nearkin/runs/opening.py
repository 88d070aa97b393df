"""How a session with encoders begins: they are made, checked, steadied, and only then used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nearkin.encoders import ResolvedEncoder, is_table, takes_layers
from nearkin.encoders.check import Steadiness, steadiness
from nearkin.encoders.quick_check import rate_ignored
from nearkin.errors import InputError
from nearkin.progress import Tell, unsaid
from nearkin.runs.plan import Plan
from nearkin.runs.queries import forget_sounds
from nearkin.runs.session import Session
from nearkin.runs.sources import EncoderSource, resolve_sources


class Opened(NamedTuple):
    """A session, and what the quick check found of the tested encoders, by label."""

    session: Session
    checked: Mapping[str, Steadiness]


def open_session(
    plan: Plan,
    root: Path,
    sources: Sequence[EncoderSource],
    *,
    keep_distances: bool = False,
    tell: Tell = unsaid,
) -> Opened:
    """Make the encoders, check them, steady those that are not, and build the session.

    Every way to a session with encoders is this one, so that a run, its estimate and whatever else
    is done with them have the same encoders.

    Parameters
    ----------
    plan : Plan
    root : Path
        The run's folder; nothing is written.
    sources : sequence of EncoderSource
        All encoders, references too.
    keep_distances : bool
    tell : callable
        Told what every tested encoder was taken for, and what the check found.

    Returns
    -------
    Opened
        The session, and what the check found by label.

    Raises
    ------
    InputError
        If an encoder cannot be had or used; see `_check`.
    """
    forget_sounds()
    resolved = resolve_sources(plan, sources)
    found = _check(plan, resolved, tell)
    unsteady = {
        label: state.state
        for label, state in found.items()
        if state.state in ("stochastic", "batch")
    }
    session = Session(
        plan,
        root,
        sources,
        resolved=resolved,
        unsteady=unsteady,
        keep_distances=keep_distances,
    )
    return Opened(session, found)


def unheard(rate: int, plan: Plan) -> str:
    """Say what an encoder of a rate above the working rate does not hear.

    Examples
    --------
    >>> from nearkin.runs.plan import make_plan
    >>> unheard(48_000, make_plan({"encoders": ["mfcc"], "grid": "quick"})).split(",")[0]
    'takes 48000 Hz and hears nothing above 11 kHz'
    """
    return (
        f"takes {rate} Hz and hears nothing above {plan.working_rate / 2000:.2g} kHz, as the run "
        f"works at {plan.working_rate} Hz; --working-rate {min(rate, 96_000)} keeps all"
    )


def _check(plan: Plan, resolved: Sequence[ResolvedEncoder], tell: Tell) -> dict[str, Steadiness]:
    """Tell what the tested encoders were taken for, and do the quick part of ``nearkin check``.

    Raises
    ------
    InputError
        If one is random from call to call, and that is not allowed, if the size of one's answer
        changes with the clip's length, or if all break their contract.
    """
    found: dict[str, Steadiness] = {}
    tested = [encoder for encoder in resolved if encoder.role == "tested"]
    layer = plan.layer
    if layer is not None and not any(takes_layers(encoder) for encoder in tested):
        raise InputError(f"--layer {layer}: no encoder of the run has layers; leave it out")
    for encoder in tested:
        tell(f"encoder {encoder.label}: {encoder.matched}")
        if encoder.sample_rate > plan.working_rate and not is_table(encoder):
            tell(f"encoder {encoder.label}: {unheard(encoder.sample_rate, plan)}")
        if question := rate_ignored(encoder):
            tell(f"encoder {encoder.label}: {question}")
        state = found[encoder.label] = steadiness(encoder, seconds=plan.clip_seconds)
        if state.state == "stochastic" and not plan.allow_stochastic:
            raise InputError(
                f"encoder '{encoder.label}': {state.sentence}; mend it, or pass --allow-stochastic "
                "to average several calls"
            )
        if state.state == "length":
            raise InputError(f"encoder '{encoder.label}': {state.sentence}")
        if state.sentence:
            verb = "fails on a test clip: " if state.state == "failed" else ""
            tell(f"encoder {encoder.label}: {verb}{state.sentence}")
    # what it raises, or a NaN, may hang on the clip; a wrong shape, size or length does not
    if found and all(
        state.state == "failed" and not state.sentence.startswith(("raised ", "returned NaN"))
        for state in found.values()
    ):
        label, state = next(iter(found.items()))
        raise InputError(
            f"encoder '{label}': fails on a test clip of {plan.clip_seconds:g} s: "
            f"{state.sentence}; nearkin check tells more"
        )
    return found
