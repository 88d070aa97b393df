"""A page a transformation, from its row in the table: facts, figure, sounds, parameters.

The sounds are what a run hears: the same code makes them, loudness matched, from built-in music.
"""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from making.figures import draw
from nearkin import audio
from nearkin.audio.synthetic import clips
from nearkin.runs.clips import Original
from nearkin.runs.plan import Plan, make_plan
from nearkin.runs.queries import noise_library, transformed
from nearkin.transforms import TRANSFORMATIONS, Axis, Transformation, transformation_class
from nearkin.transforms.grids import GRIDS, Grid, Point
from nearkin.transforms.magnitudes import ORIGINAL

CLIP = 0
"""Which piece of the built-in music is heard."""
PANELS = 2
"""Changed versions in a figure; further ones are only heard."""


def write(folder: Path, *, sounds: Path) -> None:
    """Write all pages into `folder`, their figures beside them, and what is heard into `sounds`."""
    for place in (folder, sounds):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    codes = [code for code in TRANSFORMATIONS.built_in if code != ORIGINAL]
    for code in codes:
        _page(code, folder, sounds)
    (folder / "index.md").write_text(_index(codes), "utf-8")


def magnitudes(code: str) -> tuple[float, ...]:
    """Return what is tried of a transformation by itself or in a grid, the mildest first."""
    axis = transformation_class(code).axis
    every = {*axis.defaults, *(m for points in GRIDS.values() for m in points.get(code, ()))}
    return tuple(sorted(every, key=lambda m: (axis.severity(m), m)))


def shown(code: str) -> tuple[float, ...]:
    """Return the magnitudes of a page: the most severe, then milder ones, of every side."""
    axis = transformation_class(code).axis
    every = magnitudes(code)
    if not axis.sides:
        return tuple(dict.fromkeys((every[-1], every[len(every) // 2], every[0])))
    of_side = [[m for m in every if axis.side(m) == side] for side in axis.sides]
    worst = [one[-1] for one in of_side if one]
    mildest = [one[0] for one in of_side if one]
    return tuple(dict.fromkeys((*worst, *mildest)))


def heard(code: str) -> dict[float | None, NDArray[np.float32]]:
    """Return float32[samples] by magnitude, None for the original, as a run would hear it."""
    points = tuple(Point(code, m) for m in shown(code))
    plan = make_plan({"encoders": ["constant"], "grid": Grid("page", points)})
    noise = noise_library(plan)
    original = _original(plan)
    versions: dict[float | None, Any] = {
        None: transformed(plan, original, Point(ORIGINAL, 0.0), noise=noise)
    }
    for point in points:
        versions[point.magnitude] = transformed(plan, original, point, noise=noise)
    sounds = {m: version.heard for m, version in versions.items()}
    peak = max(float(np.abs(y).max()) for y in sounds.values())
    return {m: y / np.float32(max(1.0, peak)) for m, y in sounds.items()}


def _original(plan: Plan) -> Original:
    [*_, (name, y)] = clips(CLIP + 1, seconds=plan.context_seconds, sr=plan.working_rate)
    spare = (len(y) - plan.clip_samples) // 2
    centre = y[spare : spare + plan.clip_samples]
    return Original(
        clip_id=name,
        path=f"{name}.flac",
        start_s=0.0,
        duration_s=plan.context_seconds,
        loudness_lufs=audio.loudness_lufs(centre, sr=plan.working_rate),
        content_sha256="0" * 64,
        group=name,
        status="ok",
        context=y,
        frames=np.zeros((0, 0), np.float32),
    )


def _page(code: str, folder: Path, sounds: Path) -> None:
    kind = transformation_class(code)
    made = heard(code)
    rate = audio.SAMPLE_RATE
    labels = {m: "original" if m is None else kind.axis.words(m) for m in made}
    panels = dict(list(made.items())[: 1 + PANELS])
    figure = draw({labels[m]: y for m, y in panels.items()}, sr=rate)
    (folder / f"{code}.svg").write_text(figure, "utf-8")
    players = []
    for m, y in made.items():
        name = f"{code}_original.flac" if m is None else f"{code}_{m:g}.flac"
        soundfile.write(sounds / name, y, rate, format="FLAC", subtype="PCM_16")
        players.append(
            f"<figure><figcaption>{labels[m]}</figcaption>"
            f'<audio controls preload="none" src="../sounds/{name}"></audio></figure>'
        )
    said, _, rest = summary(kind).partition("\n\n")
    grids = [
        f"| {name} | {', '.join(f'{m:g}' for m in points[code])} |"
        for name, points in {"by itself": {code: kind.axis.defaults}, **GRIDS}.items()
        if code in points
    ]
    drawn = ", ".join(labels[m] for m in panels if m is not None)
    lines = [
        f"# {code}: {kind.axis.title}",
        *("", said, "", rest, ""),
        f"![Spectrograms and mean spectra of a clip before the change and after it]({code}.svg)",
        "",
        f"*The original, and the same clip after {drawn}; on the right their mean spectra.*",
        *("", '<div class="players">', *players, "</div>", ""),
        *("| | |", "|---|---|", *facts(code), ""),
        *(["| grid | magnitudes |", "|---|---|", *grids, ""] if grids else []),
        *("```python", "import numpy as np", "from nearkin.transforms import transformation"),
        f'changed = transformation("{code}", {list(made)[1]:g})',
        "y = changed(y, sr=22_050, rng=np.random.default_rng(0))  # float32[samples] in and out",
        *("```", "", "```{eval-rst}", f".. autoclass:: {kind.__module__}.{kind.__qualname__}"),
        *("   :no-members:", "```", ""),
    ]
    (folder / f"{code}.md").write_text("\n".join(lines), "utf-8")


def summary(kind: type[Transformation]) -> str:
    """Return what a class's docstring says before its sections, as Markdown."""
    text = inspect.cleandoc(kind.__doc__ or "")
    text = re.split(r"^\w[\w ]*\n-{3,}$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return text.replace("``", "`").strip()


def facts(code: str) -> list[str]:
    """Return the rows of what is true of a transformation: range, direction, options."""
    kind = transformation_class(code)
    axis: Axis = kind.axis
    where = {"lower": "lower values", "higher": "higher values"}.get(axis.more_severe, "both sides")
    rows = {
        "magnitude": axis.quantity,
        "unit": axis.unit or "none",
        "possible": f"{axis.least:g} to {axis.greatest:g}",
        "more severe": where + (f": {axis.sides[0]}, {axis.sides[1]}" if axis.sides else ""),
        "changes nothing at": "" if axis.identity is None else f"{axis.identity:g}",
        "hardly perceived": ", ".join(axis.words(m) for m in axis.imperceptible),
        "moves time or pitch": "yes" if kind.moves_time else "",
        "loudness": "as it comes out" if kind.loudness == "kept" else "made as loud as the clip",
        "delay taken away": f"{kind.delay_samples} samples" if kind.delay_samples else "",
        "options": ", ".join(f"`{name}`" for name in kind.options()),
    }
    return [f"| {name} | {value} |" for name, value in rows.items() if value]


def _index(codes: list[str]) -> str:
    rows = []
    for code in codes:
        kind = transformation_class(code)
        first = " ".join(summary(kind).partition("\n\n")[0].split())
        rows.append(f"| [{code}]({code}.md) | {kind.axis.title} | {first} | {kind.axis.unit} |")
    return "\n".join(
        [
            *("# Transformations", ""),
            "Every change that nearkin can make to a clip. Each page has a picture of it, the "
            "sound before and after, the possible magnitudes and the parameters. `nearkin list "
            "transformations` prints the same table; [a grid](../grids.md) chooses among "
            "them, and [a class of your own](../extend.md) adds to them.",
            *("", "| code | name | what it does | unit |", "|---|---|---|---|", *rows, ""),
            *("```{toctree}", ":hidden:", "", *codes, "```", ""),
        ]
    )
