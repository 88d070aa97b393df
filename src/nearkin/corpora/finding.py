"""Finding the files that a manifest names, where it spells them otherwise than the disk does."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from nearkin.audio.decoding import addressed


class Finder:
    """Finds files by their names in a manifest.

    A name is taken as it is where there is such a file. Else backslashes are folders (Windows), and
    letters with accents may be written as one character or as two (macOS takes them apart).

    Parameters
    ----------
    folder : Path
        What names are relative to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = str(folder)
        self._listed: dict[Path, dict[str, str]] = {}

    def __call__(self, text: str) -> Path:
        """Return a file's path: the one that is there, or the name as it is."""
        given = self._folder / text
        # of 100,000 names nearly all are there as they are: no second path is made of those
        if os.path.exists(os.path.join(self._home, text)):  # noqa: PTH110, PTH118
            return given
        home, _ = addressed(given)
        if os.path.exists(home):  # noqa: PTH110  (it takes names that no system allows)
            return given
        end = text.rindex("#") if home != given else len(text)
        for spelt in dict.fromkeys((text[:end], text[:end].replace("\\", "/"))):
            path = self._as_listed(spelt)
            if path is not None:
                return path.with_name(path.name + text[end:])
        return given

    def _as_listed(self, text: str) -> Path | None:
        asked = Path(text)
        path = Path(asked.anchor) if asked.is_absolute() else self._folder
        for name in asked.parts[1:] if asked.is_absolute() else asked.parts:
            if os.path.lexists(path / name):
                path = path / name
                continue
            if path not in self._listed:
                try:
                    names = os.listdir(path)  # noqa: PTH208  (names alone)
                except OSError:
                    return None
                self._listed[path] = {unicodedata.normalize("NFC", one): one for one in names}
            found = self._listed[path].get(unicodedata.normalize("NFC", name))
            if found is None:
                return None
            path = path / found
        return path
