"""Settings that people write, in YAML or JSON: read strictly, so that none is lost or misread.

A key that stands twice, an alias, a number beyond 64 bits or one that YAML reads otherwise (010), a
text longer than `LONGEST` or with control characters, nesting deeper than a reader's stack: each is
refused in one sentence. Nothing in such a text runs.
"""

from __future__ import annotations

import errno
import json
import stat
import unicodedata
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, printable

LONGEST = 4096
LARGEST_FILE = 1_000_000
_LARGEST = 2**64
_FAULTS = (LookupError, TypeError, AttributeError, ArithmeticError)
"""What PyYAML raises where a tag such as ``!!int`` or ``!!timestamp`` marks something else."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    InputError
        Saying what is wrong with it, and where.
    """
    import yaml

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "is no regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(
            f"{printable(path)}: cannot be read ({error.strerror}); check the path"
        ) from error
    if len(content) > LARGEST_FILE:
        raise InputError(f"{printable(path)}: is larger than 1 MB; name a file of settings")
    try:
        return yaml.load(content, _loader())
    except RecursionError:
        raise InputError(f"{printable(path)}: is nested too deeply; write flat settings") from None
    except _RefusedError as error:
        raise InputError(f"{printable(path)} {error}") from None
    except (yaml.YAMLError, ValueError, *_FAULTS) as error:
        reason = " ".join(printable(" ".join(str(error).split())).split())
        raise InputError(f"{printable(path)}: is not YAML ({_cut(reason)})") from error


def parse_json(text: str) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        If it is none, in the reader's own words.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check(value)
    return value


def _loader() -> type[Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain values only, each key once, no aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise _RefusedError(mark, "aliases are not read; write the value out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in getattr(node, "value", ()):
                if getattr(key, "tag", "").endswith(":merge"):
                    told = "merge keys (<<) are not read; write them out"
                    raise _RefusedError(key.start_mark, told)
                name = self.construct_object(key, deep=True)  # type: ignore[no-untyped-call]
                if isinstance(name, (str, int, float, bool, type(None))):
                    if name in seen:
                        told = f"key {_cut(repr(name))} is there twice; keep one"
                        raise _RefusedError(key.start_mark, told)
                    seen.add(name)
            return super().construct_mapping(node, deep=deep)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            value = super().construct_object(node, deep=deep)  # type: ignore[no-untyped-call]
            try:
                _check(value, deep=False)
            except ValueError as error:
                raise _RefusedError(node.start_mark, str(error)) from error
            if isinstance(value, int | float) and _is_misread(str(node.value), value):
                told = f"{node.value} is read as {value}; write that, or '{node.value}' for a text"
                raise _RefusedError(node.start_mark, told)
            return value

    return Loader


class _RefusedError(Exception):
    """What YAML allows and settings do not."""

    def __init__(self, mark: Any, told: str) -> None:
        super().__init__(f"line {mark.line + 1}: {_cut(told)}")


def _is_misread(text: str, value: float) -> bool:
    """Tell whether YAML takes a number for octal or for minutes: 010 is 8 to it, 1:30 is 90."""
    plain = text.replace("_", "")
    return ":" in text or (plain.lstrip("+-").isdecimal() and int(plain) != value)


def _check(value: Any, *, deep: bool = True) -> None:
    """Refuse numbers and texts that nothing here can take."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise ValueError("a number has more than 64 bits")
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise ValueError(f"a text has {len(value):,} characters, more than {LONGEST:,}")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            raise ValueError(f"{_cut(repr(value))} has control characters")
    if deep and isinstance(value, dict):
        for name, inner in value.items():
            _check(name)
            _check(inner)
    if deep and isinstance(value, list):
        for inner in value:
            _check(inner)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {_cut(repr(twice))} is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
