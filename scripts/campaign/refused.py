"""Give what cannot be had to the stages beyond the paper: each is one clear sentence.

    python scripts/campaign/refused.py STAGE

No torch, an encoder without a gradient, maps for another encoder or version, signals that no score
of quality can be given for, chains that change the length or are written wrongly. A case is right
if its sentence comes, with the status that is due, and no trace. STAGE is a folder for what is
needed and made; it is used again. The result is kept under benchmarks/results.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stage import PLAIN, keep

WITHOUT_TORCH = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torch':
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Hidden())
from nearkin.cli import main
main()
"""


@dataclass(frozen=True)
class Case:
    name: str
    words: tuple[str, ...]
    says: str
    """A regular expression: the sentence."""
    status: int = 2
    torch: bool = True
    code: str = ""
    """Python in place of a command."""


def build(stage: Path) -> list[Case]:
    """Make four pieces, encoders, maps and chains; return the cases."""
    import soundfile

    from nearkin.audio.synthetic import clips

    shutil.rmtree(stage, ignore_errors=True)
    music = stage / "music"
    music.mkdir(parents=True)
    for name, y in clips(4):
        soundfile.write(music / f"{name}.flac", y[: 4 * 22_050], 22_050, subtype="PCM_16")
    for name in ("plain", "newer"):
        (stage / f"{name}.py").write_text(PLAIN)
    grid = stage / "one.yaml"
    grid.write_text("MP: [128]\n")
    chains = {
        "longer": "{steps: [SP, SP], levels: {1: [1.9, 1.9]}}",
        "fewer": "{steps: [MP, PN], levels: {1: [128]}}",
        "unknown": "{steps: [MP, QQ], levels: {1: [128, 1]}}",
        "empty": "{steps: [], levels: {1: []}}",
    }
    for name, text in chains.items():
        (stage / f"{name}.yaml").write_text(f"chains:\n  FAST: {text}\n")
    run = ("run", str(music), "--references", "untrained", "--no-report", "--workers", "1")
    own = (*run, "--encoder", f"{stage / 'newer.py'}:Plain", "--quiet")
    command(*own, "--grid", str(grid), "--out", str(stage / "learned"))
    fit = ("repair", str(stage / "learned"), "--encoder", "newer:Plain", "--quiet")
    command(*fit, "--out", str(stage / "map.safetensors"))
    (stage / "newer.py").write_text(PLAIN.replace("log1p", "sqrt"))
    mine = f"map:{stage / 'map.safetensors'}+"
    attack = ("--grid", str(grid), "--clips", "2", "--attack")
    tune = ("finetune", "vgg-ae", "--audio", str(music), "--grid", str(grid))
    listen = (
        "import numpy as np\nfrom nearkin.audio.perception import heard\n"
        "sr = 22_050\ny = np.random.default_rng(0).standard_normal(sr).astype(np.float32)\n"
    )
    return [
        Case(
            "no torch: an attack",
            (*run, *attack, "--encoder", "mfcc", "--out", str(stage / "a")),
            r"encoder mfcc: attacked by questions alone.*torch is not installed.*pip install",
            status=0,
            torch=False,
        ),
        Case(
            "no torch: fine-tuning",
            (*tune, "--out", str(stage / "f.safetensors")),
            "torch is not installed.*pip install",
            torch=False,
        ),
        Case(
            "an encoder without a gradient",
            (*run, *attack, "--encoder", f"{stage / 'plain.py'}:Plain", "--out", str(stage / "b")),
            "plain:Plain: attacked by questions alone, which finds less",
            status=0,
        ),
        Case("a map of another encoder", ("check", f"{mine}mfcc"), "the map was learned for"),
        Case(
            "a map of another file",
            ("check", f"{mine}{stage / 'plain.py'}:Plain"),
            "^fit to be tested",  # the same bytes under another name
            status=0,
        ),
        Case(
            "a map of another version",
            ("check", f"{mine}{stage / 'newer.py'}:Plain"),
            "the map was learned for .*nearkin repair",
        ),
        Case("no such map", ("check", f"map:{stage / 'no.safetensors'}+mfcc"), "cannot be read"),
        Case("a map that is none", ("check", f"map:{grid}+mfcc"), "one.yaml"),
        Case("two lengths", (), "must be equally long", 1, code=f"{listen}heard(y, y[1:], sr=sr)"),
        Case("under 0.1 s", (), "at least 0.1 s", 1, code=f"{listen}heard(y[:99], y[:99], sr=sr)"),
        Case(
            "clips of 0.09 s",
            (*run, "--encoder", "mfcc", "--clip-seconds", "0.09", "--out", str(stage / "e")),
            "clip_seconds=0.09: .* greater than or equal to 0.5",
        ),
        Case(
            "a chain that changes the length",
            (*run, "--grid", str(stage / "longer.yaml"), "--encoder", "mfcc", "--clips", "2",
             "--out", str(stage / "c")),
            "2 of 2 queries could not be made .*must fill 2 s",
            status=0,
        ),
        *(
            Case(
                f"a chain with {what}",
                (*run, "--grid", str(stage / f"{name}.yaml"), "--out", str(stage / "d")),
                f"{name}.yaml: chain 'FAST': (?!.*no points)",
            )
            for name, what in (
                ("fewer", "fewer magnitudes than steps"),
                ("unknown", "an unknown step"),
                ("empty", "no steps"),
            )
        ),
    ]  # fmt: skip


def command(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "nearkin", *words], check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"nearkin {words[0]}: {done.returncode}")


def told(case: Case, stage: Path) -> dict[str, object]:
    """Give a case; return its status, its sentence, and whether both are as they should be."""
    code = case.code or (WITHOUT_TORCH if not case.torch else "")
    start = ["-c", code, *case.words] if code else ["-m", "nearkin", *case.words]
    done = subprocess.run(
        [sys.executable, *start], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    text = f"{done.stdout}\n{done.stderr}"
    text = text.replace(f"{stage}/", "")
    lines = [line.strip() for line in text.splitlines() if re.search(case.says, line)]
    trace = "Traceback" in text and not case.code
    right = done.returncode == case.status and not trace and bool(lines)
    return {"status": done.returncode, "says": lines[-1] if lines else text[-600:], "right": right}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    stage = parser.parse_args().stage.resolve()
    rows = {}
    for case in build(stage):
        rows[case.name] = told(case, stage)
        print(case.name, rows[case.name], flush=True)
    path = keep("refused", {"cases": rows})
    print(f"{sum(not row['right'] for row in rows.values())} of {len(rows)} wrong: {path}")


if __name__ == "__main__":
    main()
