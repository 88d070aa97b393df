"""Tables of strings: imported on use, near misses suggested."""

from __future__ import annotations

import math

import pytest

from nearkin.errors import ExtraError, InputError, NearkinError, RunError
from nearkin.optional import need
from nearkin.registry import lookup, suggest


def test_lookup_imports_on_use() -> None:
    table = {"pi": "math:pi", "broken": "no.such.module:thing"}
    assert lookup(table, "pi", kind="number") == math.pi
    with pytest.raises(InputError, match="unknown number 'pie': did you mean 'pi'"):
        lookup(table, "pie", kind="number")


def test_suggestions_ignore_case_and_list_what_is_known() -> None:
    assert suggest("mfcc", ["MFCC"]) == "did you mean 'MFCC'?"
    assert suggest("xyz", ["b", "a"]) == "known: a, b"


def test_optional_packages_name_their_pip_command() -> None:
    assert need("math", extra="torch") is math
    with pytest.raises(ExtraError, match=r"pip install 'nearkin\[torch\]'"):
        need("surely_not_installed", extra="torch")


def test_errors_are_one_tree_and_builtin_kinds() -> None:
    assert issubclass(InputError, NearkinError)
    assert issubclass(InputError, ValueError)
    assert issubclass(ExtraError, ImportError)
    assert issubclass(RunError, NearkinError)
