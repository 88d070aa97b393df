"""The one tree of errors nearkin raises on purpose.

Every message states the value seen, what was demanded and the remedy, in one sentence:
``sr=0: must be > 0; pass --sample-rate``.
"""

from __future__ import annotations

import reprlib
import unicodedata


class NearkinError(Exception):
    """Root of every error nearkin raises on purpose; its text is fit to be shown to a user."""


class InputError(NearkinError, ValueError):
    """A value, file or setting that cannot be used; the command line exits with 2."""


class ExtraError(NearkinError, ImportError):
    """An optional package is missing; the message names the pip command that installs it."""


class RunError(NearkinError):
    """A run could not be continued or finished (disk full, folder taken, settings changed)."""


def shown(value: object) -> str:
    """Write a value from outside as a sentence names it: its repr, cut where it is long.

    Nothing is too large to be named, not a list of lists of lists, nor an integer of more digits
    than Python writes.

    Examples
    --------
    >>> shown("one"), shown([1, 2]), shown(16**5000)
    ("'one'", '[1, 2]', 'a very large int')
    """
    try:
        text = printable(_SHORT.repr(value))
    except (ValueError, RecursionError):
        return f"a very large {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 3, 60, 60, 60


def printable(text: object) -> str:
    r"""Write a text from outside so that any terminal, table, figure or page can show it.

    Parameters
    ----------
    text : object
        A path, a name, a status; anything with a text.

    Returns
    -------
    str
        The text with an escape for every character that has no look of its own: controls, line and
        paragraph separators, marks that join or turn the writing, bytes that are no UTF-8, and
        code points that XML and Unicode call no characters.

    Examples
    --------
    >>> printable("a\nb"), printable("\u202egnp.exe"), printable("caf\udce9")
    ('a\\nb', '\\u202egnp.exe', 'caf\\xe9')
    """
    plain = str(text)
    return plain if plain.isprintable() else "".join(map(_shown, plain))


def _shown(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file's name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) in _UNSEEN or _is_no_character(code):
        return character.encode("unicode_escape").decode("ascii")
    return character


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _is_no_character(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
