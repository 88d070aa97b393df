"""Whether an encoder is fit to be tested: its answer a function of the clip, and always usable.

What a run asks first, and in which unit differences are told: `nearkin.encoders.quick_check`. The
clips are nearkin's synthetic music, at the encoder's rate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.foreign import foreign_code, told
from nearkin.encoders.protocol import EncoderError, ResolvedEncoder, as_array, embed
from nearkin.encoders.quick_check import (
    CLIP_S,
    OK,
    POOL_OVER_TIME,
    TOLERANCE,
    Steadiness,
    batched,
    changed_answers,
    clip_keys,
    difference,
    digest,
    embedded,
    model_of,
    rate_ignored,
    sample_music,
    spread,
    steadiness,
)

__all__ = [
    "TOLERANCE",
    "Check",
    "CheckReport",
    "Steadiness",
    "changed_answers",
    "digest",
    "examine",
    "steadiness",
]

LENGTHS_S = (1.07, 1.98, 2.74, 4.0)
USUAL_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
QUIET = 10 ** (-80 / 20)
"""-80 dB below full scale."""

NOTE, FAULT = "note", "fault"


class Check(NamedTuple):
    """One thing that was checked.

    Attributes
    ----------
    name : str
        What was checked.
    verdict : {"ok", "note", "fault"}
        A note is worth knowing; a fault makes the encoder unfit.
    seen : str
        What was seen.
    """

    name: str
    verdict: str
    seen: str


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes
    ----------
    encoder, spec, matched : str
        What was checked.
    checks : tuple of Check
    numbers : dict
        ``sample_rate``, ``embedding_size``, ``noise_floor``, ``batch_difference``,
        ``seconds_per_second`` and ``peak_memory_mb`` (of the whole process).
    """

    encoder: str
    spec: str
    matched: str
    checks: tuple[Check, ...]
    numbers: dict[str, float | None]

    @property
    def faults(self) -> list[str]:
        """What makes it unfit, in sentences."""
        return [f"{c.name}: {c.seen}" for c in self.checks if c.verdict == FAULT]

    @property
    def fit(self) -> bool:
        """Whether nothing makes it unfit."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "encoder": self.encoder,
            "spec": self.spec,
            "matched": self.matched,
            "fit": self.fit,
            "faults": self.faults,
            "findings": [check._asdict() for check in self.checks],
            **self.numbers,
        }

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        width = max(len(check.name) for check in self.checks)
        rows = [f"{c.verdict:5}  {c.name:{width}}  {c.seen}" for c in self.checks]
        return [f"{self.encoder}: {self.matched}", *rows]


def examine(found: ResolvedEncoder) -> CheckReport:
    """Check everything that would spoil a run, or its numbers.

    Parameters
    ----------
    found : ResolvedEncoder
        Not a table of embeddings, which hears nothing.

    Returns
    -------
    CheckReport
    """
    with batched(found):
        return _examined(found)


def _examined(found: ResolvedEncoder) -> CheckReport:
    rate = found.sample_rate
    checks = [_rate(rate)]
    numbers: dict[str, float | None] = {"sample_rate": rate, "embedding_size": None}
    memory = _peak_memory_mb()
    # a model that declares one length, or a longest shortest, is asked at that
    model = model_of(found)
    least = getattr(model, "minimum_samples", None) or 0
    seconds = max(CLIP_S, least / rate)
    music = sample_music(rate, seconds)
    before = music.copy()
    keys = clip_keys(len(music))
    try:
        answer = embed(found, music, keys)
        with foreign_code():
            raw = as_array(found.encoder.embed(before, keys=keys))
    except EncoderError as error:
        checks.append(Check("embeds", FAULT, f"{error} (on {seconds:g} s of music)"))
        return _report(found, checks, numbers)
    except Exception as error:  # the border to foreign code: it may raise at the second call only
        checks.append(Check("embeds", FAULT, f"raised {told(error)}"))
        return _report(found, checks, numbers)
    vectors = answer.vectors
    numbers["embedding_size"] = vectors.shape[1]
    checks.append(Check("shape", OK, f"[{len(vectors)}, {vectors.shape[1]}] for a batch of 4"))
    narrow = raw.dtype == np.float32
    checks.append(
        Check("dtype", OK if narrow else NOTE,
                "float32" if narrow else f"{raw.dtype}, converted to float32")
    )  # fmt: skip
    bad = [text for text in answer.status if text != OK]
    checks.append(Check("finite", FAULT if bad else OK, bad[0] if bad else "every value"))
    if not np.array_equal(before, music):
        checks.append(Check("input", NOTE, "it writes into its input; nearkin hands a copy"))
    if not bad:
        if told_rate := rate_ignored(found):
            checks.append(Check("rate", NOTE, told_rate))
        checks += _different(vectors)
        checks += _steady(found, seconds, music, vectors, numbers)
    checks += _extremes(found, music)
    checks += _lengths(found, vectors.shape[1], least)
    audit: Callable[[NDArray[np.float32]], list[str]] | None = getattr(model, "audit", None)
    if audit is not None:
        faults = audit(music)
        seen = "as HEAR" if not faults else f"{'; '.join(faults)} (nearkin does not use them)"
        checks.append(Check("timestamps", NOTE if faults else OK, seen))
    checks += _cost(found, music, seconds, numbers)
    after = _peak_memory_mb()
    if after is not None and memory is not None:
        numbers["peak_memory_mb"] = round(after)
        checks.append(
            Check("memory", OK, f"{after - memory:.0f} MB more while checked, {after:.0f} in all")
        )
    return _report(found, checks, numbers)


def _report(
    found: ResolvedEncoder, checks: list[Check], numbers: dict[str, float | None]
) -> CheckReport:
    return CheckReport(found.label, found.spec, found.matched, tuple(checks), numbers)


def _rate(rate: int) -> Check:
    if not 1_000 <= rate <= 192_000:
        return Check("rate", FAULT, f"{rate} Hz: must be from 1000 to 192000")
    usual = rate in USUAL_RATES
    return Check("rate", OK if usual else NOTE, f"{rate} Hz" + ("" if usual else ", unusual"))


def _different(vectors: NDArray[np.float32]) -> list[Check]:
    if not spread(vectors) > 0:
        seen = "the same vector for different clips: nothing can be told apart"
        return [Check("different clips", FAULT, seen)]
    if (np.abs(vectors).max(axis=1) == 0).any():
        seen = "an all-zero vector for a clip of music: it has no cosine"
        return [Check("different clips", FAULT, seen)]
    return [Check("different clips", OK, "different vectors")]


def _steady(
    found: ResolvedEncoder,
    seconds: float,
    music: NDArray[np.float32],
    vectors: NDArray[np.float32],
    numbers: dict[str, float | None],
) -> list[Check]:
    state = steadiness(found, seconds=seconds)
    if state.state == "failed":
        return [Check("same twice", FAULT, state.sentence)]
    numbers["noise_floor"] = state.again
    if state.state == "stochastic":
        return [Check("same twice", FAULT, state.sentence)]
    seen = "bit-equal" if state.again == 0 else f"noise floor {state.again:.1e}"
    checks = [Check("same twice", OK, seen)]
    numbers["batch_difference"] = state.batch
    if state.state == "batch":
        return [*checks, Check("batch", FAULT, state.sentence)]
    seen = "bit-equal" if state.batch == 0 else f"difference {state.batch:.1e}"
    checks.append(Check("batch", OK, f"1 against 4: {seen}"))
    turned = embedded(found, np.ascontiguousarray(music[::-1]))
    if isinstance(turned, str):
        return [*checks, Check("order", FAULT, turned)]
    moved = difference(vectors, turned[::-1], vectors)
    if moved > TOLERANCE:
        seen = f"changes with the order in the batch: {moved:.2g} of the distance between clips"
        return [*checks, Check("order", FAULT, seen)]
    return [*checks, Check("order", OK, "does not matter")]


def _extremes(found: ResolvedEncoder, music: NDArray[np.float32]) -> list[Check]:
    sounds = {
        "silence": np.zeros_like(music[:1]),
        "full scale": np.sign(music[:1]) + (music[:1] == 0),
        "very quiet": music[:1] / max(float(np.abs(music[:1]).max()), 1e-9) * np.float32(QUIET),
    }
    checks = []
    for name, sound in sounds.items():
        answer = embedded(found, sound.astype(np.float32))
        if not isinstance(answer, str):
            seen = "all-zero, so without a cosine" if not answer.any() else "finite"
            checks.append(Check(name, OK if answer.any() else NOTE, seen))
        elif name == "silence" and answer.startswith("raised"):
            checks.append(Check(name, NOTE, f"refused: {answer}"))
        else:
            checks.append(Check(name, FAULT, answer))
    return checks


def _lengths(found: ResolvedEncoder, size: int, least: int) -> list[Check]:
    """Any length must give the same size, or be refused: a declared minimum is no fault."""
    checks = []
    for seconds in LENGTHS_S:
        name = f"{seconds:g} s"
        if round(seconds * found.sample_rate) < least:
            seen = f"below its declared minimum of {least / found.sample_rate:.2f} s"
            checks.append(Check(name, NOTE, seen))
            continue
        answer = embedded(found, sample_music(found.sample_rate, seconds)[:1])
        if isinstance(answer, str):
            silent = answer.startswith("returned NaN")
            verdict = FAULT if silent else NOTE
            checks.append(Check(name, verdict, answer if silent else f"refused: {answer}"))
        elif answer.shape[1] != size:
            seen = f"{answer.shape[1]} values, {size} for {CLIP_S:g} s: {POOL_OVER_TIME}"
            checks.append(Check(name, FAULT, seen))
        else:
            checks.append(Check(name, OK, f"{size} values"))
    return checks


def _cost(
    found: ResolvedEncoder,
    music: NDArray[np.float32],
    seconds: float,
    numbers: dict[str, float | None],
) -> list[Check]:
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        embedded(found, music)
        taken.append(time.perf_counter() - begun)
    per_second = min(taken) / (len(music) * seconds)
    numbers["seconds_per_second"] = per_second
    return [Check("time", OK, f"{1000 * per_second:.3g} ms a second of audio")]


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows has no such count
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
