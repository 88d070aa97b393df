"""run.json and export.json of strangers: what is wrong is one sentence, never a traceback."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nearkin
from nearkin.errors import InputError, NearkinError, RunError
from nearkin.runs.exchange import plan_of
from nearkin.runs.plan import make_plan
from nearkin.runs.schema import read_export, read_run_record
from support.runs import write_record

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, name))
    return found


def put(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(record)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def outcome(act: Callable[[], Any]) -> tuple[str, Any]:
    """Return what an act said when it refused, and what it gave when it did not."""
    try:
        return "", act()
    except NearkinError as error:
        return str(error), None


EXPORT = {
    "nearkin": "0.1.0",
    "plan": make_plan({"encoders": [], "grid": "quick"}).settings(),
    "sample_rate": 16_000,
    "inputs": {
        "nearkin": "0.1.0",
        "audio": {"a.wav": {"start_s": None, "sha256": "ab"}},
        "encoder files": {},
        "noise file": "cd",
    },
    "recordings": ["/music"],
}


def test_what_a_run_writes_is_read(small_run: Path) -> None:
    found = read_run_record(small_run / "run.json")
    assert {**found, "checksum": ""} == {
        **json.loads((small_run / "run.json").read_text()),
        "checksum": "",
    }


def test_one_flipped_bit_anywhere_in_a_record_is_told(small_run: Path, tmp_path: Path) -> None:
    content = (small_run / "run.json").read_bytes()
    path = tmp_path / "run.json"
    seen = set()
    for bit in range(0, 8 * len(content), 8 * len(content) // 400 + 1):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        told, _ = outcome(lambda: read_run_record(path))
        assert told.startswith(f"{path}: "), (bit, damaged[bit // 8 - 20 : bit // 8 + 20])
        assert "\n" not in told
        seen.add("(its checksum)" in told)
    assert seen == {True, False}


def test_the_checksum_is_of_what_its_schema_says(small_run: Path) -> None:
    record = json.loads((small_run / "run.json").read_text())
    found = record.pop("checksum")
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert found == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_a_record_of_before_there_were_checksums_is_read(small_run: Path, tmp_path: Path) -> None:
    record = json.loads((small_run / "run.json").read_text())
    del record["checksum"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert read_run_record(tmp_path / "run.json") == record


def test_an_export_record_that_was_changed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    write_record(path, EXPORT)
    assert read_export(path) == EXPORT
    path.write_text(path.read_text().replace("/music", "/musik"))
    with pytest.raises(InputError, match=r"export\.json: was changed or damaged after it was writ"):
        read_export(path)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("encoders", 0, "trial"), "x", "'encoders.0.trial' is \"x\": input should be a valid int"),
        (("encoders",), {}, "'encoders' is a mapping: input should be a valid array"),
        (("n",), 1, "'n' is 1: input should be greater than or equal to 2"),
        (("grid", "points"), 3, "'grid.points' is 3: input should be a valid array"),
        (("plan", "seed"), "0", "'plan.seed' is \"0\": input should be a valid integer"),
        (("timings_s",), [], "'timings_s' is a list"),
        (("created",), None, "'created' is null"),
    ],
)
def test_a_wrong_type_is_told_with_its_place(
    path: tuple[Any, ...], value: Any, told: str, small_run: Path, tmp_path: Path
) -> None:
    record = json.loads((small_run / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(put(record, path, value)))
    with pytest.raises(RunError) as raised:
        nearkin.load(tmp_path)
    text = str(raised.value)
    assert text.startswith(f"{tmp_path / 'run.json'}: {told}")
    assert "\n" not in text
    assert text.endswith("; put it back as it was, or use --force to start anew")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, "\x00", '{"n": NaN}'])
def test_what_is_no_record(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(NearkinError):
        nearkin.load(tmp_path)
    with pytest.raises(InputError):
        read_export(tmp_path / "export.json")


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_run_record_with_anything_anywhere(
    data: st.DataObject, small_run: Path, tmp_path: Path
) -> None:
    record = json.loads((small_run / "run.json").read_text())
    del record["checksum"]  # else any change is told by it
    path = data.draw(st.sampled_from(places(record)))
    changed = put(record, path, data.draw(ANYTHING))
    (tmp_path / "run.json").write_text(json.dumps(changed))
    told, found = outcome(lambda: nearkin.load(tmp_path))
    assert "\n" not in told
    assert told or isinstance(found.run["encoders"], list)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_export_record_with_anything_anywhere(data: st.DataObject, tmp_path: Path) -> None:
    path = data.draw(st.sampled_from(places(EXPORT)))
    (tmp_path / "export.json").write_text(json.dumps(put(EXPORT, path, data.draw(ANYTHING))))
    told, _ = outcome(lambda: plan_of(read_export(tmp_path / "export.json")["plan"], ()))
    assert "\n" not in told
