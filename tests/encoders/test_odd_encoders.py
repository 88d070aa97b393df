"""What strange encoders do at the border: exits of every kind, properties that raise, records."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearkin.encoders import resolve
from nearkin.encoders.protocol import EncoderError, Key, embed
from nearkin.errors import InputError
from support.commands import command

KEYS = [Key("a", "OG", 0.0), Key("b", "OG", 0.0)]
AUDIO = np.random.default_rng(0).normal(size=(2, 22_050)).astype(np.float32)


class Plain:
    sample_rate, embedding_size = 22_050, 3

    def embed(self, audio: Any) -> Any:
        return audio[:, :3]


def answering(make: Any) -> Plain:
    thing = Plain()
    thing.embed = lambda audio: make(audio[:, :3])  # type: ignore[method-assign]
    return thing


def raising(error: BaseException) -> Plain:
    def embed_nothing(_: Any) -> Any:
        raise error

    thing = Plain()
    thing.embed = embed_nothing  # type: ignore[method-assign]
    return thing


@dataclasses.dataclass
class Record:
    last_hidden_state: Any
    pooler_output: Any = None


Named = namedtuple("Named", "embedding aux", defaults=(None,))


@pytest.mark.parametrize("make", [Record, Named])
def test_records_are_read_by_their_fields(make: Any) -> None:
    """As the mapping of their fields would be: one that is not None is the answer."""
    found = embed(resolve(answering(make)), AUDIO, KEYS)
    assert found.vectors == pytest.approx(AUDIO[:, :3])
    with pytest.raises(EncoderError, match=r"several outputs \(.* \[2, 3\], .* \[2, 3\]\): choose"):
        embed(resolve(answering(lambda v: make(v, v))), AUDIO, KEYS)
    second = {"output": "pooler_output" if make is Record else "aux"}
    chosen = resolve(answering(lambda v: make(v, 2 * v)), options=second)
    assert embed(chosen, AUDIO, KEYS).vectors == pytest.approx(2 * AUDIO[:, :3])


@dataclasses.dataclass
class Scaled:
    """An array with a record's fields, as quantised ones are."""

    data: Any
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)


class ByNumpy(Scaled):
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.data * self.scale, dtype)


class ByDetach(Scaled):
    def detach(self) -> Any:
        return self.data * self.scale


class ByDlpack(Scaled):
    def __dlpack__(self, **options: Any) -> Any:
        return (self.data * self.scale).__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()


@pytest.mark.parametrize("make", [ByNumpy, ByDetach, ByDlpack])
def test_a_record_that_is_an_array_is_not_taken_apart(make: Any) -> None:
    found = embed(resolve(answering(lambda v: make(v, 2.0))), AUDIO, KEYS)
    assert found.vectors == pytest.approx(2 * AUDIO[:, :3])
    layered = resolve(answering(lambda v: make(v, 2.0)), options={"output": 0})
    with pytest.raises(EncoderError, match=r"has no output 0: it returned \[2, 3\]"):
        embed(layered, AUDIO, KEYS)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, r"returned nothing \(None\): must be an array"),
        (object(), "returned object of dtype|returned object: must be an array"),
        ([[1.0], [1.0, 2.0]], r"returned list \(.*inhomogeneous"),
    ],
)
def test_what_is_no_array_is_named(answer: Any, said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        embed(resolve(answering(lambda _: answer)), AUDIO, KEYS)


def test_what_is_masked_is_no_answer() -> None:
    def masked(values: Any) -> Any:
        return np.ma.masked_array(values, mask=[[False] * 3, [False, True, False]])

    found = embed(resolve(answering(masked)), AUDIO, KEYS)
    assert found.status == ("ok", "returned NaN or infinite values")
    assert found.vectors[0] == pytest.approx(AUDIO[0, :3])


class Skipped(BaseException):
    """As pytest's own, which a model's file may raise when it looks for its dependencies."""


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GeneratorExit(), "raised GeneratorExit: it raises GeneratorExit: no message, which is no"),
        (asyncio.CancelledError("late"), "raised CancelledError: it raises .* late, which is no"),
        (Skipped("no torch"), "raised Skipped: it raises Skipped: no torch, which is no Exception"),
        (Silent(), "raised Silent: no message"),
    ],
)
def test_what_no_handler_catches_costs_the_clip(error: BaseException, said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        embed(resolve(raising(error)), AUDIO, KEYS)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sample_rate", float("inf"), "sample_rate=inf and embedding_size=3 must be ints"),
        ("trial", "first", "trial='first': must be an int > 0"),
        ("trial", 0, "trial=0: must be an int > 0, because tables call the mean over trials 0"),
        ("trial", -1, "trial=-1: must be an int > 0"),
        ("trial", 1.5, r"trial=1\.5: must be an int > 0"),
        ("fixed_samples", "44100", "fixed_samples='44100': must be an int > 0"),
        ("fixed_samples", -1, "fixed_samples=-1: must be an int > 0"),
        ("fixed_samples", float("inf"), "fixed_samples=inf: must be an int > 0"),
        ("minimum_samples", 0.5, "minimum_samples=0.5: must be an int > 0"),
    ],
)
def test_attributes_are_held_to_what_they_must_be(name: str, value: Any, said: str) -> None:
    thing = Plain()
    setattr(thing, name, value)
    with pytest.raises(InputError, match=said):
        resolve(thing)


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("trial", "2", 2),
        ("trial", 3.0, 3),
        ("trial", np.int64(4), 4),
        ("fixed_samples", 22_050.0, 22_050),
        ("fixed_samples", np.float32(22_050), 22_050),
        ("fixed_samples", 0, None),
        ("minimum_samples", 0, None),
        ("minimum_samples", 11_025.0, 11_025),
    ],
)
def test_whole_numbers_of_any_type_are_taken(name: str, value: Any, taken: int | None) -> None:
    """Configurations read from YAML or JSON hold texts, whole floats, and 0 for none."""
    thing = Plain()
    setattr(thing, name, value)
    found = resolve(thing)
    kept = {
        "trial": lambda: found.trial,
        "fixed_samples": lambda: found.encoder.samples,  # type: ignore[attr-defined]
        "minimum_samples": lambda: found.encoder.minimum_samples,  # type: ignore[attr-defined]
    }[name]()
    assert kept == taken
    assert kept is None or type(kept) is int
    assert embed(found, AUDIO, KEYS).vectors == pytest.approx(AUDIO[:, :3])


@pytest.mark.parametrize("name", ["sample_rate", "embed", "trial", "encoder_name"])
def test_a_property_that_raises_is_one_sentence(name: str) -> None:
    def unready(_: Any) -> Any:
        raise RuntimeError("load the weights first")

    thing = type("Lazy", (Plain,), {name: property(unready)})()
    with pytest.raises(InputError, match="RuntimeError while its attributes were read: load the"):
        resolve(thing)


def test_a_file_that_skips_itself_ends_in_a_sentence(music: Path, tmp_path: Path) -> None:
    file = tmp_path / "skips.py"
    file.write_text("class Skipped(BaseException): ...\nraise Skipped('no GPU')\n")
    for words in (("check", f"{file}:f"), ("run", music, "--encoder", f"{file}:f")):
        done = command(*words, *(["--out", tmp_path / "r"] if words[0] == "run" else []))
        assert done.exit_code == 2, (done.stderr, done.exception)
        assert "Skipped while importing it: it raises Skipped: no GPU" in done.stderr
