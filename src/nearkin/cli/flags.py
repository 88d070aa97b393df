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
OtherMusic = Annotated[
    str | None, typer.Option(help="A recording, or a folder of them, for MX [synthesised].")
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
Batch = Annotated[int | None, typer.Option(help="Clips of a step, shared among devices [24].")]
LearningDevice = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps [auto].")]
Devices = Annotated[int | None, typer.Option(help="Devices of each machine [1].")]
Nodes = Annotated[int | None, typer.Option(help="Machines [1].")]
Precision = Annotated[
    str | None,
    typer.Option(
        help="32-true, bf16-mixed (twice as fast where the CPU computes in it), 16-mixed [32-true]."
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(help="Validations (every 100 steps) without progress before it stops [20]."),
]
MinGain = Annotated[
    float | None,
    typer.Option(
        help="The share by which the validation loss must fall to count as progress [0: any]."
    ),
]
MaxMinutes = Annotated[float | None, typer.Option(help="Minutes of training at the most.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads [all cores].")]
Cache = Annotated[
    Path | None, typer.Option(help="Folder for decoded audio [the user's cache folder].")
]
Anew = Annotated[bool | None, typer.Option("--force", help="Start anew, whatever is there.")]
ModelOut = Annotated[Path | None, typer.Option(help="The model to write, FILE.safetensors.")]
