"""The pure units of a run: first every original, then every query against all originals.

A unit is a function of the plan, one recording or clip, and (for queries) all originals read-only;
it neither writes nor remembers, so units may run anywhere, in any order, again after an
interruption, with the same result. Audio is float32[samples] at the plan's working rate. The
*context* (twice the clip) is what a transformation is applied to; the central ``clip_seconds`` of
the result are *heard*: by the encoders, and by the audio space.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.audio import features
from nearkin.consistency import Neighbours, neighbours
from nearkin.corpora.recordings import Recording
from nearkin.distances import AUDIO_DISTANCES, PackedOriginals, iter_pairwise_audio
from nearkin.encoders import EncoderError, Key, ResolvedEncoder, embed
from nearkin.errors import InputError, NearkinError, printable
from nearkin.runs.plan import IDENTITY, Plan
from nearkin.seeds import stream
from nearkin.transforms import NoiseLibrary, Transformation, transformation
from nearkin.transforms.grids import Point

OK = "ok"
SILENCE = 10 ** (-70 / 20)
"""RMS, less the mean, below which an excerpt is silent: the -70 LUFS gate in amplitude."""


@dataclass(frozen=True)
class Vectors:
    """One encoder's embeddings of a batch, and what became of each row."""

    array: NDArray[np.float32] | None
    status: tuple[str, ...]
    failure: str = ""
    """Why the encoder failed as a whole; empty if it did not."""


@dataclass(frozen=True)
class Original:
    """One clip as it is: a row of clips.parquet and, if usable, what the queries need of it.

    Attributes
    ----------
    clip_id, path, start_s, duration_s, loudness_lufs, content_sha256, status
        Columns of clips.parquet; start and duration are those of the context.
    context : float32[samples]
        The excerpt.
    frames : float32[T, 24]
        MFCCs of what is compared in the audio space.
    vectors : mapping of encoder label to `Vectors`
        Embeddings of the heard clip, one row each.
    """

    clip_id: str
    path: str
    start_s: float
    duration_s: float
    loudness_lufs: float
    content_sha256: str
    status: str
    context: NDArray[np.float32] = field(repr=False)
    frames: NDArray[np.float32] = field(repr=False)
    vectors: Mapping[str, Vectors] = field(default_factory=dict, repr=False)

    def stream(self, plan: Plan, code: str) -> np.random.Generator:
        """Return the clip's random stream for one transformation, the same at every magnitude."""
        start = round(self.start_s * 1_000_000)
        return stream(plan.seed, self.content_sha256, start, code)


@dataclass(frozen=True)
class Queries:
    """Every transformed version of one clip, measured against all originals.

    Attributes
    ----------
    effective : float64[P]
        Effective magnitude at each point of the plan.
    status : tuple of P str
        ``"ok"``, or why the point has no transformed clip.
    audio : tuple of `Neighbours`, one an audio distance
        What every point's transformed clip found among all N originals; not valid where the
        status is not ``"ok"``.
    distances : float32[len(AUDIO_DISTANCES), P, K]
        Audio-space distances to the K originals asked for; NaN where the status is not ``"ok"``.
    vectors : mapping of encoder label to `Vectors`
        Embeddings, a row a point.
    """

    effective: NDArray[np.float64]
    status: tuple[str, ...]
    audio: tuple[Neighbours, ...]
    distances: NDArray[np.float32]
    vectors: Mapping[str, Vectors]


def originals(
    plan: Plan, recording: Recording, encoders: Sequence[ResolvedEncoder]
) -> list[Original]:
    """Take a recording's clips and describe each in every space.

    Parameters
    ----------
    plan : Plan
        The run.
    recording : Recording
        The file.
    encoders : sequence of ResolvedEncoder
        All encoders of the run.

    Returns
    -------
    list of Original
        `plan.excerpts_per_file` clips where the file is long enough; a file that cannot be used
        is one row whose status says why (``failed: ...`` or ``skipped: ...``).
    """
    try:
        sha256 = audio.sha256_file(recording.path)
        contexts = audio.read_excerpts(
            recording.path,
            lambda total: _places(plan, recording, sha256, total),
            sr=plan.working_rate,
        )
    except (InputError, OSError) as error:
        return [_unusable(recording.name, recording, f"failed: {_reason(error, recording)}")]
    except _TooShortError as error:
        return [_unusable(recording.name, recording, f"skipped: {error}")]
    clips = []
    for number, (start_s, context) in enumerate(contexts, start=1):
        clip_id = recording.name if len(contexts) == 1 else f"{recording.name}#{number}"
        clips.append(_original(plan, recording, encoders, clip_id, sha256, start_s, context))
    return clips


def queries(
    plan: Plan,
    original: Original,
    space: PackedOriginals,
    encoders: Sequence[ResolvedEncoder],
    *,
    noise: NoiseLibrary,
    own: int = 0,
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
    rows = iter_pairwise_audio(
        [frames[index] for index in good],
        space,
        measures=tuple(AUDIO_DISTANCES),
        m=plan.simple_window,
    )
    for index, row in zip(good, rows, strict=True):
        for number, measure in enumerate(AUDIO_DISTANCES):
            distances[number, index] = row[measure][columns]
            found[number].put(np.array([index]), neighbours(row[measure][None], own=[own]))
    keys = [Key(original.clip_id, *point) for point in plan.points]
    return Queries(
        effective=effective,
        status=tuple(status),
        audio=tuple(one.neighbours() for one in found),
        distances=distances,
        vectors=_embed_all(plan, encoders, heard, keys, status),
    )


class Found:
    """Collects, piece by piece, what n queries found among all originals.

    Parameters
    ----------
    n : int
        Queries; those never put stay failed.
    n_clips : int
        Originals.
    """

    def __init__(self, n: int, n_clips: int) -> None:
        self._rank = np.zeros(n, np.int64)
        self._nearest = np.full(n, -1, np.int64)
        self._d_own = np.full(n, np.nan)
        self._d_nearest = np.full(n, np.nan)
        self._n_clips = n_clips

    def put(self, at: NDArray[np.intp], part: Neighbours) -> None:
        """Lay what some queries found in its place."""
        self._rank[at] = part.rank
        self._nearest[at] = part.nearest
        self._d_own[at] = part.d_own
        self._d_nearest[at] = part.d_nearest
        self._n_clips = min(self._n_clips, part.n_clips)

    def neighbours(self) -> Neighbours:
        """Return all of it."""
        return Neighbours(
            error=self._rank > 1,
            rank=self._rank,
            margin=self._d_nearest - self._d_own,
            d_own=self._d_own,
            d_nearest=self._d_nearest,
            nearest=self._nearest,
            valid=self._rank > 0,
            n_clips=self._n_clips,
        )


def drawn_clips(plan: Plan, n_clips: int) -> NDArray[np.intp]:
    """Return the clips over which C_B_rho is taken, int[M], ascending.

    All of them up to `plan.rho_clips`; of a larger collection as many, drawn: a pooled correlation
    needs all M x M distances at once, and its interval over drawn clips tells what drawing costs.
    """
    if n_clips <= plan.rho_clips:
        return np.arange(n_clips)
    order = stream(plan.seed, "clips of C_B_rho", n_clips).permutation(n_clips)
    return np.sort(order[: plan.rho_clips])


@dataclass(frozen=True)
class Version:
    """A transformed clip.

    Attributes
    ----------
    heard : float32[clip_samples]
        The central ``clip_seconds``, as loud as the original's.
    context : float32[samples]
        The whole transformed context, with the same gain.
    effective_magnitude : float
        What the transformation really did (an MP3's true rate).
    gain_db : float
        What loudness matching added.
    companions : float32[k, clip_samples] or None
        What was to stay with the clip, cut at the same place, with the same gain.
    """

    heard: NDArray[np.float32]
    context: NDArray[np.float32]
    effective_magnitude: float
    gain_db: float
    companions: NDArray[np.float32] | None = None


def transformed(
    plan: Plan,
    original: Original,
    point: Point,
    *,
    noise: NoiseLibrary,
    companions: NDArray[np.float32] | None = None,
) -> Version:
    """Transform one clip's context at one point, cut the clip out, and match its loudness.

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
        A transformation that moves time or pitch (`Transformation.moves_time`) treats context and
        companions as channels of one call, so that they stay aligned (the context then comes out a
        little different from how it would alone: a stretcher looks at all channels); the others
        change the context only. The context's loudness gain is applied to all.

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
    if companions is not None and change.moves_time:
        signal = np.vstack([signal, companions])
    out, magnitude = change.apply(
        signal, sr=plan.working_rate, rng=original.stream(plan, point.code)
    )
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
    if point.code == IDENTITY.code:
        return Version(heard, changed, magnitude, 0.0, companions)
    gain_db = original.loudness_lufs - audio.loudness_lufs(heard, sr=plan.working_rate)
    gain = np.float32(10 ** (gain_db / 20))
    if companions is not None:
        companions = companions * gain
    return Version(heard * gain, changed * gain, magnitude, gain_db, companions)


def transformation_at(plan: Plan, point: Point, *, noise: NoiseLibrary) -> Transformation:
    """Build the transformation of a point with the plan's engines, MP3 rule and noise."""
    return transformation(
        point.code, point.magnitude, engine=plan.engine, rate=plan.mp3_rate, noise=noise
    )


def noise_library(plan: Plan) -> NoiseLibrary:
    """Return the noise that EN adds: the user's recordings, or the built-in babble."""
    return _noise_library(plan.noise)


@functools.lru_cache(maxsize=2)
def _noise_library(path: str | None) -> NoiseLibrary:
    return NoiseLibrary.babble() if path is None else NoiseLibrary.from_path(path)


def centre(y: NDArray[np.float32], n_samples: int) -> NDArray[np.float32] | None:
    """Cut the central `n_samples` out of y[..., samples]; None if it is shorter.

    Examples
    --------
    >>> centre(np.arange(6, dtype=np.float32), 2).tolist()
    [2.0, 3.0]
    """
    spare = y.shape[-1] - n_samples
    return None if spare < 0 else y[..., spare // 2 : spare // 2 + n_samples]


def frames_of(plan: Plan, y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute float32[T, n_mfcc - 1], the MFCCs with the plan's settings."""
    return features.mfcc(
        y,
        sr=plan.working_rate,
        n_fft=plan.n_fft,
        hop_length=plan.hop_length,
        n_mels=plan.n_mels,
        n_mfcc=plan.n_mfcc,
    )


class _TooShortError(Exception):
    pass


def _places(
    plan: Plan, recording: Recording, sha256: str, total: float
) -> list[tuple[float, float]]:
    """Draw where the contexts lie: K that do not overlap, uniform over all such placements."""
    if recording.start_s is not None:
        left = total - recording.start_s
        if left < plan.shortest_seconds:
            raise _TooShortError(
                f"too short: {max(left, 0):.2f} s from start_s={recording.start_s:g}, needs "
                f"{plan.shortest_seconds:g} s"
            )
        return [(recording.start_s, min(left, plan.context_seconds))]
    if total < plan.shortest_seconds:
        raise _TooShortError(f"too short: {total:.2f} s, needs {plan.shortest_seconds:g} s")
    if total < plan.context_seconds:
        return [(0.0, total)]
    count = min(plan.excerpts_per_file, int(total / plan.context_seconds))
    spare = total - count * plan.context_seconds
    draws = np.sort(stream(plan.seed, sha256, "excerpts").random(count)) * spare
    return [
        (float(draw) + index * plan.context_seconds, plan.context_seconds)
        for index, draw in enumerate(draws)
    ]


def _original(
    plan: Plan,
    recording: Recording,
    encoders: Sequence[ResolvedEncoder],
    clip_id: str,
    sha256: str,
    start_s: float,
    context: NDArray[np.float32] | InputError,
) -> Original:
    rate = plan.working_rate
    if isinstance(context, InputError):
        return _unusable(clip_id, recording, f"failed: {_reason(context, recording)}", sha256)
    seconds = len(context) / rate
    if len(context) < round(plan.shortest_seconds * rate):
        reason = f"skipped: breaks off after {seconds:.2f} s of its excerpt, needs "
        return _unusable(clip_id, recording, f"{reason}{plan.shortest_seconds:g} s", sha256)
    heard = centre(context, plan.clip_samples)
    if heard is None or np.std(heard, dtype=np.float64) < SILENCE:
        reason = "skipped: silent or constant excerpt"
        return _unusable(clip_id, recording, reason, sha256, start_s, seconds)
    try:
        loudness = audio.loudness_lufs(heard, sr=rate)
    except InputError as error:
        reason = f"skipped: near-silent excerpt ({error})"
        return _unusable(clip_id, recording, reason, sha256, start_s, seconds)
    return Original(
        clip_id=clip_id,
        path=printable(recording.path),
        start_s=start_s,
        duration_s=seconds,
        loudness_lufs=loudness,
        content_sha256=sha256,
        status=OK,
        context=context,
        frames=frames_of(plan, context if plan.audio_window == "full" else heard),
        vectors=_embed_all(plan, encoders, heard[None], [Key(clip_id, *IDENTITY)], [OK]),
    )


def _embed_all(
    plan: Plan,
    encoders: Sequence[ResolvedEncoder],
    heard: NDArray[np.float32],
    keys: Sequence[Key],
    status: Sequence[str],
) -> dict[str, Vectors]:
    """Embed the rows whose status is ok with every encoder, resampling once a rate."""
    good = [index for index, text in enumerate(status) if text == OK]
    good_keys = [keys[index] for index in good]
    at_rate: dict[int, NDArray[np.float32]] = {}
    vectors = {}
    for encoder in encoders:
        rate = encoder.sample_rate
        if rate not in at_rate:
            at_rate[rate] = audio.resample(heard[good], from_sr=plan.working_rate, to_sr=rate)
        rows = list(status)
        try:
            embedded = embed(encoder, at_rate[rate], good_keys)
        except EncoderError as error:
            for index in good:
                rows[index] = str(error)
            vectors[encoder.label] = Vectors(None, tuple(rows), failure=str(error))
            continue
        values = np.full((len(keys), embedded.vectors.shape[1]), np.nan, np.float32)
        values[good] = embedded.vectors
        for index, text in zip(good, embedded.status, strict=True):
            rows[index] = text
        vectors[encoder.label] = Vectors(values, tuple(rows))
    return vectors


def _require_window(plan: Plan, frames: NDArray[np.float32]) -> None:
    if len(frames) < plan.simple_window:
        raise InputError(
            f"the transformed clip has {len(frames)} frames: SiMPle needs {plan.simple_window}"
        )


def _unusable(
    clip_id: str,
    recording: Recording,
    status: str,
    sha256: str = "",
    start_s: float = float("nan"),
    duration_s: float = float("nan"),
) -> Original:
    nothing = np.zeros(0, np.float32)
    return Original(
        clip_id=clip_id,
        path=printable(recording.path),
        start_s=start_s,
        duration_s=duration_s,
        loudness_lufs=float("nan"),
        content_sha256=sha256,
        status=status,
        context=nothing,
        frames=nothing.reshape(0, 0),
    )


def _reason(error: Exception, recording: Recording) -> str:
    """Return the error's text in one line, without the path that stands in the row anyway."""
    text = " ".join(str(error).split())
    return text.removeprefix(f"{printable(recording.path)}: ")
