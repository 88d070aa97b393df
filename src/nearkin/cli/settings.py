"""What a user may set, from flags and a YAML file, on its way to a plan.

Flags override the file; the file's keys are the flags' names (``excerpts_per_file`` or
``excerpts-per-file``). RunOptions that change a number go into the `Plan`, the rest stays here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nearkin.errors import InputError, printable
from nearkin.registry import suggest
from nearkin.runs.plan import Plan
from nearkin.runs.sources import EncoderSource, make_sources
from nearkin.workers import ArrayJob, Place, Scheduler, array_job, available_cores
from nearkin.written import parse_json, read_yaml


class RunOptions(BaseModel):
    """Everything the command ``run`` takes; lists and texts are what they are, never guessed.

    Attributes
    ----------
    audio, encoder, encoder_options
        What is tested on what; options are JSON texts or mappings.
    plan : mapping
        The settings that change a number, the grid among them.
    n, extrapolate
        Sizes of collections in which C_W is tabulated beside others, with a gallery, and whether
        to go beyond what was measured.
    out, workers, scheduler, array, keep_distances, keep_attacks, no_report, force, dry_run, quiet,
    json_line
        Where and how the run is done and told; with none of `workers` (processes here),
        `scheduler` (of a Dask cluster) and `array` (``"K/N"``) it takes every core.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    audio: list[str] = Field(default_factory=list)
    encoder: list[str] = Field(default_factory=lambda: ["mfcc"])
    encoder_options: list[str | dict[str, Any]] = Field(default_factory=list)
    plan: dict[str, Any] = Field(default_factory=dict)
    out: str = "nearkin-run"
    workers: int | None = Field(default=None, ge=1)
    scheduler: str | None = None
    array: str | None = None
    n: list[int] = Field(default_factory=list)
    extrapolate: bool = False
    keep_distances: bool = False
    keep_attacks: bool = False
    no_report: bool = False
    force: bool = False
    dry_run: bool = False
    quiet: bool = False
    json_line: bool = Field(False, alias="json")

    def resolved(self) -> tuple[Plan, list[EncoderSource], Place]:
        """Return the plan, the encoders' sources, and where units run.

        Raises
        ------
        InputError
            If a setting is wrong.
        """
        if not self.audio:
            raise InputError("no audio given: name at least one file, folder or manifest")
        options = [options_of(text) for text in self.encoder_options]
        if not options:
            options = [{} for _ in self.encoder]
        plan, sources = make_sources(self.encoder, options, {"grid": "quick", **self.plan})
        if not plan.gallery and (self.n or self.extrapolate):
            raise InputError("--n and --extrapolate: are for a run with --gallery; add one")
        return plan, sources, place_of(self.workers, self.scheduler, self.array)


def place_of(workers: int | None, scheduler: str | None, array: str | None) -> Place:
    """Return where units run.

    Raises
    ------
    InputError
        If more than one place is named.
    """
    named = {"--workers": workers, "--scheduler": scheduler, "--array": array}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: each says where the work is done; give one")
    if scheduler is not None:
        return Scheduler(scheduler)
    if array is not None:
        return array_job(array)
    return available_cores() if workers is None else workers


class PerformOptions(BaseModel):
    """What the command ``perform`` takes.

    Attributes
    ----------
    plan : mapping
        The settings that change a number, the grid among them.
    models, manifest
        Paths of model files and of labelled clips.
    workers, scheduler
        Processes here (None takes every core), or a Dask cluster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    models: list[str] = Field(min_length=1)
    manifest: list[str] = Field(min_length=1)
    plan: dict[str, Any]
    split: str = "test"
    device: str = "cpu"
    out: str = "nearkin-run"
    workers: int | None = Field(default=None, ge=1)
    scheduler: str | None = None
    force: bool = False
    dry_run: bool = False
    quiet: bool = False
    json_line: bool = Field(False, alias="json")

    def place(self) -> int | Scheduler:
        """Return where units run.

        Raises
        ------
        InputError
            If two places are named.
        """
        place = place_of(self.workers, self.scheduler, None)
        assert not isinstance(place, ArrayJob)
        return place


class ReproduceOptions(BaseModel):
    """What the command ``reproduce`` takes beside the fields of `nearkin.study.plan.StudyPlan`.

    Attributes
    ----------
    manifest, clips_from
        ``TASK=FILE`` and paths, as texts.
    threads, workers
        None takes every core.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    out: str = "nearkin-study"
    manifest: list[str] = Field(default_factory=list)
    clips_from: list[str] = Field(default_factory=list)
    scale: str = "small"
    trials: int = 5
    head_trials: int | None = None
    clips: int | None = None
    task_clips: int | None = None
    grid: str = "paper"
    hours: float | None = None
    max_steps: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    storage: Literal["float", "mu-law"] = "float"
    precision: str = "32-true"
    device: str = "cpu"
    threads: int | None = Field(default=None, ge=1)
    workers: int | None = Field(default=None, ge=1)
    dry_run: bool = False
    quiet: bool = False
    json_line: bool = Field(False, alias="json")

    def study(self) -> dict[str, Any]:
        """Return the fields of the plan that need no reading."""
        names = ("scale", "trials", "clips", "grid", "hours", "max_steps", "seed", "storage")
        more = ("precision", "device", "head_trials", "task_clips")
        return {name: getattr(self, name) for name in (*names, *more)}


class CorpusOptions(BaseModel):
    """What the command ``corpus`` takes; `workers` None takes every core."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    root: str
    out: str
    hours: float | None = None
    seed: int = 0
    workers: int | None = Field(default=None, ge=1)
    test_soundfont: str | None = None
    voices: str | None = None
    force: bool = False
    quiet: bool = False
    json_line: bool = Field(False, alias="json")

    def further(self) -> dict[str, str]:
        """Return what only some data sets take, as far as it is given."""
        given = {"test_soundfont": self.test_soundfont, "voices": self.voices}
        return {name: value for name, value in given.items() if value is not None}


class LearningOptions(BaseModel):
    """What both commands that train may be given.

    Attributes
    ----------
    threads, workers
        None takes every core.
    cache : str
        A path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    threads: int | None = Field(default=None, ge=1)
    workers: int | None = Field(default=None, ge=1)
    cache: str | None = None
    force: bool = False
    dry_run: bool = False
    quiet: bool = False
    json_line: bool = Field(False, alias="json")


class TrainOptions(LearningOptions):
    """What the command ``train`` takes.

    Attributes
    ----------
    manifest, out
        Paths.
    settings : mapping
        The settings of the training.
    """

    manifest: str
    out: str
    settings: dict[str, Any]


class FinetuneOptions(LearningOptions):
    """What the command ``finetune`` takes.

    Attributes
    ----------
    model : str
        A file, or a reference's name.
    out : str
        A path.
    settings : mapping
        The settings of the fine-tuning.
    manifest, audio
        Paths; one of the two.
    """

    model: str
    out: str
    settings: dict[str, Any]
    manifest: str | None = None
    audio: list[str] = Field(default_factory=list)


Options = TypeVar("Options", bound=BaseModel)


def merged(flags: Mapping[str, Any], config: Path | None) -> RunOptions:
    """Lay the flags of ``run`` over a configuration file.

    Parameters
    ----------
    flags : mapping
        Those that were given, by name.
    config : Path or None
        A YAML file.

    Returns
    -------
    RunOptions

    Raises
    ------
    InputError
        Naming every key that is unknown or wrong, and what is wrong with the file.
    """
    known = of_plan(name for name in Plan.model_fields if name != "encoders")
    return laid_over(RunOptions, flags, config, known=known, rest="plan")


def of_plan(names: Iterable[str]) -> dict[str, Any]:
    """Return settings of a plan by name, and what each may be."""
    return {name: Plan.model_fields[name].annotation for name in names}


def laid_over(
    options: type[Options],
    flags: Mapping[str, Any],
    config: Path | None,
    *,
    known: Mapping[str, Any] | None = None,
    rest: str = "",
) -> Options:
    """Lay a command's flags over a configuration file.

    Parameters
    ----------
    options : type
        The command's own options: a field each, under the flag's name or as its alias.
    flags : mapping
        Those that were given, by name.
    config : Path or None
        A YAML file.
    known : mapping of str to type, optional
        The options that are not the command's own, and what they may be.
    rest : str
        The field of `options` that holds those, as they were given; empty where there are none.

    Raises
    ------
    InputError
        Naming every key that is unknown or wrong, and what is wrong with the file.
    """
    fields = options.model_fields.items()
    own = {field.alias or name: field for name, field in fields if name != rest}
    known = known or {}
    values = _read(config, {*own, *known} - {"dry_run"})
    for name, value in flags.items():
        values[name] = _plain(value)
    mine = {name: value for name, value in values.items() if name in own}
    for name in mine:
        if "list" in str(own[name].annotation) and not isinstance(mine[name], list):
            mine[name] = [mine[name]]
    others = {name: value for name, value in values.items() if name not in own}
    if misread := _misread(others, known):
        where = f"{printable(config)}: " if config else ""
        raise InputError(where + "; ".join(misread))
    try:
        return options(**mine, **({rest: others} if rest else {}))
    except ValidationError as error:
        told = "; ".join(_sentence(problem) for problem in error.errors())
        raise InputError(f"{printable(config)}: {told}" if config else told) from error


def _plain(value: Any) -> Any:
    """Return paths as text, and what may be given several times as a list."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _sentence(problem: Any) -> str:
    name, *_ = problem["loc"]
    if problem["type"] == "missing":
        return f"no {name} given: pass it"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{name}={_short(problem['input'])}: {said[0].lower()}{said[1:]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(config: Path | None, names: Collection[str]) -> dict[str, Any]:
    if config is None:
        return {}
    content = read_yaml(config)
    if not isinstance(content, dict):
        raise InputError(f"{printable(config)}: must map options to values, such as 'grid: paper'")
    problems = []
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name in values:
            problems.append(f"key '{name}' is there twice: name it once")
        elif name not in names:
            problems.append(f"unknown key {_short(name)}: {suggest(name, names)}")
        values[name] = value
    if problems:
        raise InputError(f"{printable(config)}: " + "; ".join(sorted(problems)))
    return values


def _misread(values: Mapping[str, Any], kinds: Mapping[str, Any]) -> list[str]:
    """Name the booleans where none is taken, what stands where only they are, a grid in place."""
    grid = values.get("grid", "")
    if not isinstance(grid, str | bool):
        told = "must be a grid's name, or the file that holds it, such as grid.yaml"
        return [f"grid={_short(grid)}: {told}"]
    return [
        f"{name}={_short(value)}: must {'' if takes else 'not '}be true or false, without quotes"
        for name, value in values.items()
        for takes in ["bool" in str(kinds[name])]
        if value is not None and isinstance(value, bool) != takes
    ]


def options_of(text: Any) -> dict[str, Any]:
    """Read the options of one encoder from JSON.

    Raises
    ------
    InputError
        If the text is no JSON object.
    """
    try:
        options = parse_json(text) if isinstance(text, str) else text
        json.dumps(options, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"--encoder-options {_short(text)}: is no JSON ({error}); write for instance "
            "'{\"layer\": 3}'"
        ) from error
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise InputError(
            f"--encoder-options {_short(text)}: must be a JSON object of keyword arguments"
        )
    return options
