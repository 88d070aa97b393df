"""The second unit of a run: one clip, transformed at every point, measured against all originals.

A unit is a function of the plan, one clip and all originals read-only; it neither writes nor
remembers, so units may run anywhere, in any order, again after an interruption, with the same
result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.consistency import Found, neighbours
from nearkin.distances import AUDIO_DISTANCES, PackedOriginals, iter_pairwise_audio
from nearkin.distances.fast import fast_dtw_row
from nearkin.encoders import Key, ResolvedEncoder
from nearkin.encoders.foreign import foreign_code, told
from nearkin.errors import InputError, NearkinError
from nearkin.optional import need
from nearkin.progress import at
from nearkin.runs.clips import Original, Queries, Vectors, Version
from nearkin.runs.describe import centre, embed_all, frames_of, stored
from nearkin.runs.plan import IDENTITY, Plan
from nearkin.tables import OK
from nearkin.transforms import TRANSFORMATIONS, NoiseLibrary, Transformation, Transformed
from nearkin.transforms.grids import Point

_T = TypeVar("_T")


def queries(
    plan: Plan,
    original: Original,
    space: PackedOriginals,
    encoders: Sequence[ResolvedEncoder],
    *,
    noise: NoiseLibrary,
    own: int = 0,
    groups: NDArray[np.intp] | None = None,
    columns: NDArray[np.intp] | None = None,
) -> Queries:
    """Transform one clip at every point of the plan and ask where the results lie.

    Parameters
    ----------
    plan : Plan
        The run.
    original : Original
        A usable clip.
    space : PackedOriginals
        The audio space: MFCCs of all N originals.
    encoders : sequence of ResolvedEncoder
        The encoders that embedded all originals.
    noise : NoiseLibrary
        What EN adds.
    own : int
        The clip's place among the originals.
    groups : int[N], optional
        Group of every original: others are then those of other groups only.
    columns : int[K], optional
        The originals whose distances are returned; all N by default.

    Returns
    -------
    Queries
    """
    n_points = len(plan.points)
    effective = np.array([point.magnitude for point in plan.points])
    status = [OK] * n_points
    heard = np.zeros((n_points, plan.clip_samples), np.float32)
    frames: dict[int, NDArray[np.float32]] = {}
    for index, point in enumerate(plan.points):
        at(f"{point.code} {point.magnitude:g}")
        try:
            version = transformed(plan, original, point, noise=noise)
            compared = version.context if plan.audio_window == "full" else version.heard
            frames[index] = frames_of(plan, compared)
            _require_window(plan, frames[index])
        except NearkinError as error:
            status[index] = " ".join(str(error).split())
            continue
        heard[index] = version.heard
        effective[index] = version.effective_magnitude
    good = [index for index in range(n_points) if status[index] == OK]
    columns = np.arange(len(space)) if columns is None else columns
    distances = np.full((len(AUDIO_DISTANCES), n_points, len(columns)), np.nan, np.float32)
    found = [Found(n_points, len(space)) for _ in AUDIO_DISTANCES]

    def asked() -> Iterator[NDArray[np.float32]]:
        for index in good:
            point = plan.points[index]
            at(f"{point.code} {point.magnitude:g}, its audio distances")
            yield frames[index]

    rows = iter_pairwise_audio(
        asked(),
        space,
        measures=tuple(AUDIO_DISTANCES),
        m=plan.simple_window,
    )
    for index, row in zip(good, rows, strict=True):
        if plan.dtw == "fast":
            row["dtw"] = fast_dtw_row(frames[index], space)
        for number, measure in enumerate(AUDIO_DISTANCES):
            distances[number, index] = row[measure][columns]
            found[number].put(
                np.array([index]), neighbours(row[measure][None], own=[own], groups=groups)
            )
    keys = [Key(original.clip_id, *point) for point in plan.points]
    return Queries(
        effective=effective,
        status=tuple(status),
        audio=tuple(one.neighbours() for one in found),
        distances=distances,
        vectors=embed_all(plan, encoders, heard, keys, status),
    )


def lost_queries(
    plan: Plan, n_clips: int, n_kept: int, encoders: Sequence[ResolvedEncoder], reason: str
) -> Queries:
    """Return what is to be said of a clip whose queries cannot be asked: the reason, everywhere.

    Parameters
    ----------
    plan : Plan
    n_clips, n_kept : int
        Originals, and those whose distances are kept.
    encoders : sequence of ResolvedEncoder
    reason : str
    """
    n_points = len(plan.points)
    status = (reason,) * n_points
    return Queries(
        effective=np.array([point.magnitude for point in plan.points]),
        status=status,
        audio=tuple(Found(n_points, n_clips).neighbours() for _ in AUDIO_DISTANCES),
        distances=np.full((len(AUDIO_DISTANCES), n_points, n_kept), np.nan, np.float32),
        vectors={e.label: Vectors(None, status, failure=reason) for e in encoders},
    )


def transformed(
    plan: Plan,
    original: Original,
    point: Point,
    *,
    noise: NoiseLibrary,
    companions: NDArray[np.float32] | None = None,
) -> Version:
    """Transform one clip's context at one point, cut the clip out, and match its loudness.

    Of the context as much is transformed as what is heard of it needs (`Transformation.spare`),
    unless the plan compares or levels whole contexts. Where a transformation keeps its loudness
    (`Transformation.loudness`), nothing is matched.

    Parameters
    ----------
    plan : Plan
        The run.
    original : Original
        A usable clip.
    point : Point
        Transformation and magnitude.
    noise : NoiseLibrary
        What EN adds.
    companions : float32[k, samples], optional
        Signals as long as the context that have to stay with it, such as the voice in a mixture.
        A transformation that moves time or pitch (`Transformation.moves_time`), or does the same
        to every part of a mixture (`Transformation.of_every_part`), treats context and companions
        as channels of one call, so that they stay aligned (the context then comes out a little
        different from how it would alone: a stretcher looks at all channels); the others change the
        context only. The context's loudness gain is applied to all.

    Returns
    -------
    Version

    Raises
    ------
    InputError
        If the transformation cannot be applied, the result does not fill the clip, or its
        loudness cannot be measured.
    """
    change = transformation_at(plan, point, noise=noise)
    signal = original.context
    if "full" not in (plan.audio_window, plan.loudness_window):
        n = len(signal)
        wanted = {"heard": plan.clip_samples, "sr": plan.working_rate}
        spare = max(0, _asked(point, lambda: int(change.spare(n, **wanted))))
        signal = signal[spare : n - spare]
        companions = None if companions is None else companions[..., spare : n - spare]
    if companions is not None and (change.moves_time or change.of_every_part):
        signal = np.vstack([signal, companions])
    out, magnitude = _applied(change, signal, plan, point, original)
    together = signal.ndim == 2
    changed = out[0] if together else out
    if companions is not None:
        companions = out[1:] if together else companions
        if companions.shape[-1] != len(changed):
            raise InputError(
                f"{point.code} makes {companions.shape[-1]} samples {len(changed)}: must keep the "
                "length where something has to stay with the clip"
            )
        companions = centre(companions, plan.clip_samples)
    heard = centre(changed, plan.clip_samples)
    if heard is None:
        raise InputError(
            f"the transformed clip lasts {len(changed) / plan.working_rate:.2f} s: must fill "
            f"{plan.clip_seconds:g} s"
        )
    if point.code == IDENTITY.code or change.loudness == "kept":
        return Version(stored(plan, heard), stored(plan, changed), magnitude, 0.0, companions)
    measured = changed if plan.loudness_window == "full" else heard
    gain_db = original.loudness_lufs - audio.loudness_lufs(measured, sr=plan.working_rate)
    gain = np.float32(10 ** (gain_db / 20))
    if companions is not None:
        companions = companions * gain
    heard, changed = stored(plan, heard * gain), stored(plan, changed * gain)
    return Version(heard, changed, magnitude, gain_db, companions)


def _applied(
    change: Transformation, signal: NDArray[np.float32], plan: Plan, point: Point, clip: Original
) -> Transformed:
    rng = clip.stream(plan, point.code)
    return _asked(point, lambda: change.apply(signal, sr=plan.working_rate, rng=rng))


def _asked(point: Point, ask: Callable[[], _T]) -> _T:
    """Ask a transformation; what another package's raises, an exit too, is an `InputError`."""
    if not TRANSFORMATIONS.provider(point.code):
        return ask()
    try:
        with foreign_code():
            return ask()
    except (NearkinError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{point.code} {point.magnitude:g} raised {told(error)}") from error


def need_packages(plan: Plan) -> None:
    """Say before the work that a package is missing, not once for every query.

    Raises
    ------
    ExtraError
    """
    if plan.dtw == "fast":
        need("fastdtw", extra="fastdtw")
    if plan.engine.startswith("rubberband") and {"TS", "PS"} & set(plan.grid.codes):
        need("pedalboard", extra="rubberband")


def transformation_at(plan: Plan, point: Point, *, noise: NoiseLibrary) -> Transformation:
    """Build the transformation of a point with the plan's engines, MP3 rule, noise and music."""
    music = music_library(plan)
    return plan.grid.made(point, engine=plan.engine, rate=plan.mp3_rate, noise=noise, music=music)


def noise_library(plan: Plan) -> NoiseLibrary:
    """Return the noise that EN adds: the user's recordings, or the built-in babble."""
    return NoiseLibrary.babble() if plan.noise is None else _library(plan.noise)


def music_library(plan: Plan) -> NoiseLibrary | None:
    """Return the recordings that MX mixes in; None for the built-in synthetic pieces."""
    return None if plan.other_music is None else _library(plan.other_music)


def sound_paths(plan: Plan) -> list[Path]:
    """Return where the noise and the other music lie that the user gave."""
    return [Path(path) for path in (plan.noise, plan.other_music) if path]


def forget_sounds() -> None:
    """Forget the user's recordings, which may have changed since: every new work reads them."""
    _library.cache_clear()


def told_of_sounds(plan: Plan) -> list[str]:
    """Return a line for a terminal for each of them that leaves recordings out."""
    libraries = (noise_library(plan), music_library(plan))
    return [line for library in libraries if library is not None for line in library.told()]


@functools.lru_cache(maxsize=4)
def _library(path: str) -> NoiseLibrary:
    return NoiseLibrary.from_path(path)


def _require_window(plan: Plan, frames: NDArray[np.float32]) -> None:
    if len(frames) < plan.simple_window:
        raise InputError(
            f"the transformed clip has {len(frames)} frames: SiMPle needs {plan.simple_window}"
        )
