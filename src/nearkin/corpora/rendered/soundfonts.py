"""The SoundFonts that scores are played with: the one that is always there, and a further one.

TimGM6mb.sf2 comes with pretty_midi. Where one SoundFont plays everything, test clips have the very
timbres that a network was trained on; a further one, named or found, plays the test split instead.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from nearkin.audio import SAMPLE_RATE
from nearkin.corpora.rendered.orchestra import FAMILIES
from nearkin.corpora.rendered.scores import EXTRA
from nearkin.errors import ExtraError, InputError, printable
from nearkin.files import sha256_of
from nearkin.optional import need

FOUND, NONE = "found", "none"
"""What may be said instead of a path: the first of `PLACES` that is there, or no further one."""

PLACES = tuple(
    Path("/usr/share", folder)
    for folder in ("sounds/sf3/FluidR3Mono_GM.sf3", "fluidr3mono-gm-soundfont/FluidR3Mono_GM.sf3")
)
"""Where Debian's fluidr3mono-gm-soundfont (MIT licence) lies."""

PACKAGE = "fluidr3mono-gm-soundfont"

_MELODIC, _DRUMS = 0, 128


def own() -> Path:
    """Return TimGM6mb.sf2.

    Raises
    ------
    ExtraError
        If pretty_midi is not installed.
    InputError
        If it comes without its SoundFont.
    """
    path = Path(str(need("pretty_midi", extra=EXTRA).__file__)).parent / "TimGM6mb.sf2"
    if not path.is_file():
        raise InputError(
            f"{path}: is not there, but rendering plays it; install a pretty_midi that carries it"
        )
    return path


def further(given: str, *, begun: str | None = None) -> Path | None:
    """Return the SoundFont of the test split: a path as given, or `FOUND` or `NONE`.

    Parameters
    ----------
    given : str
    begun : str, optional
        What `known_by` says of the one that plays a corpus that was begun, empty where none does:
        where nothing else is asked for, it is gone on with.

    Raises
    ------
    InputError
        If it is not there, or is no SoundFont with all that is played.
    """
    if given == NONE or (given == FOUND and begun == ""):
        return None
    if given == FOUND and begun is not None:
        for path in PLACES:
            if path.is_file() and known_by(path) == begun:
                return path
        raise InputError(
            f"--test-soundfont: the clips that are there were rendered with {begun!r}, which is "
            "not installed; name its file with --test-soundfont, or give another --root"
        )
    if given == FOUND:
        return next((path for path in PLACES if path.is_file()), None)
    path = Path(given)
    if not path.is_file():
        raise InputError(
            f"--test-soundfont {printable(path)}: is no file; name an .sf2 or .sf3 file, or "
            f"{NONE!r} for one SoundFont in all splits"
        )
    font = loaded(path)
    programs = sorted({program for family in FAMILIES.values() for program in family.programs})
    lacking = ["the drum kit"] if font.get_preset_index(_DRUMS, 0) < 0 else []
    lacking += [f"program {p}" for p in programs if font.get_preset_index(_MELODIC, p) < 0]
    if lacking:
        raise InputError(
            f"--test-soundfont {printable(path)}: lacks {', '.join(lacking[:3])}"
            f"{' and more' if len(lacking) > 3 else ''} of General MIDI, from which scores are "
            "played; name a General MIDI SoundFont"
        )
    return path


def known_by(path: Path) -> str:
    """Return a SoundFont's name and hash, as a corpus keeps it."""
    return f"{printable(path.name)}, SHA-256 {sha256_of(path)}"


def said(test: Path | None) -> str:
    """Say in a sentence what plays which split."""
    if test is None:
        return (
            "TimGM6mb.sf2 plays every split, so test timbres are those of training; for others "
            f"install Debian's {PACKAGE} or pass --test-soundfont"
        )
    return f"TimGM6mb.sf2 plays train and valid, test is played by {printable(test.name)}"


def library() -> Any:
    """Return tinysoundfont.

    Raises
    ------
    ExtraError
        If it is not installed.
    """
    try:
        return need("tinysoundfont", extra=EXTRA)
    except ExtraError as error:
        raise ExtraError(
            "tinysoundfont is not installed: it plays the scores, and comes on its own because its "
            "pyaudio must be compiled and is not needed; pip install --no-deps tinysoundfont"
        ) from error


@lru_cache(maxsize=2)
def loaded(path: Path) -> Any:
    """Load a SoundFont once; `tinysoundfont.Synth.sfload` takes it and plays a copy of its own.

    Raises
    ------
    InputError
        If it cannot be read as one.
    """
    synth = library().Synth(samplerate=SAMPLE_RATE)
    try:
        return synth.soundfonts[synth.sfload(path.read_bytes())]
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{printable(path)}: cannot be read as a SoundFont ({error}); name another"
        ) from error
