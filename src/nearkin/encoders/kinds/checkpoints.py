"""Where a Hugging Face model lies, a folder or the local cache, and what is missing there.

transformers tells of a missing folder as of a name that its makers' server does not know; these
sentences tell what was looked for here.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path

from nearkin.errors import InputError, printable, shown
from nearkin.optional import need

_CONFIG = "config.json"
_EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
"""A model's name: its own, or its owner's and its own."""
_LONGEST = 96
_SERVER = re.compile(r"https?://huggingface\.co/([^/]+/[^/]+).*")
_PATH = re.compile(r"[./~\\].*|.*[/\\]|[A-Za-z]:.*|.*/.*/.*", re.DOTALL)
"""What is written as a path is none."""


def require(spec: str, place: str) -> None:
    """Refuse what can be neither a folder here nor a name in the cache.

    Raises
    ------
    InputError
        Saying what it is instead; also of a folder whose weights are pickled only.
    """
    is_folder = os.path.isdir(place)  # noqa: PTH112  (it takes any name)
    reason = _pickled_only(Path(place)) if is_folder else _no_place(place)
    if reason:
        raise InputError(f"encoder '{printable(spec)}': {reason}")


def _no_place(place: str) -> str:
    server = _SERVER.fullmatch(place)
    if not place.strip():
        return "names no model: must be hf:FOLDER, or hf:NAME of one in the cache"
    if server:
        return f"is an address, and nothing is downloaded: write hf:{printable(server[1])}"
    if os.path.isfile(place):  # noqa: PTH113
        return f"is a file: must be a model's folder; write hf:{printable(Path(place).parent)}"
    if place.startswith("~"):
        return (
            "~ stands for your home only at the beginning of a word; write the whole path "
            f"(hf:{printable(os.path.expanduser(place))})"  # noqa: PTH111
        )
    if _PATH.fullmatch(place):
        return f"there is no folder {shown(place)}; check the path"
    if len(place) > _LONGEST or not _NAME.fullmatch(place):
        return (
            f"there is no folder {shown(place)}, and no model has such a name; check the spelling "
            "(OWNER/NAME)"
        )
    return ""


def missing(place: str) -> str:
    """Return what a model that could not be loaded lacks, and the remedy; "" if nothing is seen."""
    folder = _folder(place)
    if folder is None:
        return _not_cached(place)
    again = "name the folder that model.save_pretrained wrote"
    if not (folder / _CONFIG).is_file():
        return f"the folder holds no {_CONFIG}; {again}"
    extractors = [name for name in _EXTRACTORS if (folder / name).is_file()]
    for name in (_CONFIG, *extractors):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            return f"its {name} is no JSON ({error}); save or fetch it anew"
        if not isinstance(found, dict):
            return (
                f"its {name} is a {type(found).__name__}: must be a mapping; save or fetch it anew"
            )
        if name == _CONFIG and not isinstance(found.get("model_type"), str):
            return f"its {name} names no model_type; {again}"
    if not extractors:
        return (
            f"there is no {_EXTRACTORS[0]} beside its {_CONFIG}, which says how it hears; save its "
            "feature extractor there with extractor.save_pretrained(FOLDER)"
        )
    if not list(folder.glob("*.safetensors")):
        return _pickled_only(folder) or (
            "there are no weights (*.safetensors) beside its config.json; save or fetch them anew"
        )
    return ""


def found_at(place: str) -> Path:
    """Return where a model's files are: the folder named, or its place in the cache."""
    return _folder(place) or Path(place)


def _folder(place: str) -> Path | None:
    if os.path.isdir(place):  # noqa: PTH112
        return Path(place)
    hub = need("transformers.utils.hub", extra="hf")
    try:
        found = hub.cached_file(place, _CONFIG, local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(found).parent if found else None


def _not_cached(place: str) -> str:
    cache = Path(need("huggingface_hub.constants", extra="hf").HF_HUB_CACHE)
    there = [
        path.name.removeprefix("models--").replace("--", "/") for path in cache.glob("models--*")
    ]
    near = difflib.get_close_matches(place, there, n=1)
    meant = f" (there is {printable(near[0])})" if near else ""
    return (
        f"there is no folder {shown(place)} here and no such model in the cache "
        f"{printable(cache)}{meant}; check the spelling, or fetch it first (hf download {place})"
    )


def _pickled_only(folder: Path) -> str:
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if not pickled or list(folder.glob("*.safetensors")):
        return ""
    return (
        f"its weights are pickled ({printable(pickled[0])}), and opening that can run any code: "
        "where you trust it, load it and save it anew with model.save_pretrained(FOLDER), which "
        "writes safetensors"
    )
