"""Recordings that sound the same: other tags, a lossless copy, the same file twice.

Those of one length that begin alike (`Original.sound_sha256`) are decoded and compared whole. Rows
of a manifest that start at another place of the same sound are no twins.
"""

from __future__ import annotations

from pathlib import Path

from nearkin import audio
from nearkin.corpora.recordings import Recording
from nearkin.errors import InputError
from nearkin.tables import OK


class Twins:
    """Remembers what was taken, and knows what sounds the same as that."""

    def __init__(self) -> None:
        self._firsts: dict[tuple[str, float | None], list[Recording]] = {}
        self._twin_of: dict[str, str] = {}
        self._whole: dict[Path, str] = {}

    def status(self, recording: Recording, begins: str) -> str:
        """Return the status of a usable recording: ok, or that another one sounds the same.

        Parameters
        ----------
        recording : Recording
        begins : str
            `Original.sound_sha256` of its clips.
        """
        if recording.name not in self._twin_of:
            before = self._firsts.setdefault((begins, recording.start_s), [])
            twins = (one.name for one in before if self._sound(one) == self._sound(recording))
            self._twin_of[recording.name] = next(twins, "")
            before.append(recording)
        first = self._twin_of[recording.name]
        return f"skipped: sounds the same as '{first}'" if first else OK

    def _sound(self, recording: Recording) -> str:
        """Return the hash of a whole recording, decoded only where another begins like it."""
        path = recording.path
        if path not in self._whole:
            try:
                self._whole[path] = audio.sound_sha256(path)
            except InputError:  # gone since its clips were taken
                self._whole[path] = str(path)
        return self._whole[path]
