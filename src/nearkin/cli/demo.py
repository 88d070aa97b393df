"""``nearkin demo``: a run on built-in synthetic clips, written as sound files inside its folder."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Json, Quiet, Workers, sentences
from nearkin.cli.run import run_settings

N_CLIPS = 16


def demo_command(
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("nearkin-demo"),
    workers: Workers = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Run on built-in synthetic clips with the built-in encoders: a report in about a minute."""
    with sentences():
        from nearkin.cli.settings import RunOptions

        run_settings(
            RunOptions(
                audio=[str(write_clips(out))],
                encoder=["mfcc", "logmel-projection", "constant"],
                out=str(out),
                workers=workers,
                quiet=bool(quiet),
                json=bool(as_json),
            )
        )


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

    from nearkin.audio import SAMPLE_RATE
    from nearkin.audio.synthetic import clips
    from nearkin.runs.folder import DEMO, RunFolder

    folder = RunFolder(out)
    folder.claim()
    target = folder.open_folder(DEMO)
    for name, y in clips(N_CLIPS):
        path = target / f"{name}.flac"
        if not folder.owned.is_whole(path):
            put = functools.partial(
                soundfile.write, data=y, samplerate=SAMPLE_RATE, format="FLAC", subtype="PCM_16"
            )
            folder.write(path, put)
    return target
