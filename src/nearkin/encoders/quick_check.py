"""The quick check that every run begins with: that an answer is a function of the clip alone.

Differences are relative: the Euclidean distance between two answers for one clip, over the median
distance between the answers for different clips. 0 is bit-equal; 1 means that calling again moves a
clip as far as another clip lies. The clips are nearkin's synthetic music, at the encoder's rate.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE, resample
from nearkin.audio.synthetic import clips
from nearkin.encoders.foreign import foreign_code
from nearkin.encoders.protocol import EncoderError, Key, ResolvedEncoder, as_array, embed
from nearkin.encoders.resolve import is_table
from nearkin.seeds import stream

TOLERANCE = 1e-4
"""Largest relative difference that rounding may make; no rank of a clip hangs on it."""
SAME_ANSWERS = 1e-3
"""Largest relative difference that another machine or device may make to a digest."""
DIGEST_NUMBERS = 8
POOL_OVER_TIME = (
    "pool over time; where it returns [D, T] (librosa's order), return its transpose [T, D] or "
    "pass --encoder-options '{\"time_axis\": 2}'"
)
CLIP_S = 2.0
LONGER = 1.25
"""The second length that is tried, over the first."""
OTHER_RATE = 16_000
"""Hz told beside the right ones, to see whether it matters."""
OK = "ok"


class Steadiness(NamedTuple):
    """What a second call and a larger batch change.

    Attributes
    ----------
    state : {"steady", "stochastic", "batch", "length", "failed", "unchecked"}
        ``"batch"``: the answer for a clip changes with the clips beside it. ``"length"``: the size
        of the answer changes with the length of the clip, as that of [D, T] for [T, D] does.
    again, batch : float
        Relative differences; NaN where not measured.
    sentence : str
        The state in words; empty where it is steady.
    digest : dict or None
        What it answered, in few numbers: see `digest`. None where it answered nothing of use.
    """

    state: str
    again: float = float("nan")
    batch: float = float("nan")
    sentence: str = ""
    digest: dict[str, Any] | None = None


def steadiness(found: ResolvedEncoder, *, seconds: float = CLIP_S) -> Steadiness:
    """Ask an encoder twice, and one clip of a batch alone: the quick part of `examine`.

    Parameters
    ----------
    found : ResolvedEncoder
    seconds : float
        Length of the clips.

    Returns
    -------
    Steadiness
        ``"unchecked"`` for tables of embeddings, which hear nothing; ``"failed"`` with the reason
        where the encoder cannot embed the test clips.
    """
    if is_table(found):
        return Steadiness("unchecked")
    with batched(found):
        return _steadiness(found, seconds)


def _steadiness(found: ResolvedEncoder, seconds: float) -> Steadiness:
    music = sample_music(found.sample_rate, seconds)
    first = embedded(found, music)
    again = embedded(found, music)
    alone = embedded(found, music[:1])
    if isinstance(first, str) or isinstance(again, str) or isinstance(alone, str):
        reasons = (answer for answer in (first, again, alone) if isinstance(answer, str))
        return Steadiness("failed", sentence=next(reasons))
    if first.shape != again.shape or first.shape[1] != alone.shape[1]:
        sizes = sorted({first.shape[1], again.shape[1], alone.shape[1]})
        told = f"returned vectors of different sizes for the same clips ({sizes})"
        return Steadiness("failed", sentence=told)
    kept = digest(first)
    told = _length(found, first.shape[1], seconds)
    if told:
        return Steadiness("length", sentence=told, digest=kept)
    moved = difference(first, again, first)
    if moved > TOLERANCE:
        hint = (
            "; it is in training mode, call .eval() on it"
            if getattr(found.encoder, "training", lambda: False)()
            else ""
        )
        return Steadiness(
            "stochastic",
            moved,
            sentence=f"is stochastic: the same clip again lies {moved:.2g} of the distance between "
            f"different clips away (cosine to itself {_cosine(first, again):.2f}){hint}",
            digest=kept,
        )
    beside = difference(first[:1], alone, first)
    if beside > TOLERANCE:
        return Steadiness(
            "batch",
            moved,
            beside,
            f"changes with the batch: a clip alone lies {beside:.2g} of the distance between "
            "different clips from the same clip in a batch of 4",
            kept,
        )
    return Steadiness("steady", moved, beside, digest=kept)


def _length(found: ResolvedEncoder, size: int, seconds: float) -> str:
    """Tell if a longer clip gives more values: then time is not pooled, or is the wrong axis."""
    longer = LONGER * max(seconds, 1.0)
    answer = embedded(found, sample_music(found.sample_rate, longer)[:1])
    if isinstance(answer, str) or answer.shape[1] == size:
        return ""  # a length that it refuses, or a size that it declares, is its own affair
    samples = round(seconds * found.sample_rate)
    return (
        f"returned {size} values for {seconds:g} s and {answer.shape[1]} for {longer:g} s: "
        f"{POOL_OVER_TIME}; where it is meant for one length, '{{\"samples\": {samples}}}'"
    )


def digest(vectors: NDArray[np.float32]) -> dict[str, Any]:
    """Keep what an encoder answered in few numbers, to know it again by.

    Parameters
    ----------
    vectors : float32[n, D]
        Its answers for n clips.

    Returns
    -------
    dict
        ``embedding_size``, and ``answers``: n lists of 8 numbers, the vectors under a fixed
        projection with random signs, which keeps their distances in expectation. JSON values.
    """
    size = vectors.shape[1]
    rng = stream(0, "digest of answers", size)
    signs = rng.integers(0, 2, size=(size, DIGEST_NUMBERS)) * 2.0 - 1.0
    kept = vectors.astype(np.float64) @ signs / np.sqrt(DIGEST_NUMBERS)
    return {
        "embedding_size": size,
        "answers": [[float(f"{value:.9g}") for value in row] for row in kept],
    }


def changed_answers(before: Mapping[str, Any] | None, now: Steadiness) -> str:
    """Tell whether an encoder answers the test clips as it did before.

    Parameters
    ----------
    before : mapping or None
        A `Steadiness` as a mapping, as run.json keeps it; None where none was kept.
    now : Steadiness
        Of the encoder under the same label.

    Returns
    -------
    str
        How they differ, in words; empty where they do not, or where nothing was kept. One that is
        random from call to call may differ by what a call changes.

    Examples
    --------
    >>> same = Steadiness("steady", 0.0, 0.0, digest=digest(np.eye(4, 5, dtype=np.float32)))
    >>> changed_answers(same._asdict(), same)
    ''
    """
    kept = (before or {}).get("digest")
    if not kept:
        return ""
    if now.digest is None:
        return f"fails on the test clips, which it answered before: {now.sentence}"
    sizes = int(kept["embedding_size"]), int(now.digest["embedding_size"])
    if sizes[0] != sizes[1]:
        return f"answers the test clips with {sizes[1]} values, before with {sizes[0]}"
    old, new = (np.array(side["answers"], np.float64) for side in (kept, now.digest))
    if old.shape != new.shape:
        return "answers other test clips than before"
    moved = difference(old, new, old)
    random = [(before or {}).get("again") or 0.0, now.again]
    if moved <= max(SAME_ANSWERS, 3 * max(v for v in random if np.isfinite(v))):
        return ""
    return (
        f"answers the test clips differently than before: they moved by {moved:.2g} of the "
        "distance between different clips"
    )


def rate_ignored(found: ResolvedEncoder) -> str:
    """Tell that a callable answers the same whatever rate it is told, where no rate was stated.

    Parameters
    ----------
    found : ResolvedEncoder

    Returns
    -------
    str
        A question to the user; empty where it hears the difference, or refuses one of the rates.
    """
    model = model_of(found)
    ask = getattr(model, "at_rate", None)
    if ask is None:
        return ""
    clip = sample_music(found.sample_rate, CLIP_S)[0]
    other = OTHER_RATE if found.sample_rate != OTHER_RATE else 2 * OTHER_RATE
    try:
        with foreign_code():
            one, two = (as_array(ask(clip.copy(), rate)) for rate in (found.sample_rate, other))
    except Exception:  # the border to foreign code: what it refuses, it does not ignore
        return ""
    if one.shape != two.shape or not np.array_equal(one, two):
        return ""
    return (
        f"ignores sample_rate: is {found.sample_rate} Hz what your model takes? pass --sample-rate"
    )


def sample_music(rate: int, seconds: float) -> NDArray[np.float32]:
    """Return float32[4, samples]: four different pieces at the encoder's rate."""
    return _sample_music(rate, seconds).copy()


@functools.lru_cache(maxsize=8)
def _sample_music(rate: int, seconds: float) -> NDArray[np.float32]:
    pieces = [y for _, y in clips(4, seconds=max(seconds, 1.0))]
    n_samples = round(seconds * rate)
    return np.stack(
        [resample(y, from_sr=SAMPLE_RATE, to_sr=rate)[:n_samples] for y in pieces]
    ).astype(np.float32)


@contextmanager
def batched(found: ResolvedEncoder) -> Iterator[None]:
    """Let a model have whole batches, also where a run would give it one clip at a time."""
    model = model_of(found)
    alone = getattr(model, "alone", False)
    if not alone:
        yield
        return
    model.alone = False
    try:
        yield
    finally:
        model.alone = alone


def model_of(found: ResolvedEncoder) -> Any:
    """Return what embeds: the model itself where the encoder is one layer of it."""
    return getattr(getattr(found.encoder, "shared", None), "model", found.encoder)


def clip_keys(n: int) -> list[Key]:
    """Name the test clips."""
    return [Key(f"test clip {index}", "OG", 0.0) for index in range(n)]


def embedded(found: ResolvedEncoder, audio: NDArray[np.float32]) -> NDArray[np.float32] | str:
    """Embed, or say why a row could not be used."""
    try:
        answer = embed(found, audio, clip_keys(len(audio)))
    except EncoderError as error:
        return str(error)
    bad = [text for text in answer.status if text != OK]
    return bad[0] if bad else answer.vectors


def spread(vectors: NDArray[Any]) -> float:
    """Return the median distance between the answers for different clips."""
    values = vectors.astype(np.float64)
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(values) for b in values[i + 1 :]]
    return float(np.median(pairs))


def difference(one: NDArray[Any], two: NDArray[Any], all_clips: NDArray[Any]) -> float:
    """Return the largest distance between two answers for a clip, relative to different clips'."""
    moved = np.linalg.norm(one.astype(np.float64) - two.astype(np.float64), axis=1).max()
    if moved == 0:
        return 0.0
    # clips that all but coincide say nothing of the scale: then the vectors' own length does
    length = float(np.linalg.norm(all_clips.astype(np.float64), axis=1).mean())
    return float(moved / max(spread(all_clips), 1e-3 * length, 1e-300))


def _cosine(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    a, b = one[0].astype(np.float64), two[0].astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float("nan")
