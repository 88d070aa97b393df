"""Where a training is kept: its folder, and the two files beside it.

``OUT.training/`` is nearkin's own by its marker. ``beside.json`` in it names the model and its
encoder as ONNX, which lie beside the folder, each with the SHA-256 it was written with: nothing
else at these two places is replaced or deleted.
"""

from __future__ import annotations

import glob
import json
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nearkin.errors import InputError, RunError, printable
from nearkin.files import sha256_of
from nearkin.lease import leased
from nearkin.ownership import TEMPORARY, OwnFolder
from nearkin.progress import Tell, unsaid

_LOG = re.compile(r"events\.out\.tfevents\..+|hparams\.yaml")
_BESIDE = "beside.json"
_FILES = ("settings.json", "checkpoint.pt", "curve.csv", _BESIDE)


class TrainingPlace:
    """The place of one training.

    Parameters
    ----------
    target : Path
        The model, ``FILE.safetensors``.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.onnx = target.with_suffix(".onnx")
        self.folder = target.with_name(f"{target.name}.training")
        self.owned = OwnFolder(self.folder, "training", (*_FILES, "tensorboard"))

    def decide(self, inputs: Iterable[Path] = ()) -> None:
        """Refuse a place that may not be written to; change nothing.

        Raises
        ------
        InputError, RunError
            If something is there that is no training of ours, or an input lies there.
        """
        if self.target.suffix != ".safetensors":
            raise InputError(f"{printable(self.target)}: must end in .safetensors; name it so")
        if (self.folder / "settings.json").is_file() and not self.owned.is_own():
            raise RunError(
                f"{printable(self.folder)}: holds no training that this version of nearkin began; "
                "move it away, with the model beside it, or name another --out"
            )
        known = self._beside()
        for path in (self.target, self.onnx):
            if (path.exists() or path.is_symlink()) and path.name not in known:
                raise RunError(
                    f"{printable(path)}: is there already, and is of no training here; move it or "
                    "name another --out"
                )
        self.owned.decide(inputs)

    @contextmanager
    def held(
        self, inputs: Iterable[Path] = (), *, anew: bool = False, tell: Tell = unsaid
    ) -> Iterator[None]:
        """Make the place ready, and keep others out of it; with `anew`, delete what is there.

        What is there goes, too, and that is told, where its settings are gone: nothing says of
        which training it is. A finished model stays.

        Raises
        ------
        InputError, RunError
            As `decide` does, if another command is at work there, and if the settings of a
            finished model are gone.
        """
        self.decide(inputs)
        self.owned.claim(inputs)
        with leased(self.folder):
            begun = (self.folder / "checkpoint.pt").is_file()
            lost = begun and not (self.folder / "settings.json").is_file()
            if lost and not anew:
                if self.is_whole(self.target):
                    raise RunError(
                        f"{printable(self.folder)}: has no settings.json, which says what training "
                        f"{printable(self.target.name)} is of; move that model away, name another "
                        "--out or pass --force"
                    )
                tell(
                    f"{printable(self.folder)}: has no settings.json, which says what training it "
                    "is of; it is removed and begun anew"
                )
            if anew or lost:
                self._clear()
            log = self.folder / "tensorboard"
            log.mkdir(exist_ok=True)
            self.owned.expect([*(self.folder / name for name in _FILES), log])
            self._note(self._beside() or {self.target.name: "", self.onnx.name: ""})
            self._sweep()
            yield

    def wrote(self, path: Path) -> None:
        """Note that the model, or its encoder as ONNX, was written."""
        self._note({**self._beside(), path.name: sha256_of(path)})

    def is_whole(self, path: Path) -> bool:
        """Tell whether the model, or its encoder as ONNX, is there as it was written."""
        known = self._beside().get(path.name, "")
        return known != "" and known == sha256_of(path)

    def steps(self) -> int:
        """Return how many steps a training has taken and kept; 0 if it has not begun."""
        try:
            last = (self.folder / "curve.csv").read_text("utf-8").splitlines()[-1]
            return int(last.split(",")[0])
        except (OSError, ValueError, IndexError):  # not there, the heading alone, or damaged
            return 0

    def _beside(self) -> dict[str, str]:
        if not self.owned.owns(self.folder / _BESIDE):
            return {}
        try:
            found = json.loads((self.folder / _BESIDE).read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or set(found) != {self.target.name, self.onnx.name}:
            # damaged, and yet ours: the marker names it
            return {self.target.name: "", self.onnx.name: ""}
        return {name: str(sha256) for name, sha256 in found.items()}

    def _note(self, beside: dict[str, str]) -> None:
        text = json.dumps(beside, indent=1) + "\n"
        self.owned.write(self.folder / _BESIDE, lambda file: file.write(text.encode()))

    def _sweep(self) -> None:
        """Delete what killed commands left half-written beside the folder."""
        for path in (self.target, self.onnx):
            for old in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
                if TEMPORARY.fullmatch(old.name) and _is_regular(old):
                    old.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Delete a training, its checkpoint first: a half-deleted one is none."""
        log = self.folder / "tensorboard"
        logs = [path for path in log.glob("*") if _LOG.fullmatch(path.name) and _is_regular(path)]
        if self.owned.owns(log):
            self.owned.own(*logs)
        mine = [self.folder / name for name in ("checkpoint.pt", "settings.json", "curve.csv")]
        self.owned.delete([*mine, *logs])
        for path in (self.target, self.onnx):
            if path.name in self._beside() and _is_regular(path):
                path.unlink(missing_ok=True)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
