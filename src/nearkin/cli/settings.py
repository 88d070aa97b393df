"""What a user may set, from flags and a YAML file, on its way to a plan.

Flags override the file; the file's keys are the flags' names (``excerpts_per_file`` or
``excerpts-per-file``). Settings that change a number go into the `Plan`, the rest stays here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from nearkin.api import make_sources
from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.runs.plan import Plan
from nearkin.runs.session import EncoderSource
from nearkin.workers import available_cores


@dataclass(frozen=True)
class Settings:
    """Everything the command ``run`` takes.

    Attributes
    ----------
    audio, encoder, encoder_options
        What is tested on what; options are JSON texts or mappings.
    plan : mapping
        The other settings of the plan.
    out, workers, keep_distances, force, dry_run, quiet, json_line
        How the run is done and told; `workers` None takes every core.
    """

    audio: list[str] = field(default_factory=list)
    encoder: list[str] = field(default_factory=lambda: ["mfcc"])
    encoder_options: list[Any] = field(default_factory=list)
    grid: str = "quick"
    plan: Mapping[str, Any] = field(default_factory=dict)
    out: str = "nearkin-run"
    workers: int | None = None
    keep_distances: bool = False
    force: bool = False
    dry_run: bool = False
    quiet: bool = False
    json_line: bool = False

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
        plan, sources = make_sources(self.encoder, options, {**self.plan, "grid": self.grid})
        workers = available_cores() if self.workers is None else self.workers
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise InputError(f"workers={workers!r}: must be an integer >= 1")
        return plan, sources, workers


def merged(flags: Mapping[str, Any], config: Path | None) -> Settings:
    """Lay flags over a configuration file.

    Parameters
    ----------
    flags : mapping
        Flags by name; None where one was not given.
    config : Path or None
        A YAML file.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        Naming every key that is unknown, and what is wrong with the file.
    """
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    values = {**_read(config, known=list(flags)), **given}
    values["json_line"] = values.pop("json", False)
    for name in ("audio", "encoder", "encoder_options"):
        if name in values and not isinstance(values[name], list):
            values[name] = [values[name]]
    if "audio" in values:
        values["audio"] = [os.fspath(path) for path in values["audio"]]
    if "out" in values:
        values["out"] = os.fspath(values["out"])
    own = {item.name for item in fields(Settings)}
    plan = {name: values.pop(name) for name in list(values) if name not in own}
    return Settings(**values, plan=plan)


def _read(config: Path | None, *, known: list[str]) -> dict[str, Any]:
    if config is None:
        return {}
    import yaml

    from nearkin.runs.plan import Plan

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
    names = {*known, *Plan.model_fields} - {"encoders", "dry_run"}
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
