"""Figure 14: what the singing-voice encoder hears in mixtures, as points of a plane.

Clips of the task's test split are cut into pieces; each is embedded by the encoder of the first
trial and laid out by t-SNE. One panel is coloured by how loud the voice alone is in the piece, one
by the song it is of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE, read
from nearkin.corpora.manifest import read_labelled
from nearkin.errors import InputError, printable
from nearkin.optional import need
from nearkin.report.figures import style
from nearkin.report.figures.files import save
from nearkin.seeds import stream
from nearkin.statistics.tsne import PERPLEXITY, tsne

MOST = 300
"""Pieces of a map."""
QUIETEST_DB = -70.0
"""What is softer counts as this: silence."""
SONGS_NAMED = 8
"""Songs with a colour of their own; the others are grey."""
COLUMNS = ("song", "piece", "start_s", "vocals_db", "x", "y")


def vocal_map(
    model: Path, manifest: Path, *, piece_seconds: float = 2.0, seed: int = 0
) -> pd.DataFrame:
    """Lay pieces of mixtures out by the embeddings of a network.

    Parameters
    ----------
    model : Path
        A network trained for the singing voice.
    manifest : Path
        With ``vocals_path``; its test split is used.
    piece_seconds : float
        Length of a piece.
    seed : int
        Draws the pieces, where there are more than `MOST`.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`: `vocals_db` is the level of the voice alone (RMS, dB re full scale).

    Raises
    ------
    InputError
        If there are too few pieces for a map.
    """
    torch: Any = need("torch", extra="torch")
    from nearkin.networks.files import load

    n = round(piece_seconds * SAMPLE_RATE)
    found: list[tuple[str, str, float, float]] = []
    sounds: list[NDArray[np.float32]] = []
    rows = read_labelled(manifest, column="vocals_path", split="test").rows
    for place in stream(seed, "vocal map").permutation(len(rows)):
        row = rows[int(place)]
        if row.vocals_path is None:
            continue
        mixture, vocals = read(row.path, sr=SAMPLE_RATE), read(row.vocals_path, sr=SAMPLE_RATE)
        for start in range(0, min(len(mixture), len(vocals)) - n + 1, n):
            voice = vocals[start : start + n].astype(np.float64)
            level = 10 * np.log10(max(float(np.mean(voice**2)), 10 ** (QUIETEST_DB / 10)))
            song = row.group or row.name
            found.append((song, f"{row.name} {start}", start / SAMPLE_RATE, float(level)))
            sounds.append(np.asarray(mixture[start : start + n], np.float32))
        if len(found) >= MOST:
            break
    found, sounds = found[:MOST], sounds[:MOST]
    if len(found) < 4:
        raise InputError(
            f"{printable(manifest)}: its test split has {len(found)} pieces of "
            f"{piece_seconds:g} s, but a map needs 4; add clips"
        )
    network = load(model).network
    with torch.no_grad():
        embedded = [network.embed(torch.from_numpy(y[None])).numpy()[0] for y in sounds]
    table = pd.DataFrame(found, columns=list(COLUMNS[:4]))
    y = tsne(np.stack(embedded), seed=seed)
    return table.assign(x=y[:, 0] / y.std(), y=y[:, 1] / y.std()).round(
        {"start_s": 3, "vocals_db": 2, "x": 4, "y": 4}
    )


def figure_14(table: pd.DataFrame) -> Any:
    """Draw the map twice: coloured by the voice's level, and by the song.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `vocal_map`.

    Returns
    -------
    altair chart
    """
    low, high = np.quantile(table["vocals_db"], [0.05, 0.95])
    counts = table["song"].value_counts()
    named = sorted(counts.index[:SONGS_NAMED])
    songs = table["song"].where(table["song"].isin(named), "others")
    values = [
        {"x": x, "y": y, "level": level, "song": song}
        for x, y, level, song in zip(table["x"], table["y"], table["vocals_db"], songs, strict=True)
    ]
    place = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    colours = {
        "voice alone, dB": {
            "field": "level",
            "type": "quantitative",
            "scale": {"scheme": "viridis", "domain": [float(low), float(high)], "clamp": True},
            "title": None,
        },
        "song": {
            "field": "song",
            "type": "nominal",
            "title": None,
            "legend": {"columns": 2},
            "scale": {
                "domain": [*named, "others"],
                "range": [*style.TESTED[: len(named)], style.AUDIO_GREY],
            },
        },
    }
    panels = [
        {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.9},
            "encoding": {
                "x": place | {"field": "x"},
                "y": place | {"field": "y"},
                "color": colour,
            },
            "width": 2 * style.PANEL_WIDTH,
            "height": 2 * style.PANEL_WIDTH,
            "title": style.small_title(title),
        }
        for title, colour in colours.items()
    ]
    title = f"Mixtures heard by the singing-voice encoder (t-SNE, perplexity {PERPLEXITY:g})"
    row = {
        "hconcat": panels,
        "spacing": 24,
        "title": title,
        "resolve": {"scale": {"color": "independent"}},
    }
    return style.figure([row], margin=22)


def write(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write figure 14 as SVG and PDF; return the files."""
    return save(figure_14(table), folder / "figure_14")
