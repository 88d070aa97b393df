"""``nearkin trajectories``: how embeddings move as changes get more severe, from a run alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearkin.cli.common import Json, Quiet, say, sentences, tell
from nearkin.cli.flags import Run

if TYPE_CHECKING:
    from nearkin.results.answers import RunTables


def trajectories_command(
    run: Run,
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", help="Whose embeddings, may be repeated [all but constant]."),
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Ask in which directions and how straight embeddings move as changes get more severe."""
    with sentences():
        import pandas as pd

        from nearkin.api import load
        from nearkin.files import file_name, finite
        from nearkin.report.figures.files import drawable, write_spec
        from nearkin.report.figures.trajectories import figure_trajectories
        from nearkin.results.answers import RunTables, units_of
        from nearkin.results.embeddings import read_embeddings
        from nearkin.results.trajectories import sentences as in_words
        from nearkin.results.trajectories import trajectories

        result = load(run)
        folder = result.folder
        tables = RunTables(run.name, result.run, result.clips, result.queries)
        found, lines, figures, charts = [], [], [], {}
        for row in _asked(tables, encoder or ()):
            label = str(row.get("label") or row["name"])
            folder.require_embeddings(label)
            embeddings = read_embeddings(folder.root, label)
            one = trajectories(
                embeddings,
                units_of(tables, embeddings.clip_ids),
                encoder=str(row["name"]),
                task=str(row.get("task") or ""),
                trial=int(row.get("trial") or 1),
                seed=int(result.run["plan"].get("seed") or 0),
            )
            found.append(one)
            lines += [f"{label}:", *(f"  {line}" for line in in_words(one.table, one.agreement))]
            charts[label] = figure_trajectories(one.paths, encoder=label)
        table = pd.concat([one.table for one in found], ignore_index=True)
        agreement = pd.concat([one.agreement for one in found], ignore_index=True)
        ways = pd.concat([one.paths for one in found], ignore_index=True)
        with folder.held():
            for label, chart in charts.items():
                stem = folder.open_folder("figures") / f"trajectories-{file_name(label)}"
                folder.owned.own(stem.with_name(f"{stem.name}.svg"))
                drawn = write_spec(drawable(chart), stem, ["svg"])
                folder.owned.wrote(*drawn)
                figures += drawn
            folder.write_table("trajectories", table, csv=True)
            folder.write_table("trajectory_agreement", agreement, csv=True)
            folder.write_table("trajectory_paths", ways, csv=True)
        lines += [f"figure: {path}" for path in figures]
        lines += [f"table: {run / name}" for name in TABLES]
        tell(lines, str(run / TABLES[0]), quiet=quiet, as_json=as_json)
        if as_json:
            told = {"rows": table.to_dict("records"), "agreement": agreement.to_dict("records")}
            say(json.dumps(finite(told)))


TABLES = ("trajectories.csv", "trajectory_agreement.csv", "trajectory_paths.csv")


def _asked(tables: RunTables, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of run.json that are meant: those named, or all that embedded something."""
    from nearkin.errors import InputError
    from nearkin.registry import suggest

    rows = {str(row.get("label") or row["name"]): row for row in tables.record["encoders"]}
    for name in names:
        if name not in rows:
            raise InputError(f"--encoder {name}: {suggest(name, rows)}")
        if rows[name].get("embedding_size") is None:
            raise InputError(f"--encoder {name}: failed in this run; name another")
    chosen = names or [
        label
        for label, row in rows.items()
        if row.get("embedding_size") is not None and row["name"] != "constant"
    ]
    if not chosen:
        raise InputError("no encoder of the run embedded anything; give the run's command again")
    return [rows[name] for name in dict.fromkeys(chosen)]
