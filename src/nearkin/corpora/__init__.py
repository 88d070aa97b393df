"""Where clips come from: folders, manifests, data sets and synthetic music.

A data set is one file with one function, and a row in CORPORA. The function indexes what lies in a
folder, or renders music into it, and returns a manifest's columns:
``f(root, *, hours, seed, workers, progress) -> pandas.DataFrame``; it may take the further options
that its row names.
"""

from __future__ import annotations

from typing import NamedTuple


class Corpus(NamedTuple):
    """A row of CORPORA: where its function is, what it is in a line, and its further options."""

    function: str
    title: str
    options: tuple[str, ...] = ()


CORPORA = {
    "folder": Corpus(
        "nearkin.corpora.folder:folder",
        "any folder of music, without labels; its folders stay whole",
    ),
    "msd-lastfm50": Corpus(
        "nearkin.corpora.msd:msd_lastfm50",
        "Million Song Dataset previews with Last.fm's 50 most frequent tags",
    ),
    "irmas": Corpus(
        "nearkin.corpora.irmas:irmas",
        "IRMAS's training set: 11 predominant instruments, split by song",
    ),
    "musdb18": Corpus(
        "nearkin.corpora.musdb:musdb18",
        "MUSDB18 (stem.mp4) or MUSDB18-HQ (wav): mixtures and their vocals",
    ),
    "rendered-tags": Corpus(
        "nearkin.corpora.rendered.corpus:rendered_tags",
        "music21's scores, arranged and played: 50 tags",
        ("test_soundfont",),
    ),
    "rendered-instruments": Corpus(
        "nearkin.corpora.rendered.corpus:rendered_instruments",
        "music21's scores, arranged and played: 11 predominant instruments",
        ("test_soundfont",),
    ),
    "rendered-vocals": Corpus(
        "nearkin.corpora.rendered.corpus:rendered_vocals",
        "music21's scores, arranged and played: voices over accompaniments",
        ("test_soundfont", "voices"),
    ),
}
"""Data sets by the name ``nearkin corpus`` knows them by; listing them imports none."""
