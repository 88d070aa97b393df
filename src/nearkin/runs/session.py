"""What every unit of a run is given: the plan, the folder, and (made on first use) the rest.

A session travels to a worker as plan, folder and sources; encoders, noise, the audio space and the
resamples are made there once and kept for all units.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.distances import PackedOriginals
from nearkin.encoders import ResolvedEncoder
from nearkin.encoders.calling.unsteady import averaged, one_by_one
from nearkin.encoders.gradients import Twin, twin_of
from nearkin.encoders.quick_check import sample_music
from nearkin.errors import RunError
from nearkin.runs.clips import Original
from nearkin.runs.folder import RunFolder
from nearkin.runs.gathered import QueryArrays, gather
from nearkin.runs.plan import DEFAULT_CALLS, Plan
from nearkin.runs.queries import forget_sounds, music_library, noise_library
from nearkin.runs.scoring import Scorer
from nearkin.runs.shards import AGAIN, Shards, Used
from nearkin.runs.sources import EncoderSource, resolve_sources
from nearkin.runs.spaces import drawn_clips
from nearkin.statistics.bootstrap import clusters_of
from nearkin.tables import OK
from nearkin.transforms import NoiseLibrary

if TYPE_CHECKING:
    pass


class Session:
    """State that each worker needs to run a unit; see `open_session`.

    Parameters
    ----------
    plan : Plan
    root : Path
        The run's folder.
    sources : sequence of EncoderSource
    resolved : sequence of ResolvedEncoder, optional
        What the sources gave, where they were asked already.
    unsteady : mapping of str
        By label, the encoders that are not steady: ``"stochastic"`` or ``"batch"``.
    keep_distances : bool
        Keep the audio distances to all originals, not only those that C_B_rho needs.
    of : str
        What the shards are of: a digest of plan and inputs.
    """

    def __init__(
        self,
        plan: Plan,
        root: Path,
        sources: Sequence[EncoderSource],
        *,
        resolved: Sequence[ResolvedEncoder] | None = None,
        unsteady: Mapping[str, str] | None = None,
        keep_distances: bool = False,
        of: str = "",
    ) -> None:
        self.plan = plan
        self.folder = RunFolder(root)
        self.sources = tuple(sources)
        self.unsteady = dict(unsteady or {})
        self.keep_distances = keep_distances
        self.shards = Shards(self.folder.work, of)
        if resolved is not None:
            self.resolved = tuple(resolved)

    def bound(self, of: str) -> Session:
        """Return this session with shards of a plan and its inputs."""
        return Session(
            self.plan,
            self.folder.root,
            self.sources,
            resolved=self.resolved,
            unsteady=self.unsteady,
            keep_distances=self.keep_distances,
            of=of,
        )

    def __getstate__(self) -> dict[str, Any]:
        names = ("plan", "folder", "shards", "sources", "keep_distances", "unsteady")
        return {name: self.__dict__[name] for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        forget_sounds()  # a worker of a cluster lives longer than a run

    @functools.cached_property
    def resolved(self) -> tuple[ResolvedEncoder, ...]:
        """All encoders as they came, with labels that no two share."""
        return resolve_sources(self.plan, self.sources)

    @functools.cached_property
    def encoders(self) -> tuple[ResolvedEncoder, ...]:
        """All encoders as the run uses them: those that are not steady made so."""
        encoders = []
        for encoder in self.resolved:
            state = self.unsteady.get(encoder.label)
            if state == "stochastic":
                encoders.append(averaged(encoder, calls=self.plan.calls or DEFAULT_CALLS))
            else:
                encoders.append(one_by_one(encoder) if state == "batch" else encoder)
        return tuple(encoders)

    def identity(self) -> str:
        """Return what encoders, noise and other music are, for a worker that must have the same."""
        encoders = [(one.label, one.sha256, one.sample_rate) for one in self.resolved]
        music = music_library(self.plan)
        added = [self.noise.sha256, *([music.sha256] if music else [])]
        return hashlib.sha256(json.dumps([encoders, *added]).encode()).hexdigest()

    @functools.cached_property
    def noise(self) -> NoiseLibrary:
        """What EN adds."""
        return noise_library(self.plan)

    @functools.cached_property
    def used(self) -> tuple[Used, ...]:
        """The usable clips, in order."""
        return self.shards.read_used()

    @functools.cached_property
    def groups(self) -> NDArray[np.intp]:
        """The usable clips' groups, as numbers in the order they come."""
        names = [clip.group for clip in self.used]
        clusters = clusters_of(names)
        return np.arange(len(names)) if clusters is None else clusters

    @functools.cached_property
    def asked(self) -> Shards:
        """What was asked about these clips: with others among them it is asked anew."""
        told = json.dumps([self.shards.of, self.used])
        return Shards(self.shards.work, hashlib.sha256(told.encode()).hexdigest())

    @functools.cached_property
    def clip_ids(self) -> tuple[str, ...]:
        """The usable clips' ids, in order."""
        return tuple(clip.clip_id for clip in self.used)

    @functools.cached_property
    def space(self) -> PackedOriginals:
        """The audio space."""
        return PackedOriginals([self.original(i, audio=False).frames for i in self.clip_ids])

    @functools.cached_property
    def failures(self) -> dict[str, str]:
        """Why an encoder has no place in the comparison at all, by label."""
        return _failures(self)

    @functools.cached_property
    def lost_originals(self) -> dict[str, dict[int, str]]:
        """The originals that an encoder failed, by label and place, and why."""
        return _lost_originals(self)

    @functools.cached_property
    def working(self) -> tuple[ResolvedEncoder, ...]:
        """The encoders that embedded two originals or more."""
        return tuple(e for e in self.encoders if e.label not in self.failures)

    @functools.cached_property
    def scorer(self) -> Scorer:
        """The scorer with the run's resamples."""
        return Scorer(self.plan, self.clip_ids, groups=self.groups)

    @functools.cached_property
    def gathered(self) -> QueryArrays:
        """What the queries of all clips left behind, but for the distances."""
        return gather(self.asked, self.clip_ids)

    @functools.cached_property
    def place(self) -> dict[str, int]:
        """The usable clips' places in that order."""
        return {clip_id: index for index, clip_id in enumerate(self.clip_ids)}

    @functools.cached_property
    def drawn(self) -> NDArray[np.intp]:
        """The places of the clips over which C_B_rho is taken."""
        return drawn_clips(self.plan, len(self.clip_ids))

    def twin(self, label: str) -> Twin:
        """Return an encoder's differentiable twin, or why there is none."""
        if label not in self._twins:
            encoder = next(one for one in self.encoders if one.label == label)
            music = sample_music(encoder.sample_rate, self.plan.clip_seconds)
            self._twins[label] = twin_of(encoder, music[:2])
        return self._twins[label]

    @functools.cached_property
    def _twins(self) -> dict[str, Twin]:
        return {}

    def columns(self, clip_id: str) -> NDArray[np.intp]:
        """Return the originals to which one clip's audio distances are kept."""
        if self.keep_distances:
            return np.arange(len(self.clip_ids))
        return self.drawn if self.place[clip_id] in self._drawn_set else self.drawn[:0]

    @functools.cached_property
    def _drawn_set(self) -> frozenset[int]:
        return frozenset(self.drawn.tolist())

    @functools.cached_property
    def _recording_of(self) -> dict[str, str]:
        return {clip.clip_id: clip.recording for clip in self.used}

    def original(self, clip_id: str, *, audio: bool = True) -> Original:
        """Read a usable clip from its shard."""
        clips = self.shards.read_originals(self._recording_of[clip_id], audio=audio)
        for clip in clips or ():
            if clip.clip_id == clip_id:
                return clip
        raise RunError(f"clip '{clip_id}': its shard is missing or damaged; {AGAIN}")


def _lost_originals(session: Session) -> dict[str, dict[int, str]]:
    lost: dict[str, dict[int, str]] = {encoder.label: {} for encoder in session.encoders}
    for place, clip_id in enumerate(session.clip_ids):
        for label, found in session.original(clip_id, audio=False).vectors.items():
            text = found.failure or next((s for s in found.status if s != OK), "")
            if text or found.array is None:
                lost[label][place] = text
    return lost


def _failures(session: Session) -> dict[str, str]:
    """Two originals at least are needed to compare, and all of them in one size."""
    failures: dict[str, str] = {}
    sizes: dict[str, tuple[int, str]] = {}
    for label, lost in session.lost_originals.items():
        if len(session.clip_ids) - len(lost) < 2:
            place, text = next(iter(lost.items()))
            failures[label] = f"{text} (original clip '{session.clip_ids[place]}')"
            if 1 < len(lost) < len(session.clip_ids):
                failures[label] += f"; {len(lost)} of {len(session.clip_ids)} originals failed"
    for clip_id in session.clip_ids:
        for label, found in session.original(clip_id, audio=False).vectors.items():
            if label in failures or found.array is None or not np.isfinite(found.array).all():
                continue
            size = found.array.shape[1]
            first, where = sizes.setdefault(label, (size, clip_id))
            if size != first:
                failures[label] = (
                    f"returned {first} values for clip '{where}' and {size} for '{clip_id}': must "
                    "be one embedding_size for all"
                )
    return failures
