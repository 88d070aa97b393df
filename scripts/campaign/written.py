"""What people write, at random: settings, grids, requirements, manifests, records, tables.

python scripts/campaign/written.py STAGE [--cases 10000] [--seed 0]

Hypothesis draws texts and values near those that are right; each is read the way the commands read
it. Right is: it is taken, or refused with nearkin's own error, in one line. Wrong is any other
exception. STAGE holds a finished run and an export, as ``stage.build`` leaves them.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import yaml
from folders import JUNK, places
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from stage import build, keep

from nearkin.cli import settings as options
from nearkin.corpora.collect import collect
from nearkin.corpora.manifest import read_labelled
from nearkin.encoders import resolve
from nearkin.errors import NearkinError
from nearkin.maps.files import write_map
from nearkin.maps.linear import LinearMap, Origin
from nearkin.performance.run import SETTINGS, make_performance_plan
from nearkin.results.requirements import parse
from nearkin.results.schemas import checked
from nearkin.runs.plan import Plan
from nearkin.runs.schema import read_export, read_performance_record, read_run_record
from nearkin.training.settings import Settings
from nearkin.transforms.grids import grid

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, -1, 0, 0.5, 1, 2, 8, 1e308])
)
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=20), st.dates(), st.binary(max_size=4)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        *("C_W", "C_B_rho", "C_B_acc", "C_W@8", "kappa", "N", "mean", "min", "median", "[", "]"),
        *("(", ")", ",", ">=", "<=", ">", "<", "==", "=", "@", "mfcc", "cosine", "dtw", "PN", "MP"),
        *("TS", "PS in -1..1", "imperceptible", "0.95", "1e999", "-", "+", "baseline", "'", '"'),
        *("9" * 400, "\u0000", "é", " ", ";", "and", "or", "not", "..", "1..", "nan", "inf"),
    ]
)


def keys(model: Mapping[str, Any], *more: str) -> st.SearchStrategy[str]:
    known = [*model, *more]
    return st.one_of(
        st.sampled_from(known),
        st.sampled_from(known).map(lambda name: name.replace("_", "-")),
        st.text(max_size=8),
    )


def as_yaml(value: Any) -> str:
    try:
        return str(yaml.safe_dump(value, allow_unicode=True))
    except Exception:  # what YAML itself cannot write
        return repr(value)


def texts(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """Values as YAML, some of it cut, doubled, nested deeply or with tags."""

    def spoilt(text: str, how: int) -> str:
        return {
            0: text[: len(text) // 2],
            1: text + text,
            2: "[" * 3000 + text,
            3: "a: &a [x]\nb: *a\n" + text,
            4: "!!python/object/apply:os.system ['true']",
            5: text.replace(":", ": !!int "),
            6: text.replace(":", f": {'9' * 5000}", 1),
        }.get(how, text)

    return st.builds(spoilt, inner.map(as_yaml), st.integers(0, 30))


class Parts:
    """One reader for each kind of writing; each takes a strategy's value."""

    def __init__(self, stage: Path, seed: int) -> None:
        self.here = stage / "written" / str(os.getpid())
        self.here.mkdir(parents=True, exist_ok=True)
        self.rng = random.Random(seed)
        self.run, self.export = stage / "finished", stage / "exported"
        self.tables = {
            name: pd.read_parquet(self.run / f"{name}.parquet")
            for name in ("clips", "queries", "consistency", "failures")
        }
        self.names = [path.name for path in (stage / "music").glob("*.flac")]
        self.stage = stage
        origin = Origin("mfcc", "mfcc", "", 22_050, ("PN",), 0.1, 7, 5)
        write_map(self.here / "m.safetensors", LinearMap(np.zeros(4), np.eye(4), origin))
        self.map = (self.here / "m.safetensors").read_bytes()

    def _text(self, name: str, text: str) -> Path:
        path = self.here / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return path

    def config(self, text: str) -> None:
        path = self._text("c.yaml", text)
        of_run = options.of_plan(name for name in Plan.model_fields if name != "encoders")
        of_scores = options.of_plan(SETTINGS)
        known = {name: field.type for name, field in Settings.__dataclass_fields__.items()}
        acts: list[Callable[[], Any]] = [
            lambda: options.merged({}, path).resolved(),
            lambda: make_performance_plan(
                options.laid_over(
                    options.PerformOptions, {}, path, known=of_scores, rest="plan"
                ).plan
            ),
            lambda: options.laid_over(options.CorpusOptions, {}, path),
            lambda: Settings(
                **options.laid_over(
                    options.TrainOptions, {}, path, known=known, rest="settings"
                ).settings
            ),
            lambda: options.laid_over(options.RunOptions, {}, path, known=of_run, rest="plan"),
        ]
        self.rng.choice(acts)()

    def grid(self, text: str) -> None:
        grid(str(self._text("g.yaml", text)))

    def requirement(self, text: str) -> None:
        parse(text)

    def encoder_options(self, text: str) -> None:
        options.options_of(text)

    def manifest(self, table: list[list[str]]) -> None:
        sep = self.rng.choice([",", ",", ",", ";", "\t"])
        quote = self.rng.random() < 0.3
        lines = [sep.join(f'"{cell}"' if quote else cell for cell in row) for row in table]
        path = self._text("m.csv", self.rng.choice(["\n", "\r\n", "\r"]).join(lines))
        for name in self.names:
            (self.here / name).touch()
        self.rng.choice(
            [
                lambda: collect([path]),
                lambda: collect([path], split="test"),
                lambda: read_labelled(path),
                lambda: read_labelled(path, column="tags", split="train"),
            ]
        )()

    def record(self, value: Any) -> None:
        name, read = self.rng.choice(
            [
                ("run.json", read_run_record),
                ("performance.json", read_performance_record),
                ("export.json", read_export),
            ]
        )
        source = {"run.json": self.run, "export.json": self.export}.get(name)
        data = json.loads((source / name).read_text()) if source else {"plan": {}}
        data.pop("checksum", None)  # else any change is told by it
        for _ in range(self.rng.choice([1, 1, 2, 5])):
            *way, last = self.rng.choice(places(data) or [("plan",)])
            holder = data
            for step in way:
                holder = holder[step]
            try:
                json.dumps(value)
                holder[last] = copy.deepcopy(value)
            except (TypeError, ValueError):
                holder[last] = copy.deepcopy(self.rng.choice(JUNK))
        read(self._text(name, json.dumps(data)))

    def table(self, value: Any) -> None:
        name = self.rng.choice(sorted(self.tables))
        table = self.tables[name].head(40).copy()
        if table.empty:
            return
        column = self.rng.choice(list(table.columns))
        cells = table[column].astype(object).tolist()
        for _ in range(self.rng.choice([1, 2, 40])):
            cells[self.rng.randrange(len(cells))] = value
        series = np.empty(len(cells), object)
        series[:] = cells
        checked(table.assign(**{column: series}), name, f"{name}.parquet")

    def chains(self, value: Any) -> None:
        grid(str(self._text("c.yaml", as_yaml({"points": {"PN": [0]}, "chains": value}))))

    def exported(self, table: list[list[str]]) -> None:
        """Embeddings of an export whose manifest was changed by hand."""
        path = self._text("exported.csv", "\n".join(",".join(row) for row in table))
        np.save(self.here / "v.npy", np.ones((max(len(table) - 1, 1), 3), np.float32))
        resolve(f"embeddings:{self.here / 'v.npy'}", options={"manifest": str(path)})

    def map_file(self, value: Any) -> None:
        """A map's header with anything in it, or a few bytes anywhere."""
        from nearkin.maps.files import read_map

        path = self.here / "m.safetensors"
        data = bytearray(self.map)
        if isinstance(value, bytes):
            at = self.rng.randrange(len(data))
            data[at : at + len(value)] = value
        else:
            length = int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + length])
            about = json.loads(header["__metadata__"]["nearkin-map"])
            about.pop("checksum")
            about[self.rng.choice(list(about))] = value
            header["__metadata__"]["nearkin-map"] = json.dumps(about, default=str)
            text = json.dumps(header).encode()
            data = bytearray(len(text).to_bytes(8, "little") + text + data[8 + length :])
        path.write_bytes(data)
        read_map(path)

    def bytes_of_table(self, data: bytes) -> None:
        name = self.rng.choice(["queries", "clips"])
        path = self.here / f"{name}.parquet"
        whole = bytearray((self.run / f"{name}.parquet").read_bytes())
        at = self.rng.randrange(len(whole))
        whole[at : at + len(data)] = data
        path.write_bytes(whole)
        from nearkin.parquet import read_parquet
        from nearkin.results.schemas import read_checked

        read_checked(lambda: read_parquet(path), name, path)


def strategies(names: list[str]) -> dict[str, tuple[st.SearchStrategy[Any], float]]:
    """Return what each part draws from, and its share of the cases."""
    of_run = keys({**Plan.model_fields, **options.RunOptions.model_fields}, "json", "split")
    cells = st.one_of(
        st.sampled_from([*names, "", "train", "test", "a;b", "voice", "1.5", "nan", "-1", "NA"]),
        st.text(max_size=12),
    )
    heads = st.sampled_from(
        [*("path", "clip_id", "start_s", "split", "group", "tags", "instrument"), "vocals_path", ""]
    )
    manifest = st.integers(1, 6).flatmap(
        lambda width: st.builds(
            lambda head, rows: [head, *rows],
            st.lists(heads, min_size=width, max_size=width),
            st.lists(st.lists(cells, min_size=1, max_size=width + 1), max_size=5),
        )
    )
    export_heads = st.sampled_from(
        ["path", "clip_id", "transformation", "magnitude", "status", "effective_magnitude", ""]
    )
    export_cells = cells | st.sampled_from(["ok", "PN", "OG", "30", "0", "inf", "a.wav", "1e999"])
    exported = st.integers(4, 6).flatmap(
        lambda width: st.builds(
            lambda head, rows: [head, *rows],
            st.permutations(["path", "clip_id", "transformation", "magnitude", "status", ""])
            | st.lists(export_heads, min_size=width, max_size=width),
            st.lists(st.lists(export_cells, min_size=5, max_size=6), max_size=5),
        )
    )
    steps = st.lists(st.sampled_from(["MP", "PN", "TS", "XX", "AIR", ""]) | VALUES, max_size=4)
    levels = st.dictionaries(NUMBERS, st.lists(NUMBERS, max_size=4) | VALUES, max_size=3)
    one_chain = st.fixed_dictionaries({"steps": steps, "levels": levels}) | VALUES
    codes = st.sampled_from(["PN", "EN", "TS", "PS", "MP", "LP", "OG", "XX", "", "1"])
    return {
        "config": (texts(st.dictionaries(of_run, VALUES, max_size=5)), 0.2),
        "grid": (texts(st.dictionaries(codes, st.lists(NUMBERS, max_size=5) | VALUES)), 0.1),
        "requirement": (st.lists(WORDS | st.text(max_size=5), max_size=14).map("".join), 0.15),
        "chains": (st.dictionaries(st.sampled_from(["AIR", "B", "MOS", "x", ""]), one_chain), 0.05),
        "exported": (exported, 0.05),
        "map_file": (VALUES | st.binary(min_size=1, max_size=6), 0.05),
        "encoder_options": (VALUES.map(lambda value: json.dumps(value, default=str)), 0.05),
        "manifest": (manifest, 0.1),
        "record": (VALUES, 0.1),
        "table": (VALUES | st.sampled_from([*JUNK, pd.NaT, pd.Timestamp(0), 1j]), 0.1),
        "bytes_of_table": (st.binary(min_size=1, max_size=8), 0.05),
    }


def draw(
    name: str,
    read: Callable[[Any], None],
    strategy: st.SearchStrategy[Any],
    n: int,
    seed: int,
    rows: Counter[str],
    faults: dict[str, str],
) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=n,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def drawn(value: Any) -> None:
        try:
            read(value)
            rows[f"{name}: taken"] += 1
        except NearkinError as error:
            told = str(error)
            rows[f"{name}: refused"] += 1
            if "\n" in told:
                faults.setdefault(f"{name}: several lines", f"{value!r:.300}: {told[:300]}")
        except Exception as error:  # whatever it is: that is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            rows[f"{name}: WRONG"] += 1
            key = f"{name}: {type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            faults.setdefault(key, f"{value!r:.400}: {str(error)[:200]}")

    drawn()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="these parts [all]")
    given_ = parser.parse_args()
    stage = given_.stage.resolve()
    build(stage, torch=False)
    parts = Parts(stage, given_.seed)
    rows: Counter[str] = Counter()
    faults: dict[str, str] = {}
    for name, (strategy, share) in strategies(parts.names).items():
        if given_.only and name not in given_.only:
            continue
        n = max(1, round(share * given_.cases))
        draw(name, getattr(parts, name), strategy, n, given_.seed, rows, faults)
        path = keep(
            "-".join(["written", *(given_.only or [])]),
            {"seed": given_.seed, "cases": dict(rows), "faults": faults},
        )
        print(name, {key: n for key, n in rows.items() if key.startswith(name)}, flush=True)
    for key, told in faults.items():
        print(key, "|", told)
    print(f"{sum(rows.values())} cases, {len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
