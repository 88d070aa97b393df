"""What the campaigns share: a small stage of music, models and commands, and folders compared.

Everything is made from nearkin's own synthetic music, so that anyone can run a campaign. Commands
are real processes (``python -m nearkin``).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

GRID = "{PN: [0, 30], TS: [0.9, 1.2], MP: [8, 64]}"
FITTED = "{PN: [0, 6, 12, 18, 24, 30], TS: [0.7, 0.8, 0.9, 1.1, 1.2, 1.3], MP: [8, 16, 32, 64]}"
"""Enough points for the additive model of ``nearkin analyze``."""
CHAINS = """points: {MP: [64]}
chains:
  AIR: {steps: [MP, TI, PN], levels: {1: [128, 1, 40], 2: [32, 6, 20]}}
  HALL: {steps: [RV, OP], levels: {1: [0.3, 96], 2: [1.0, 24]}}
"""
PLAIN = """import numpy as np


class Plain:
    sample_rate, embedding_size = 22_050, 256

    def embed(self, audio):
        return np.log1p(np.abs(np.fft.rfft(audio[:, :8_192])))[:, 16:272]
"""
"""An encoder that can be asked questions only."""
SECONDS = 4.0
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

# What may differ between two runs of a command: moments, durations, whose process it was.
MOMENTS = {
    "created",
    "finished",
    "timings_s",
    "seconds",
    "host",
    "pid",
    "minutes",
    "trained_seconds",
}
TIMED = {"checkpoint.pt", "curve.csv"}
"""What a training measures of itself: both hold seconds. The model itself is compared."""
MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.+]+Z?")


@dataclass(frozen=True)
class Command:
    """A command that writes; ``{out}`` in its words is where to."""

    name: str
    words: tuple[str, ...]
    copies: str = ""
    """A folder that is copied to ``{out}`` first, for commands that work on a finished run."""
    prints: bool = False
    """Whether what it prints is its result."""

    def at(self, out: Path) -> list[str]:
        return [
            sys.executable,
            "-m",
            "nearkin",
            *(w.replace("{out}", str(out)) for w in self.words),
        ]

    def begin(self, stage: Path, out: Path) -> None:
        if self.copies and not out.exists():
            shutil.copytree(stage / self.copies, out)


def nearkin(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "nearkin", *map(str, words)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if check and done.returncode:
        raise SystemExit(f"nearkin {' '.join(map(str, words))}: {done.returncode}\n{done.stderr}")
    return done


def build(stage: Path, *, n: int = 5, torch: bool = True) -> list[Command]:
    """Make music, a labelled manifest, a tiny model, a finished run and an export; once."""
    import numpy as np
    import soundfile

    from nearkin.audio.synthetic import clips

    music, grid, others = stage / "music", stage / "grid.yaml", stage / "others"
    if not music.is_dir():
        music.mkdir(parents=True)
        for number, (name, y) in enumerate(clips(n)):
            y = y[: round(SECONDS * 22_050)]
            soundfile.write(music / f"{name}.flac", y, 22_050, subtype="PCM_16")
            if number == 0:  # one that cannot be used: its row must survive as well
                soundfile.write(music / "silence.flac", 0 * y, 22_050, subtype="PCM_16")
        grid.write_text(GRID)
        (stage / "fitted.yaml").write_text(FITTED)
    (stage / "chains.yaml").write_text(CHAINS)
    (stage / "plain.py").write_text(PLAIN)
    if not others.is_dir():
        others.mkdir()
        for name, y in list(clips(n + 3))[n:]:
            soundfile.write(others / f"{name}.flac", y[: round(SECONDS * 22_050)], 22_050)
    manifest = stage / "manifest.csv"
    if not manifest.is_file():
        names = sorted(p.name for p in music.glob("*.flac") if p.name != "silence.flac")
        splits = np.array(["train", "train", "valid", "test", "test"])[np.arange(len(names)) % 5]
        rows = [f"music/{a},{a},{b},{a}" for a, b in zip(names, splits, strict=True)]
        manifest.write_text("\n".join(["path,clip_id,split,group", *rows, ""]))
    common = ("--grid", str(grid), "--workers", "1", "--quiet")
    several = ("--grid", str(grid), "--workers", "2", "--quiet")
    run = ("run", str(music), "--references", "untrained", *several)
    commands = [
        Command("run", (*run, "--out", "{out}")),
        Command("export", ("export", str(music), *common, "--out", "{out}")),
        Command("corpus", ("corpus", "folder", "--root", str(music), "--out", "{out}/m.csv")),
    ]
    chains = [w.replace("grid.yaml", "chains.yaml") for w in run]
    asked = ("run", str(others), "--encoder", f"{stage / 'plain.py'}:Plain", *run[2:])
    commands += [
        Command("chains", (*chains, "--out", "{out}")),
        Command("nes", (*asked, "--attack", "--keep-attacks", "--out", "{out}")),
    ]
    if not (stage / "finished").is_dir():
        words = [w.replace("grid.yaml", "fitted.yaml") for w in run]
        nearkin(*words, "--out", stage / "finished")
    commands.append(Command("report", ("report", "{out}"), copies="finished"))
    asked = ("C_W[mfcc,cosine] > 0.1 @ MP>=16", "mean(C_B_acc[random,dtw,cosine]) >= 0 @ PN, TS")
    gate = ("gate", "{out}", "--json", *(w for one in asked for w in ("--require", one)))
    compare = ("compare", "{out}", "--json", "--resamples", "200")
    commands += [
        Command("gate", gate, copies="finished", prints=True),
        Command("compare", compare, copies="finished", prints=True),
    ]
    commands.append(
        Command(
            "analyze",
            ("analyze", "{out}", "--encoder", "mfcc", "--encoder", "random"),
            copies="finished",
        )
    )
    beside = ("--gallery", str(others), "--out", "{out}")
    commands.append(Command("run-gallery", (*run, *beside)))
    more = ("--out", "{out}/map.safetensors", "--onnx", "{out}/map.onnx")
    repair = ("repair", "{out}", "--encoder", "mfcc", *more)
    commands += [
        Command("trajectories", ("trajectories", "{out}"), copies="finished"),
        Command("repair", repair, copies="finished"),
        Command("gallery", ("gallery", "{out}", str(others), "--workers", "2"), copies="finished"),
    ]
    if importlib.util.find_spec("zimtohrli"):
        commands.append(
            Command("perceive", ("perceive", "{out}", "--workers", "2"), copies="finished")
        )
    if not (stage / "exported").is_dir():
        nearkin("export", music, *common, "--out", stage / "exported")
        rows = sum(1 for _ in (stage / "exported" / "manifest.csv").open()) - 1
        vectors = np.random.default_rng(0).standard_normal((rows, 16)).astype(np.float32)
        np.save(stage / "vectors.npy", vectors)
    score = ("score", "--manifest", str(stage / "exported" / "manifest.csv"))
    more = ("--embeddings", str(stage / "vectors.npy"), "--workers", "1", "--quiet")
    commands.append(Command("score", (*score, *more, "--out", "{out}")))
    if torch:
        train = ("train", "ae", "--manifest", str(manifest), "--features", "mfcc", "--max-steps")
        cpu = ("--device", "cpu", "--threads", "1", "--workers", "1", "--quiet", "--batch", "2")
        cache = ("--cache", "{out}/cache")
        model = stage / "model.safetensors"
        if not model.is_file():
            nearkin(*train, "3", *cpu, "--cache", stage / "cache", "--out", model)
        # a checkpoint is written every 100 steps: they pass one
        commands.append(
            Command("train", (*train, "120", *cpu, *cache, "--out", "{out}/m.safetensors"))
        )
        perform = ("perform", str(model), "--manifest", str(manifest), *common, "--out", "{out}")
        commands.append(Command("perform", perform))
        tune = ("finetune", "vgg-ae", "--audio", str(music), "--grid", str(grid))
        tune = (*tune, "--max-steps", "110", *cpu, *cache, "--out", "{out}/f.safetensors")
        commands.append(Command("finetune", tune))
        attack = ("run", str(others), "--encoder", "vgg-ae", "--references", "untrained")
        attack = (*attack, "--attack", "--keep-attacks", *several, "--out", "{out}")
        commands.append(Command("attack", attack))
        labelled = labelled_tones(stage / "tones")
        study = ("reproduce", "--trials", "1", "--max-steps", "2", "--threads", "1", *several[2:])
        named = [
            word for task in ("at", "ir", "vs") for word in ("--manifest", f"{task}={labelled}")
        ]
        where = ("--clips-from", str(music), "--grid", str(stage / "fitted.yaml"))
        commands.append(Command("study", (*study, *named, *where, "--out", "{out}")))
    return commands


def labelled_tones(folder: Path, n: int = 20) -> Path:
    """Make a manifest of tones and noises, with a voice in each, that every task takes; once."""
    import numpy as np
    import soundfile

    manifest = folder / "manifest.csv"
    if manifest.is_file():
        return manifest
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    t = np.arange(round(3.0 * 22_050)) / 22_050
    lines = ["path,split,group,tags,instrument,vocals_path"]
    for k in range(n):
        split = {3: "valid", 4: "test"}.get(k % 5, "train")
        voice = 0.05 * np.sin(2 * np.pi * (200 + 20 * rng.integers(20)) * t)
        tone = 0.2 * np.sign(np.sin(2 * np.pi * (700 + 30 * rng.integers(20)) * t))
        other, word = (tone, "organ") if k % 2 else (0.1 * rng.standard_normal(len(t)), "drum")
        for name, y in ((f"mix{k}", voice + other), (f"voice{k}", voice)):
            soundfile.write(folder / f"{name}.flac", y, 22_050, subtype="PCM_16")
        lines.append(f"mix{k}.flac,{split},song{k},{word};any,{word},voice{k}.flac")
    manifest.write_text("\n".join([*lines, ""]))
    return manifest


def content(folder: Path) -> dict[str, str]:
    """Return file -> hash, without moments, and without PDFs (whose writer numbers by hash)."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".pdf" or "tensorboard" in name or path.name in TIMED:
            continue
        if name.startswith("cache/"):  # no result: what is damaged is decoded again, at its end
            continue
        data = path.read_bytes()
        if path.suffix == ".json":
            with contextlib.suppress(ValueError):  # a damaged one is compared as it is
                told = timeless(json.loads(data))
                if isinstance(told, dict):
                    told.pop("checksum", None)  # of the moments too
                    if path.name == "gallery.json":  # when its run was begun and finished
                        told.pop("run", None)
                data = json.dumps(told, sort_keys=True).encode()
        elif path.name == ".nearkin":  # in the order of writing, with files that may come
            names = set()
            for line in data.splitlines()[1:]:
                with contextlib.suppress(ValueError):  # a damaged line names nothing
                    told = json.loads(line)
                    names.add(told if isinstance(told, str) else told[0])
            data = "\n".join(sorted(n for n in names if (folder / n).exists())).encode()
        elif path.suffix == ".html":
            data = MOMENT.sub(b"", data)
        found[name] = hashlib.sha256(data).hexdigest()[:16]
    return found


def timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: timeless(v) for key, v in value.items() if key not in MOMENTS}
    if isinstance(value, list):
        return [timeless(v) for v in value]
    return value


def differences(one: Mapping[str, str], two: Mapping[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def is_one_sentence(stderr: str) -> bool:
    """Tell whether a refusal is what a user should see: no traceback, one line by nearkin."""
    told = [line for line in stderr.splitlines() if line.startswith("nearkin: ")]
    return "Traceback" not in stderr and len(told) == 1


def living(session: int) -> list[str]:
    """Return the processes that are left of a session."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--sid", str(session)], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()


def spent(session: int) -> float:
    """Return the processor seconds of a session's processes, and of their ended children."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def keep(name: str, result: Mapping[str, Any]) -> Path:
    """Write a campaign's result under benchmarks/results, with versions and the day."""
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d}-campaign-{name}.json"
    about = {
        "campaign": name,
        "date": f"{now:%Y-%m-%d}",
        "nearkin": metadata.version("nearkin"),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }
    path.write_text(json.dumps({**about, **result}, indent=1, default=str) + "\n", "utf-8")
    return path


def progress(items: Sequence[Any], what: str) -> Iterator[Any]:
    for number, item in enumerate(items, start=1):
        print(f"\r{what} {number}/{len(items)}", end="", flush=True, file=sys.stderr)
        yield item
    print(file=sys.stderr)
