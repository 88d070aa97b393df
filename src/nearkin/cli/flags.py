"""Flags that several commands have: each is declared once, and means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A finished run's folder.")]
Runs = Annotated[list[Path], typer.Argument(help="Finished runs' folders, one or more.")]
Grid = Annotated[
    str | None,
    typer.Option(help="quick, paper, everyday ... (nearkin list grids), or FILE.yaml [quick]."),
]
Clips = Annotated[int | None, typer.Option(help="Use at most this many clips.")]
ExcerptsPerFile = Annotated[int | None, typer.Option(help="Clips of a file [1].")]
ClipSeconds = Annotated[float | None, typer.Option(help="Length of a clip [2].")]
Split = Annotated[str | None, typer.Option(help="Take this split of the manifest.")]
Seed = Annotated[int | None, typer.Option(help="Equal seeds, equal results [0].")]
Noise = Annotated[
    str | None, typer.Option(help="A recording, or a folder of them, for EN [babble].")
]
Engine = Annotated[
    str | None, typer.Option(help="signalsmith, rubberband, rubberband-r3 [signalsmith].")
]
Mp3Rate = Annotated[str | None, typer.Option(help="paper or true [paper].")]
Storage = Annotated[
    str | None, typer.Option(help="float, or mu-law: 8 bits as the authors' [float].")
]
LoudnessWindow = Annotated[
    str | None, typer.Option(help="What is matched in loudness: clip or full [clip].")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps [cpu].")]
DryRun = Annotated[
    bool | None, typer.Option("--dry-run", help="Count, estimate time and disk; write nothing.")
]
CollectionSizes = Annotated[
    list[int] | None,
    typer.Option("--n", help="Also tabulate C_W in collections of so many clips; repeatable."),
]
Extrapolate = Annotated[
    bool | None,
    typer.Option("--extrapolate", help="Add larger collections, by a model of the ranks."),
]
Encoders = Annotated[
    list[str] | None, typer.Option("--encoder", help="Only these; give it again for several.")
]
