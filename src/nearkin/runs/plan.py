"""The frozen description of a run: every choice that changes a number, checked and normalised.

Two plans are the same run exactly when they are equal; everything else (workers, folders, what is
kept) is an argument of the call, not a part of the plan. Lengths are in seconds, rates in Hz.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nearkin.distances import AUDIO_DISTANCES, LATENT_DISTANCES
from nearkin.encoders import ALIASES, POOLINGS, REFERENCES, TRAINED, Handling
from nearkin.errors import InputError, printable
from nearkin.registry import suggest
from nearkin.transforms.grids import Grid, Point, grid

IDENTITY = Point("OG", 0.0)
DEFAULT_CALLS = 8
"""Calls that are averaged of an encoder which is random from call to call."""


class EncoderChoice(BaseModel):
    """One encoder as asked for: its SPEC and the options that go with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str
    options: str = "{}"
    """JSON, so that the plan can be hashed."""

    @field_validator("spec")
    @classmethod
    def _of_today(cls, value: str) -> str:
        return ALIASES.get(value, value)


class Plan(BaseModel):
    """Every setting that changes a result.

    Build it with `make_plan`, which turns a malformed setting into one clear `InputError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    encoders: tuple[EncoderChoice, ...]
    grid: Grid
    seed: int = Field(0, ge=0, lt=2**63)
    clips: int | None = Field(None, ge=2, description="use at most this many clips")
    excerpts_per_file: int = Field(1, ge=1, le=1000)
    clip_seconds: float = Field(2.0, ge=0.5, le=60)
    working_rate: int = Field(22_050, ge=8_000, le=96_000, description="Hz")
    sample_rate: int = Field(
        22_050, ge=1_000, le=192_000, description="Hz at which a plain callable takes audio"
    )
    pool: str = "mean"
    layer: int | str | None = Field(None, description="a hidden state's number, or 'all'")
    pad: Literal["zero", "loop"] | None = Field(
        None, description="how clips shorter than a fixed-length model are lengthened"
    )
    device: str | None = Field(None, description="cpu, cuda or mps")
    trust: bool | None = Field(None, description="run code that a model's file brings along")
    allow_stochastic: bool | None = None
    calls: int | None = Field(
        None, ge=2, le=1000, description="calls averaged of a stochastic encoder"
    )
    distances: tuple[str, ...] | None = Field(
        None, description="distances of the latent space from installed packages, beside the own"
    )
    noise: str | None = None
    other_music: str | None = Field(
        None, description="a recording, or a folder of them, that MX mixes in"
    )
    engine: Literal["signalsmith", "rubberband", "rubberband-r3"] = "signalsmith"
    mp3_rate: Literal["paper", "true"] = "paper"
    audio_window: Literal["clip", "full"] = "clip"
    storage: Literal["float", "mu-law"] = Field(
        "float", description="mu-law: clips pass 8 bits a sample, as the authors' did"
    )
    loudness_window: Literal["clip", "full"] = Field(
        "clip", description="what is matched in loudness: the clip that is heard, or its context"
    )
    dtw: Literal["exact", "fast"] = Field(
        "exact", description="fast: the approximation of the paper, by the package fastdtw"
    )
    rho: Literal["pooled", "clips", "own"] = "pooled"
    others: Literal["all", "group"] = Field(
        "all",
        description="whom a query is compared with: all other clips, or those of other groups",
    )
    rho_clips: int = Field(
        2000, ge=10, description="with more clips, C_B_rho is taken over this many, drawn"
    )
    n_fft: int = Field(2048, ge=64, le=131_072)
    hop_length: int = Field(512, ge=16, le=131_072)
    n_mels: int = Field(128, ge=26, le=4096)
    n_mfcc: int = Field(25, ge=3)
    simple_window: int = Field(50, ge=2, description="frames of a SiMPle window")
    resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples")
    split: str | None = None
    duplicates: Literal["one", "all"] = Field(
        "one", description="of recordings that sound the same: use one, or all"
    )
    attack: bool | None = Field(
        None, description="also search the worst change of every clip at 60, 50, 40 and 30 dB SNR"
    )
    gallery: tuple[str, ...] | None = Field(
        None, description="a folder of music, or ENCODER=FILE of vectors: laid among the originals"
    )
    references: Literal["all", "untrained"] = Field(
        "all", description="reference lines beside the tested encoders: with the trained, or not"
    )

    @field_validator("gallery", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """Take one path, or several; none of them is none."""
        given = [value] if isinstance(value, str | os.PathLike) else value
        if isinstance(given, list | tuple):
            paths = [os.fspath(one) if isinstance(one, os.PathLike) else one for one in given]
            return tuple(paths) or None
        return given

    @field_validator("pool")
    @classmethod
    def _known_pool(cls, value: str) -> str:
        if value not in POOLINGS:
            raise ValueError(suggest(value, POOLINGS))
        return value

    @model_validator(mode="after")
    def _encoders_can_be_handled(self) -> Plan:
        handled = Handling(**self.handling())
        object.__setattr__(self, "layer", handled.layer)
        return self

    @model_validator(mode="after")
    def _windows_fit(self) -> Plan:
        if self.clip_frames < self.simple_window:
            shortest = self.simple_window * self.hop_length / self.working_rate
            raise ValueError(
                f"clip_seconds={self.clip_seconds:g} gives {self.clip_frames} frames, fewer than "
                f"SiMPle's window of {self.simple_window}: use clip_seconds >= {shortest:.2f} or a "
                "smaller simple_window"
            )
        if not self.n_mfcc <= self.n_mels:
            raise ValueError(f"n_mfcc={self.n_mfcc}: must be <= n_mels={self.n_mels}")
        return self

    @property
    def clip_samples(self) -> int:
        """Samples of a clip at the working rate."""
        return round(self.clip_seconds * self.working_rate)

    @property
    def clip_frames(self) -> int:
        """MFCC frames of a clip."""
        return 1 + self.clip_samples // self.hop_length

    @property
    def context_seconds(self) -> float:
        """Length of the excerpt a clip is the centre of: twice the clip."""
        return 2 * self.clip_seconds

    @property
    def shortest_seconds(self) -> float:
        """A recording shorter than this is skipped."""
        return 1.5 * self.clip_seconds

    @property
    def points(self) -> tuple[Point, ...]:
        """The grid's points after the identity."""
        return (IDENTITY, *self.grid.points)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of an audio and a latent distance."""
        latents = self.latent_distances
        return tuple((audio, latent) for audio in AUDIO_DISTANCES for latent in latents)

    @property
    def latent_distances(self) -> tuple[str, ...]:
        """The distances of the latent space: the built-in ones, then those asked for."""
        return (*LATENT_DISTANCES, *(self.distances or ()))

    def handling(self, role: str = "tested") -> dict[str, Any]:
        """Return the fields of `Handling`; layers and devices are none of the references'."""
        own = {
            "layer": self.layer,
            "pad": self.pad,
            "device": self.device or "cpu",
            "trust": bool(self.trust),
        }
        # a rate that is the default and was not said is none: a torch module then wants one
        stated = "sample_rate" in self.model_fields_set
        rest = {"sample_rate": self.sample_rate if stated else None, "pool": self.pool}
        return {**rest, **own} if role == "tested" else rest

    def settings(self) -> dict[str, Any]:
        """Return the plan as finite JSON values."""
        plain: dict[str, Any] = json.loads(self.model_dump_json(exclude={"grid"}))
        plain["grid"] = {
            "name": self.grid.name,
            "points": [[point.code, point.magnitude] for point in self.grid.points],
        }
        if self.grid.chains:
            plain["grid"]["chains"] = [chain.record() for chain in self.grid.chains]
        return plain


def make_plan(settings: Mapping[str, Any]) -> Plan:
    """Check settings and freeze them.

    Parameters
    ----------
    settings : mapping
        Fields of `Plan`; ``encoders`` may be SPEC strings. The reference encoders mfcc,
        logmel-projection and constant are added where they are missing.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        Naming every setting that is unknown or wrong, in one sentence.

    Examples
    --------
    >>> make_plan({"encoders": ["mfcc"], "grid": "imperceptible"}).seed
    0
    """
    known = Plan.model_fields
    unknown = [
        f"unknown setting '{key}': {suggest(key, known)}" for key in settings if key not in known
    ]
    if unknown:
        raise InputError("; ".join(unknown))
    values = dict(settings)
    if isinstance(values.get("grid"), str):
        values["grid"] = grid(values["grid"])
    values["encoders"] = tuple(
        EncoderChoice(spec=choice) if isinstance(choice, str) else choice
        for choice in values.get("encoders", ())
    )
    _refuse_twins(values["encoders"])
    _refuse_bytes(values)
    try:
        return Plan(**values)
    except ValidationError as error:
        raise InputError("; ".join(_sentence(problem) for problem in error.errors())) from error


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the settings in which two runs differ, with both values.

    Examples
    --------
    >>> changed_settings({"seed": 0}, {"seed": 1})
    ['seed (was 0, now 1)']
    >>> grids = [{"grid": {"name": "mine", "points": [["PN", snr_db]]}} for snr_db in (20.0, 10.0)]
    >>> changed_settings(*grids)
    ['grid (was mine with 1 points, now mine with 1 points: PN 10 added, PN 20 gone)']
    """
    differences = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            told = f"was {_short(before)}, now {_short(after)}{_points_told(before, after)}"
            differences.append(f"{name} ({told})")
    return differences


def references_for(plan: Plan) -> tuple[str, ...]:
    """Return the reference encoders that the user did not ask for himself.

    The trained ones need clips of 1.5 s: where clips are shorter, they stay out.
    """
    asked = {choice.spec for choice in plan.encoders}
    trained = TRAINED if plan.references == "all" and plan.clip_seconds >= 1.5 else ()
    return tuple(name for name in (*REFERENCES, *trained) if name not in asked)


def _refuse_bytes(values: Mapping[str, Any]) -> None:
    """Refuse names that are no UTF-8: neither run.json nor a table can hold one."""
    named = [("encoder", choice.spec) for choice in values["encoders"]]
    named += [(name, value) for name, value in values.items() if isinstance(value, str)]
    for name, value in named:
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InputError(
                f"{name} '{printable(value)}': is no UTF-8, which tables need; rename the file"
            )


def _refuse_twins(choices: tuple[EncoderChoice, ...]) -> None:
    seen = set()
    for choice in choices:
        if choice in seen and not choice.spec.startswith("object "):
            raise InputError(f"encoder '{choice.spec}': asked for twice; name it once")
        seen.add(choice)


def _sentence(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if not name:
        return str(message)
    value = problem.get("input")
    shown = f"={value!r}" if isinstance(value, (int, float, str)) else ""
    return f"{name}{shown}: {message[0].lower()}{message[1:]}"


def _points_told(before: Any, after: Any) -> str:
    """Name points that two grids of one name do not share; empty where they have two names."""
    grids = [value for value in (before, after) if isinstance(value, dict) and "points" in value]
    if len(grids) < 2 or before.get("name") != after.get("name"):
        return ""
    old, new = ([f"{code} {value:g}" for code, value in grid["points"]] for grid in grids)
    sides = {
        "added": [point for point in new if point not in old],
        "gone": [point for point in old if point not in new],
    }
    found = [
        f"{', '.join(points[:3])}{f' and {len(points) - 3} more' if len(points) > 3 else ''} {how}"
        for how, points in sides.items()
        if points
    ]
    return f": {', '.join(found)}" if found else ""


def _short(value: Any) -> str:
    if isinstance(value, dict) and "points" in value:
        return f"{value.get('name')} with {len(value['points'])} points"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(str(item.get("spec", item)) for item in value)
    if isinstance(value, list) and len(value) > 4:
        return f"{len(value)} entries"
    return "unset" if value is None else str(value)
