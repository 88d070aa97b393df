"""Odd manifests for a training: read right, or refused in one sentence.

python scripts/campaign/manifests.py STAGE [--task ae] [--only WORD]

Every case is one manifest of the same six recordings, given to ``nearkin train``. What decides is
known before: it says the same as the plain manifest, so that the network has the same weights to
the bit; or it says something else, of which the sentence names what; or it is refused.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from safetensors.numpy import load_file
from stage import keep, labelled_tones, progress
from typer.testing import CliRunner

from nearkin.cli import app

Write = Callable[[Path], None]
SAME, OTHER = "the same network", "another network, told"
N = 6


@dataclass(frozen=True)
class Case:
    """A manifest, and what is right: SAME, OTHER or a word of the refusal.

    For OTHER, `says` is what has to be told.
    """

    name: str
    write: Write
    right: str
    says: str = ""
    suffix: str = ".csv"


def plain(folder: Path) -> pd.DataFrame:
    """Return the table that all others are made of: two train, two valid, two test."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str).iloc[:N]
    table["split"] = ["train", "train", "valid", "valid", "test", "test"]
    table["clip_id"] = [f"clip{k}" for k in range(N)]
    return table.astype(object)  # pandas' own strings hold no name that is not UTF-8


def lines(table: pd.DataFrame, mark: str = ",") -> list[str]:
    rows = [table.columns, *table.fillna("").itertuples(index=False)]
    return [mark.join(map(str, row)) for row in rows]


def text(table: pd.DataFrame, mark: str = ",", end: str = "\n") -> str:
    return end.join([*lines(table, mark), ""])


def as_bytes(data: bytes) -> Write:
    return lambda path: path.write_bytes(data) and None


def as_csv(table: pd.DataFrame) -> Write:
    return as_bytes(text(table).encode("utf-8", "surrogateescape"))


def as_parquet(table: pd.DataFrame, **how: object) -> Write:
    return lambda path: table.to_parquet(path, **how)  # type: ignore[call-overload]


def bare_cases(table: pd.DataFrame) -> list[Case]:
    """Return how the same table may be written, and how it is damaged as text."""
    csv, every = text(table), lines(table)
    numbered = [f'"","{every[0]}', *(f'"{k}",{line}' for k, line in enumerate(every[1:], 1))]
    numbered[0] = '"",' + every[0]
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in every)
    n_cells = every[0].count(",")
    return [
        Case("with a byte order mark", as_bytes(b"\xef\xbb\xbf" + csv.encode()), SAME),
        Case("UTF-16", as_bytes(csv.encode("utf-16")), SAME),
        Case("UTF-16, big-endian", as_bytes(b"\xfe\xff" + csv.encode("utf-16-be")), SAME),
        Case("semicolons", as_bytes(
            text(table.assign(tags="any"), ";").encode()), SAME),
        Case("tabs", as_bytes(text(table, "\t").encode()), SAME),
        Case("lines of Windows", as_bytes(text(table, end="\r\n").encode()), SAME),
        Case("lines of old Macs", as_bytes(text(table, end="\r").encode()), SAME),
        Case("every cell quoted", as_bytes(quoted.encode()), SAME),
        Case("a comma more on every line", as_bytes(
            "\n".join(f"{line}," for line in every).encode()), SAME),
        Case("a comma more on every row", as_bytes(
            "\n".join([every[0], *(f"{line}," for line in every[1:])]).encode()), SAME),
        Case("row names of R", as_bytes("\n".join(numbered).encode()), SAME),
        Case("an index of pandas", as_bytes(table.to_csv().encode()), SAME),
        Case("blank lines", as_bytes(csv.replace("\n", "\n\n").encode()), SAME),
        Case("lines of commas alone", as_bytes(f"{csv}{',' * n_cells}\n".encode()), SAME),
        Case("no line end", as_bytes(csv.rstrip().encode()), SAME),
        Case("the end that DOS wrote", as_bytes(csv.encode() + b"\x1a"), SAME),
        Case("columns in another order", as_csv(table[table.columns[::-1]]), SAME),
        Case("rows in another order", as_csv(table.iloc[::-1]), SAME),
        Case("empty", as_bytes(b""), "empty"),
        Case("a header alone", as_bytes(every[0].encode()), "no clip"),
        Case("no header", as_bytes("\n".join(every[1:]).encode()), "path"),
        Case("a cell too many", as_bytes(f"{csv}a.flac,train,x,x,x,x,x,x,x\n".encode()), "line 8"),
        Case("a cell too few", as_bytes(csv.replace(f",clip{N - 1}", "").encode()), SAME),
        Case("a quotation mark open", as_bytes(csv.replace(",clip1", ',"clip1').encode()), "line"),
        Case("a NUL", as_bytes(csv.replace("song1", "so\0ng1").encode()), ""),
        Case("comments", as_bytes(f"# six tones\n{csv}".encode()), "line 2"),
        Case("compressed", as_bytes(gzip.compress(csv.encode())), ""),
        Case("JSON", as_bytes(table.to_json(orient="records").encode()), ""),
        Case("a column twice", as_bytes(
            "\n".join(f"{line},{extra}" for line, extra in zip(
                every, ["split", *["train"] * N], strict=True)).encode()), "two columns 'split'"),
    ]  # fmt: skip


def parquet_cases(table: pd.DataFrame) -> list[Case]:
    """Return the same table as Parquet, with types that other programs write."""
    days = [datetime.date(2020, 1, 1 + k) for k in range(N)]
    kinds: dict[str, tuple[pd.DataFrame, str]] = {
        "plain": (table, SAME),
        "categories": (table.astype("category"), SAME),
        "the path as index": (table.set_index("path"), SAME),
        "path and split as index": (table.set_index(["path", "split"]), SAME),
        "bytes": (table.assign(path=[name.encode() for name in table["path"]]), SAME),
        "numbers as names": (table.assign(clip_id=range(N)), SAME),
        "dates as groups": (table.assign(group=days), SAME),
        "a column of truth": (table.assign(good=True), SAME),
        "a column of lists": (table.assign(more=[[1, 2]] * N), SAME),
        "paths as lists": (table.assign(path=[[name] for name in table["path"]]), "path"),
        "splits as numbers": (table.assign(split=[0, 0, 1, 1, 2, 2]), "split"),
        "a path that is null": (table.assign(path=[None, *table["path"][1:]]), "row 1"),
        "a split that is null": (table.assign(split=[*table["split"][:-1], None]), "split=''"),
        "starts as floats": (table.assign(start_s=0.0), SAME),
        "starts with gaps": (table.assign(start_s=[np.nan, 0, np.nan, 0, 0, 0]), SAME),
        "starts as time": (table.assign(start_s=pd.to_timedelta(0, unit="s")), ""),
    }
    cases = [Case(f"Parquet: {name}", as_parquet(one), right, suffix=".parquet")
             for name, (one, right) in kinds.items()]  # fmt: skip
    return [*cases, Case("Parquet: a CSV by that name", as_csv(table), "", suffix=".parquet")]


def told_cases(table: pd.DataFrame, folder: Path) -> list[Case]:
    """Return tables that say something else, or something wrong."""

    def put(name: str, row: int, cell: str) -> pd.DataFrame:
        changed = table.copy()
        if name not in changed:
            changed[name] = np.full(N, "", dtype=object)
        changed.loc[row, name] = cell
        return changed

    first = table["path"].iloc[0]
    once = pd.concat([table, table.iloc[:1]])
    here = [str(folder / name) for name in table["path"]]
    found: dict[str, tuple[pd.DataFrame, str, str]] = {
        "whole paths": (table.assign(path=here), SAME, ""),
        "paths with a dot": (table.assign(path="./" + table["path"]), SAME, ""),
        "paths over another folder": (table.assign(path="../tones/" + table["path"]), SAME, ""),
        "backslashes": (table.assign(path="..\\tones\\" + table["path"]), SAME, ""),
        "a column more": (table.assign(notes="a, b".replace(",", ";")), SAME, ""),
        "no labels": (table[["path", "split", "clip_id"]], SAME, ""),
        "labels empty": (table.assign(tags="", instrument=""), SAME, ""),
        "one instrument": (table.assign(instrument="organ"), SAME, ""),
        "no groups": (table.drop(columns="group"), SAME, ""),
        "the group 007": (table.assign(group=[f"00{k}" for k in range(N)]), SAME, ""),
        "starts NA": (table.assign(start_s="NA"), SAME, ""),
        "starts 0": (table.assign(start_s="0"), SAME, ""),
        "no test": (table.iloc[:4], SAME, ""),
        "no split column": (table.drop(columns="split"), "split", ""),
        "no split filled": (table.assign(split=""), "split", ""),
        "no train": (table.iloc[2:], "split 'train'", ""),
        "no valid": (table[table["split"] != "valid"], "split 'valid'", ""),
        "splits in capitals": (table.assign(split=table["split"].str.title()), "Train", ""),
        "a split of another name": (put("split", 2, "validation"), "validation", ""),
        "splits with a space": (table.assign(split=" " + table["split"]), "split", ""),
        "Path with a capital": (table.rename(columns={"path": "Path"}), "no column 'path'", ""),
        "a row without a path": (put("path", 1, ""), "line 3", ""),
        "a file that is not there": (put("path", 1, "gone.flac"), "gone.flac", ""),
        "a folder for a file": (put("path", 1, "."), "line 3", ""),
        "a URL": (put("path", 1, "https://example.org/a.flac"), "line 3", ""),
        "a row twice": (once, "clip0", ""),
        "a file in train and test": (put("path", N - 1, first), "train and test", ""),
        "a group in train and valid": (put("group", 2, table["group"].iloc[0]), "train and", ""),
        "one file under two names": (
            pd.concat([table, table.iloc[:1].assign(clip_id="again")]), OTHER, ""),
        "a start below 0": (put("start_s", 1, "-1"), "start_s='-1'", ""),
        "a start that is infinite": (put("start_s", 1, "inf"), "start_s='inf'", ""),
        "a start in words": (put("start_s", 1, "0:01"), "start_s='0:01'", ""),
        "a start with a comma": (put("start_s", 1, '"0,5"'), "start_s='0,5'", ""),
        "a start beyond the end": (put("start_s", 1, "60"), OTHER, "train: 1 of 2 "),
        "a file that is text": (put("path", 1, "text.flac"), OTHER, "train: 1 of 2 "),
        "a file that is empty": (put("path", 1, "none.flac"), OTHER, "train: 1 of 2 "),
        "a file too short": (put("path", 1, "short.flac"), OTHER, "train: 1 of 2 "),
        "both train files text": (
            table.assign(path=["text.flac", "none.flac", *table["path"][2:]]), "train", ""),
        "bytes that are no UTF-8 in a name": (put("clip_id", 1, "clip1\udcff"), SAME, ""),
        "the name of a file no UTF-8": (put("path", 1, "mix\udcff.flac"), SAME, ""),
        "a line break in a name": (put("clip_id", 1, '"clip1\n"'), SAME, ""),
        "vocals that are not there": (put("vocals_path", 1, "gone.flac"), "gone.flac", ""),
    }  # fmt: skip
    return [Case(name, as_csv(one), right, says) for name, (one, right, says) in found.items()]


def train(task: str, manifest: Path, out: Path, cache: Path) -> tuple[str, int, str]:
    """Train two steps in this process; return what went wrong unforeseen, the code, the words."""
    shutil.rmtree(out.parent, ignore_errors=True)
    cpu = ("--device", "cpu", "--threads", "1", "--workers", "1", "--batch", "2")
    words = ["train", task, "--manifest", str(manifest), "--features", "mfcc", "--max-steps", "2"]
    done = CliRunner().invoke(app, [*words, *cpu, "--cache", str(cache), "--out", str(out)])
    wrong = done.exception
    unforeseen = "" if wrong is None or isinstance(wrong, SystemExit) else repr(wrong)
    return unforeseen, done.exit_code, f"{done.stdout}\n{done.stderr}"


def judged(case: Case, unforeseen: str, code: int, said: str, same: bool | None) -> str:
    """Say whether what came of a case is right: "" where it is."""
    if unforeseen or code in (1, 70):
        return f"TRACE: {code} {unforeseen or said[-300:]}"
    if code == 2:
        if case.right in (SAME, OTHER):
            return f"REFUSED: {said[-300:]}"
        last = said.strip().splitlines()[-1]  # what was left out may be told before
        if "Traceback" in said or not last.startswith("nearkin: ") or case.right not in last:
            return f"UNCLEAR: {said[-300:]}"
        return ""
    if case.right == SAME:
        return "" if same else f"OTHER WEIGHTS: {code}: {said[-300:]}"
    if case.right == OTHER:
        return "" if same is False and case.says in said else f"NOT TOLD: {code}: {said[-400:]}"
    return f"TAKEN: {code}: {said[-300:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--task", default="ae")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    stage = given.stage.resolve()
    folder = labelled_tones(stage / "tones").parent
    (folder / "text.flac").write_text("no sound")
    (folder / "none.flac").write_bytes(b"")
    soundfile.write(folder / "short.flac", np.zeros(2_000), 22_050)
    table = plain(folder)
    shutil.copy(folder / table["path"].iloc[1], str(folder / "mix\udcff.flac"))
    out, cache = stage / "odd" / "m.safetensors", stage / "odd-cache"
    first = folder / "odd.csv"
    as_csv(table)(first)
    _, code, said = train(given.task, first, out, cache)
    if code:
        raise SystemExit(f"the plain manifest: {code}: {said}")
    want = load_file(out)
    rows, faults = {}, []
    cases = [*bare_cases(table), *parquet_cases(table), *told_cases(table, folder)]
    cases = [case for case in cases if given.only in case.name]
    for case in progress(cases, given.task):
        manifest = folder / f"odd{case.suffix}"
        case.write(manifest)
        unforeseen, code, said = train(given.task, manifest, out, cache)
        same = None
        if code in (0, 3) and out.is_file():
            found = load_file(out)
            same = all(np.array_equal(want[name], found[name]) for name in want)
        fault = judged(case, unforeseen, code, said, same)
        last = said.strip().splitlines()[-1].replace(f"{folder}/", "") if said.strip() else ""
        rows[case.name] = {"exit": code, "right": not fault, **({"says": last} if code else {})}
        if fault:
            faults.append(f"{case.name}: {fault}")
            print(f"\n{faults[-1]}", flush=True)
    result = {"task": given.task, "cases": len(rows), "faults": faults, "rows": rows}
    path = keep(f"manifests-{given.task}", {**result, "cpu_s": round(time.process_time())})
    print(f"{len(rows)} cases, {len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
