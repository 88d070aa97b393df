"""Which clips a task is scored on: the first manifest that has what the task needs.

A manifest is read once a task; its rows of the split are the test set of all models of that task.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearkin.audio import sha256_file
from nearkin.corpora.manifest import read_labelled
from nearkin.corpora.manifest_table import SPLITS
from nearkin.corpora.recordings import Recording, Row
from nearkin.errors import InputError, printable
from nearkin.parquet import arrow_source
from nearkin.performance.scored import Scored, label
from nearkin.registry import suggest
from nearkin.runs.plan import Plan

ALL = "all"


@dataclass(frozen=True)
class TestSet:
    """One task's clips and the models that are scored on them.

    Attributes
    ----------
    task, measure : str
    manifest : Path
        Where the clips are listed.
    sha256 : str
        Of the manifest.
    rows : tuple of Row
        All rows of the split.
    models : tuple of Scored
    """

    __test__ = False

    task: str
    measure: str
    manifest: Path
    sha256: str
    rows: tuple[Row, ...]
    models: tuple[Scored, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Row]:
        """The rows by their names."""
        return {row.name: row for row in self.rows}

    def group(self, name: str) -> str:
        """Return what a clip belongs with: the manifest's group, else its file."""
        row = self.by_name[name]
        return row.group or str(row.path)

    @property
    def with_vocals(self) -> bool:
        """Whether the task needs the singing voice."""
        return self.models[0].column == "vocals_path"

    def recordings(self) -> list[Recording]:
        """Return what is read for the task: every row's recording, and its singing voice."""
        found = [Recording(f"{self.task} {r.name}", r.path, r.start_s) for r in self.rows]
        if self.with_vocals:
            found += [
                Recording(f"{self.task} {r.name}: vocals", r.vocals_path, r.start_s)
                for r in self.rows
                if r.vocals_path is not None
            ]
        return found


def sets_for(
    models: Sequence[Scored], manifests: Sequence[Path], *, split: str, plan: Plan
) -> tuple[TestSet, ...]:
    """Find every task's clips, and check that its models can be scored on them.

    Returns
    -------
    tuple of TestSet
        A task each, in the order of their first models; a task's models by encoder and trial.

    Raises
    ------
    InputError
        If two models are one, a task has no manifest, or a manifest or its labels cannot be used.
    """
    if not models:
        raise InputError("no model given: name at least one FILE.safetensors")
    if not manifests:
        raise InputError("no manifest given: pass --manifest with the test set's")
    if split not in (*SPLITS, ALL):
        raise InputError(f"--split {split}: {suggest(split, (*SPLITS, ALL))}")
    _refuse_twins(models)
    columns = {path: columns_of(path) for path in manifests}
    sets = []
    for task in dict.fromkeys(model.task for model in models):
        mine = [model for model in models if model.task == task]
        order = list(dict.fromkeys(model.encoder for model in mine))
        mine.sort(key=lambda model: (order.index(model.encoder), model.trial))
        column = mine[0].column
        found = next((p for p in manifests if column is None or column in columns[p]), None)
        if found is None:
            names = ", ".join(printable(path) for path in manifests)
            raise InputError(
                f"task {task}: needs the column '{column}', which {names} "
                f"{'lacks' if len(manifests) == 1 else 'all lack'}; pass another --manifest too"
            )
        rows = read_labelled(found, column=column, split=None if split == ALL else split).rows
        for model in mine:
            needed = model.minimum_samples / model.sample_rate
            if plan.clip_seconds < needed:
                raise InputError(
                    f"clip_seconds={plan.clip_seconds:g}: must be >= {needed:.2f} for {model.file}"
                )
            model.check(rows)
        sets.append(TestSet(task, mine[0].measure, found, sha256_file(found), rows, tuple(mine)))
    return tuple(sets)


def columns_of(manifest: Path) -> tuple[str, ...]:
    """Return the names of a manifest's columns without reading its rows.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if manifest.suffix.lower() == ".parquet":
            with arrow_source(manifest) as file:
                return tuple(pq.read_schema(file).names)
        return tuple(map(str, pd.read_csv(manifest, nrows=0, dtype=str).columns))
    except OSError as error:
        raise InputError(
            f"{printable(manifest)}: cannot be read ({error.strerror or error}); check the path"
        ) from error
    except (ValueError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{printable(manifest)}: is no manifest ({text})") from error


def _refuse_twins(models: Sequence[Scored]) -> None:
    seen: dict[tuple[str, str, int], str] = {}
    for model in models:
        who = (model.encoder, model.task, model.trial)
        if who in seen:
            raise InputError(
                f"{seen[who]} and {model.file}: both are {label(model)}: must be told apart; leave "
                "one out, or train it with another --trial"
            )
        seen[who] = model.file
