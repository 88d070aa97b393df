"""The rendered corpora: every score's clips in a worker, one manifest at the end.

Each function has the signature of the corpora's table. What is there is not rendered again; clips
never depend on the number of workers, nor on one another.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearkin.corpora.rendered import plan, singing, soundfonts
from nearkin.lease import leased
from nearkin.progress import Progress
from nearkin.workers import open_workers

if TYPE_CHECKING:
    import pandas as pd


def rendered_tags(
    root: Path,
    *,
    hours: float | None,
    seed: int,
    workers: int,
    progress: Progress,
    test_soundfont: str = soundfonts.FOUND,
) -> pd.DataFrame:
    """Render music with 50 tags (see `nearkin.corpora.rendered.tags`)."""
    return _rendered("rendered-tags", root, hours, seed, workers, progress, test_soundfont)


def rendered_instruments(
    root: Path,
    *,
    hours: float | None,
    seed: int,
    workers: int,
    progress: Progress,
    test_soundfont: str = soundfonts.FOUND,
) -> pd.DataFrame:
    """Render predominant instruments (see `nearkin.corpora.rendered.predominant`)."""
    return _rendered("rendered-instruments", root, hours, seed, workers, progress, test_soundfont)


def rendered_vocals(
    root: Path,
    *,
    hours: float | None,
    seed: int,
    workers: int,
    progress: Progress,
    test_soundfont: str = soundfonts.FOUND,
    voices: str = singing.CHOIR,
) -> pd.DataFrame:
    """Render voices with accompaniments (see `nearkin.corpora.rendered.vocals`)."""
    singers = singing.singers(voices, begun=plan.begun(Path(root), "singers"))
    return _rendered(
        "rendered-vocals", root, hours, seed, workers, progress, test_soundfont, singers
    )


def _rendered(
    name: str,
    root: Path,
    hours: float | None,
    seed: int,
    workers: int,
    progress: Progress,
    test_soundfont: str,
    singers: tuple[str, ...] = (),
) -> pd.DataFrame:
    import pandas as pd

    font = soundfonts.further(test_soundfont, begun=plan.begun(Path(root), "test_soundfont"))
    rendering = plan.Rendering(
        name,
        Path(root),
        seed=seed,
        hours=plan.HOURS if hours is None else hours,
        test_soundfont=font,
        singers=singers,
    )
    plan.begin(rendering)
    units = rendering.units
    rows_of: dict[int, list[dict[str, object]]] = {}
    with (
        leased(rendering.root, option="--root") as lease,
        open_workers(rendering, workers=workers) as pool,
    ):
        for unit, rows in pool.map(plan.render_unit, units):
            rows_of[unit] = rows
            progress("render", len(rows_of), len(units))
            lease.require()
    # The last score that the hours ask for may give too many; one of a further split gives all.
    n_first = -(-rendering.clips // int(rendering.recipe.CLIPS_PER_SCORE))
    rows = [row for unit in range(n_first) for row in rows_of[unit]][: rendering.clips]
    rows += [row for unit in units[n_first:] for row in rows_of[unit]]
    table = pd.DataFrame(rows)
    kept = ("path", "split", "group", "tags", "instrument", "vocals_path")
    table = table[[column for column in kept if column in table.columns]]
    table = table.assign(duration_s=float(rendering.recipe.SECONDS))
    notes = [soundfonts.said(font)]
    if name == "rendered-vocals":
        notes.append(singing.said(singers))
    table.attrs["notes"] = tuple(notes)
    return table
