"""What run.json, performance.json and export.json may hold: read from strangers, held to it first.

The types are those that nearkin writes; whatever else a newer version adds passes. A wrong one is
one sentence: the file, the place in it, what is there and what is demanded. What is right in kind
and yet not what was written is told by the checksum that a record holds of itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from nearkin.errors import InputError, RunError, printable
from nearkin.files import SEAL, is_whole, read_regular
from nearkin.runs.plan import Plan

Code = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Known(BaseModel):
    """Fields of known types; others may stand beside them."""

    model_config = ConfigDict(extra="allow", strict=True)


class GridRecord(_Known):
    """A grid: its name and its points."""

    name: str
    points: list[Annotated[list[Code | Number], Field(min_length=2, max_length=2)]]


class Checked(_Known):
    """What the quick check found of an encoder."""

    state: str
    again: Number | None = None
    batch: Number | None = None
    sentence: str = ""
    digest: dict[str, Any] | None = None


class EncoderRecord(_Known):
    """An encoder of a run."""

    name: str
    task: str
    trial: int = Field(ge=0)
    label: str = ""
    spec: str
    matched: str
    sample_rate: int = Field(ge=1)
    embedding_size: int | None = Field(default=None, ge=1)
    sha256: str = ""
    role: Literal["tested", "reference"]
    check: Checked | None = None
    status: str


class Counted(_Known):
    """How many clips there were."""

    found: int = Field(ge=0)
    used: int = Field(ge=0)
    skipped: int = Field(ge=0)
    failed: int = Field(default=0, ge=0)
    identical: list[list[str]] = []


class Noise(_Known):
    """What EN added."""

    name: str
    sha256: str


class Heard(_Known):
    """A recording: where its clip starts, and its content where it was read."""

    start_s: Number | None
    sha256: str


class Inputs(_Known):
    """What, beside the settings, must be equal for a run to go on."""

    nearkin: str
    audio: dict[str, Heard | int]
    encoder_files: dict[str, str] = Field(alias="encoder files")
    noise_file: str = Field(alias="noise file")
    other_music: str = Field(default="", alias="other music")
    gallery: dict[str, str | int] = {}


def _plan_record() -> type[_Known]:
    """Return a plan's fields, none demanded, each of its own type; bounds are the plan's own."""
    fields: dict[str, Any] = {
        name: (field.annotation, None) for name, field in Plan.model_fields.items()
    }
    fields["encoders"] = (list[dict[str, Any]], [])
    fields["distances"] = fields["gallery"] = (list[str] | None, None)
    fields["grid"] = (GridRecord | None, None)
    return create_model("PlanRecord", __base__=_Known, **fields)


PlanRecord = _plan_record()


class RunRecord(_Known):
    """run.json."""

    nearkin: str
    created: str
    finished: str | None
    plan: PlanRecord  # type: ignore[valid-type]
    inputs: Inputs | None = None
    left_out: list[str] = []
    encoders: list[EncoderRecord]
    clips: Counted | None = None
    n: int | None = Field(default=None, ge=0)
    grid: GridRecord
    noise: Noise
    other_music: Noise | None = None
    engine: str
    versions: dict[str, str]
    files: dict[str, str] = {}
    timings_s: dict[str, Number]


class FinishedRecord(RunRecord):
    """run.json of a finished run."""

    clips: Counted
    n: int = Field(ge=2)


class ScoredModel(_Known):
    """A model whose task scores are in a folder."""

    encoder: str
    task: str
    trial: int = Field(ge=0)
    measure: str
    file: str
    sha256: str


class TestSetRecord(_Known):
    """A task's test set: where its clips are listed, and what became of them."""

    __test__ = False

    manifest: str
    rows: int = Field(default=0, ge=0)
    found: int = Field(default=0, ge=0)
    used: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    unusable: list[str] = []


class PerformanceInputs(_Known):
    """What, beside the settings, must be equal for task scores to go on."""

    nearkin: str
    audio: dict[str, Heard] = {}


class PerformanceRecord(_Known):
    """performance.json."""

    nearkin: str
    created: str
    finished: str | None
    plan: PlanRecord  # type: ignore[valid-type]
    inputs: PerformanceInputs
    models: list[ScoredModel]
    test_sets: dict[str, TestSetRecord]
    noise: Noise
    other_music: Noise | None = None
    engine: str
    versions: dict[str, str]
    files: dict[str, str] = {}
    timings_s: dict[str, Number]


class ExportRecord(_Known):
    """export.json."""

    nearkin: str
    plan: PlanRecord  # type: ignore[valid-type]
    sample_rate: int = Field(ge=1)
    inputs: Inputs
    recordings: Annotated[list[str], Field(min_length=1)]
    manifest_sha256: str = ""
    files: dict[str, str] = {}


def read_run_record(path: Path) -> dict[str, Any] | None:
    """Read run.json; None where there is none.

    Raises
    ------
    RunError
        If it cannot be read, or does not hold what a run writes.
    """
    remedy = "put it back as it was, or use --force to start anew"
    found = _read(path, remedy)
    finished = isinstance(found, dict) and found.get("finished")
    return _held(path, found, FinishedRecord if finished else RunRecord, remedy)


def read_performance_record(path: Path) -> dict[str, Any] | None:
    """Read performance.json; None where there is none.

    Raises
    ------
    RunError
        If it cannot be read, or does not hold what ``nearkin perform`` writes.
    """
    remedy = "put it back as it was, or use nearkin perform --force to score anew"
    return _held(path, _read(path, remedy), PerformanceRecord, remedy)


def _held(path: Path, found: Any, model: type[BaseModel], remedy: str) -> dict[str, Any] | None:
    if found is None:
        return None
    told = _wrong(model, found)
    if told:
        raise RunError(f"{printable(path)}: {told}; {remedy}")
    return _without_seal(found)


def read_export(path: Path) -> dict[str, Any]:
    """Read export.json.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or does not hold what an export writes.
    """
    remedy = "give the manifest.csv that nearkin export wrote, in its folder, or export anew"
    try:
        found = _read(path, remedy)
    except RunError as error:
        raise InputError(str(error)) from error
    if found is None:
        raise InputError(f"{printable(path.parent)}: no {path.name} lies beside it; {remedy}")
    told = _wrong(ExportRecord, found)
    if told:
        raise InputError(f"{printable(path)}: {told}; {remedy}")
    return _without_seal(found)


def _read(path: Path, remedy: str) -> Any:
    try:
        return json.loads(read_regular(path).decode("utf-8"))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise RunError(
            f"{printable(path.parent)}: is a file; name the folder in which {path.name} lies"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise RunError(f"{printable(path)}: cannot be read ({told}); {remedy}") from error


def _wrong(model: type[BaseModel], found: Any) -> str:
    """Say what is wrong first; empty where nothing is."""
    try:
        model.model_validate_json(json.dumps(found))
    except (ValidationError, ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            return f"cannot be read ({' '.join(str(error).split())})"
        problems = error.errors(include_url=False)
        first = problems[0]
        place = ".".join(map(str, first["loc"]))
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = f"'{printable(place)}'" if place else "the whole of it"
        if first["type"] == "missing":
            return f"{where} is missing: must be there{more}"
        text = first["msg"]
        return f"{where} is {_shown(first.get('input'))}: {text[0].lower()}{text[1:]}{more}"
    return "" if is_whole(found) else "was changed or damaged after it was written (its checksum)"


def _without_seal(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != SEAL}


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = printable(json.dumps(value, default=str))
    return text if len(text) <= 60 else f"{text[:57]}..."
