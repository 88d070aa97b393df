"""The clips of ``nearkin demo``: synthetic music as sound files inside the run's folder."""

from __future__ import annotations

import functools
from pathlib import Path

from nearkin.audio import SAMPLE_RATE
from nearkin.audio.synthetic import clips
from nearkin.runs.folder import RunFolder

N_CLIPS = 16


def write_clips(out: Path) -> Path:
    """Write the built-in clips where they are not there yet.

    Parameters
    ----------
    out : Path
        The run's folder.

    Returns
    -------
    Path
        The folder of clips, ``out/clips``.

    Raises
    ------
    InputError
        If `out` cannot be written or holds something that is no run.
    """
    import soundfile

    folder = RunFolder(out)
    folder.claim()
    target = out / "clips"
    for name, y in clips(N_CLIPS):
        path = target / f"{name}.flac"
        if not path.is_file():
            put = functools.partial(
                soundfile.write, data=y, samplerate=SAMPLE_RATE, format="FLAC", subtype="PCM_16"
            )
            folder.write(path, put)
    return target
