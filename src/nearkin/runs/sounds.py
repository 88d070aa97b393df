"""What the clips of a finished run sound like: made again from the music, as the run made them.

A run keeps no sound of its own but that of a few failures. Any clip, changed or not, is made again
from its recording: the file must be where the run found it, and of the same content. Sounds are
float32[samples] at the plan's working rate; for a page they are MP3, kept under ``audio/``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.errors import InputError, NearkinError
from nearkin.files import key
from nearkin.progress import Progress, silent
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, stored
from nearkin.runs.exchange import plan_of
from nearkin.runs.failures import PLAYER_KBPS, PLAYER_RATE
from nearkin.runs.folder import RunFolder
from nearkin.runs.queries import noise_library, transformed
from nearkin.transforms.magnitudes import Point

if TYPE_CHECKING:
    import pandas as pd

GAIN = np.float32(10 ** (-3 / 20))
"""Of every sound of a page: 3 dB, so that few changed clips reach full scale; those are clipped."""
BUDGET = 2_000_000
"""Characters of base64 that the sounds of a page take by default: with them the page of 100 clips
and 8 encoders stays below 6 MB, and the worst lost clip of nearly every point is heard."""

Wanted = tuple[str, Point | None]
"""A clip's id, and the point at which it was changed; None: as it is."""


class Sounds:
    """The sounds of one finished run.

    Parameters
    ----------
    folder : RunFolder
        The run's folder.
    record : mapping
        run.json.
    clips : pandas.DataFrame
        The run's clips.
    keep : bool
        Keep what `mp3` makes under ``audio/``.
    """

    def __init__(
        self,
        folder: RunFolder,
        record: Mapping[str, Any],
        clips: pd.DataFrame,
        *,
        keep: bool = True,
    ) -> None:
        self._folder, self._keep = folder, keep
        self.plan = plan_of(record.get("plan") or {}, ())
        used = clips[clips["status"] == "ok"]
        self._rows: dict[str, dict[Any, Any]] = {
            str(row["clip_id"]): row for row in used.to_dict("records")
        }
        self._places = (Path(), folder.root.parent)
        self._original = functools.lru_cache(maxsize=8)(self._read)

    def heard(self, clip_id: str, point: Point | None = None) -> NDArray[np.float32]:
        """Return a clip as the encoders heard it: changed at a point, or as it is.

        Raises
        ------
        InputError
            If the run has no such clip, its recording is not where it was or has changed, or the
            change cannot be made.
        """
        original = self._original(clip_id)
        if point is None:
            heard = centre(original.context, self.plan.clip_samples)
            return stored(self.plan, _whole(heard, clip_id))
        return transformed(self.plan, original, point, noise=noise_library(self.plan)).heard

    def mp3(self, clip_id: str, point: Point | None = None) -> bytes:
        """Return a sound as MP3, all at one gain; it is made once where it is kept."""
        name = f"{clip_id} {point} {GAIN} {PLAYER_KBPS}"
        path = self._folder.root / "audio" / f"{key(name)}.mp3"
        if self._folder.owned.is_whole(path):
            return path.read_bytes()
        y = audio.resample(
            self.heard(clip_id, point), from_sr=self.plan.working_rate, to_sr=PLAYER_RATE
        )
        encoded = audio.encode_mp3(np.clip(y * GAIN, -1, 1), sr=PLAYER_RATE, kbps=PLAYER_KBPS)
        if self._keep:
            self._folder.open_folder("audio")
            self._folder.write(path, functools.partial(_put, encoded))
        return encoded

    def put_wav(self, y: NDArray[np.float32], file: BinaryIO) -> None:
        """Write a sound as WAV of 16 bits, at the gain of all."""
        from scipy.io import wavfile  # libsndfile would put the time of writing into the header

        whole = np.rint(np.clip(y * GAIN, -1, 1) * 32_767).astype(np.int16)
        wavfile.write(file, self.plan.working_rate, whole)

    def chosen(
        self,
        changed: Iterable[Wanted],
        beside: Callable[[Wanted], Iterable[str]],
        *,
        budget: int | None = BUDGET,
        progress: Progress = silent,
    ) -> tuple[dict[Wanted, bytes], str]:
        """Make sounds for a page, the most wanted first, until they fill it.

        Parameters
        ----------
        changed : iterable of (clip id, Point)
            Changed clips.
        beside : callable
            Gives the clips that are heard beside one of them, as they are.
        budget : int, optional
            Characters of base64 that may be filled; None: as many as there are.
        progress : callable
            Told as ``("sounds", percent, 100)``.

        Returns
        -------
        sounds : dict of (clip id, Point or None) to bytes
            MP3.
        str
            Why some are missing, in a sentence; empty where none is.
        """
        found: dict[Wanted, bytes] = {}
        wanted = list(changed)
        spent, failed = 0, ""
        for number, one in enumerate(wanted):
            full = 0.0 if budget is None else spent / budget
            progress("sounds", int(100 * max(full, number / len(wanted))), 100)
            try:
                group = {
                    name: self.mp3(*name)
                    for name in [one, (one[0], None), *((clip, None) for clip in beside(one))]
                    if name not in found
                }
            except NearkinError as error:
                failed = failed or " ".join(str(error).split())
                continue
            size = sum(4 * -(-len(sound) // 3) for sound in group.values())
            if budget is not None and spent + size > budget:
                progress("sounds", 100, 100)
                return found, (
                    f"The sounds of {number:,} of {len(wanted):,} lost clips fill the "
                    f"{budget / 1e6:g} MB that they may take here; nearkin report --sounds 10MB "
                    "has more, nearkin listen makes any other."
                )
            spent += size
            found.update(group)
        progress("sounds", 100, 100)
        return found, f"Some sounds could not be made: {failed}" if failed else ""

    def _read(self, clip_id: str) -> Original:
        if clip_id not in self._rows:
            raise InputError(f"clip '{clip_id}': the run used none of this name; see clips.parquet")
        row = self._rows[clip_id]
        path = self._recording(str(row["path"]), str(row["content_sha256"]))
        place = (float(row["start_s"]), float(row["duration_s"]))
        found = audio.read_excerpts(path, lambda _: [place], sr=self.plan.working_rate)
        context = found.excerpts[0].signal
        if isinstance(context, InputError):
            raise context
        columns = ("path", "start_s", "duration_s", "loudness_lufs", "content_sha256", "group")
        return Original(
            clip_id=clip_id,
            **{name: row[name] for name in columns},
            status="ok",
            context=context,
            frames=np.zeros((0, 1), np.float32),
        )

    def _recording(self, name: str, sha256: str) -> Path:
        """Find a recording where the run was called, or beside its folder."""
        here = [place / name for place in self._places if (place / name).is_file()]
        if not here:
            raise InputError(
                f"{name}: is not there; call nearkin in the folder in which the run was called"
            )
        for path in here:
            if audio.sha256_file(path) == sha256:
                return path
        raise InputError(f"{here[0]}: has changed since the run; restore it, or run anew")


def _whole(y: NDArray[np.float32] | None, clip_id: str) -> NDArray[np.float32]:
    if y is None:
        raise InputError(f"clip '{clip_id}': its excerpt is shorter than a clip; run anew")
    return y


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)
