"""What a user may set, from flags and a YAML file, on its way to a plan.

Flags override the file; the file's keys are the flags' names (``excerpts_per_file`` or
``excerpts-per-file``). Settings that change a number go into the `Plan`, the rest stays here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nearkin.api import make_sources
from nearkin.errors import InputError, printable
from nearkin.registry import suggest
from nearkin.runs.plan import Plan
from nearkin.runs.session import EncoderSource
from nearkin.workers import available_cores


class Settings(BaseModel):
    """Everything the command ``run`` takes; lists and texts are what they are, never guessed.

    Attributes
    ----------
    audio, encoder, encoder_options
        What is tested on what; options are JSON texts or mappings.
    plan : mapping
        The settings that change a number, the grid among them.
    out, workers, keep_distances, force, dry_run, quiet, json_line
        How the run is done and told; `workers` None takes every core.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    audio: list[str] = Field(default_factory=list)
    encoder: list[str] = Field(default_factory=lambda: ["mfcc"])
    encoder_options: list[str | dict[str, Any]] = Field(default_factory=list)
    plan: dict[str, Any] = Field(default_factory=dict)
    out: str = "nearkin-run"
    workers: int | None = Field(default=None, ge=1)
    keep_distances: bool = False
    force: bool = False
    dry_run: bool = False
    quiet: bool = False
    json_line: bool = Field(False, alias="json")

    def resolved(self) -> tuple[Plan, list[EncoderSource], int]:
        """Return the plan, the encoders' sources and the number of workers.

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
        return plan, sources, available_cores() if self.workers is None else self.workers


OWN = {field.alias or name for name, field in Settings.model_fields.items()} - {"plan"}
_LISTS = ("audio", "encoder", "encoder_options")


def merged(flags: Mapping[str, Any], config: Path | None) -> Settings:
    """Lay flags over a configuration file.

    Parameters
    ----------
    flags : mapping
        Those that were given, by name.
    config : Path or None
        A YAML file.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        Naming every key that is unknown or wrong, and what is wrong with the file.
    """
    values = _read(config)
    for name, value in flags.items():
        values[name] = os.fspath(value) if isinstance(value, os.PathLike) else value
    try:
        return _settings(values)
    except InputError as error:
        raise (InputError(f"{printable(config)}: {error}") if config else error) from error


def _settings(values: Mapping[str, Any]) -> Settings:
    own = {name: value for name, value in values.items() if name in OWN}
    for name in _LISTS:
        if name in own and not isinstance(own[name], list):
            own[name] = [own[name]]
    plan = {name: value for name, value in values.items() if name not in OWN}
    try:
        return Settings(**own, plan=plan)
    except ValidationError as error:
        raise InputError("; ".join(_sentence(problem) for problem in error.errors())) from error


def _sentence(problem: Any) -> str:
    name, *_ = problem["loc"]
    said = problem["msg"].removeprefix("Value error, ")
    return f"{name}={_short(problem['input'])}: {said[0].lower()}{said[1:]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    import yaml

    try:
        content = yaml.safe_load(config.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{config}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{config}: is no YAML ({text})") from error
    if not isinstance(content, dict):
        raise InputError(f"{config}: must map options to values, such as 'grid: paper'")
    values = {str(name).replace("-", "_"): value for name, value in content.items()}
    names = {*OWN, *Plan.model_fields} - {"encoders", "dry_run"}
    unknown = [f"unknown key '{name}': {suggest(name, names)}" for name in values.keys() - names]
    if unknown:
        raise InputError(f"{config}: " + "; ".join(sorted(unknown)))
    return values


def options_of(text: Any) -> dict[str, Any]:
    """Read the options of one encoder from JSON.

    Raises
    ------
    InputError
        If the text is no JSON object.
    """
    try:
        options = json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise InputError(
            f"--encoder-options {text!r}: is no JSON ({error}); write for instance "
            "'{\"layer\": 3}'"
        ) from error
    if not isinstance(options, dict):
        raise InputError(f"--encoder-options {text!r}: must be a JSON object of keyword arguments")
    return options
