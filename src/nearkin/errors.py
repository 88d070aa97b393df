"""The one tree of errors nearkin raises on purpose.

Every message states the value seen, what was demanded and the remedy, in one sentence:
``sr=0: must be > 0; pass --sample-rate``.
"""

from __future__ import annotations


class NearkinError(Exception):
    """Root of every error nearkin raises on purpose; its text is fit to be shown to a user."""


class InputError(NearkinError, ValueError):
    """A value, file or setting that cannot be used; the command line exits with 2."""


class ExtraError(NearkinError, ImportError):
    """An optional package is missing; the message names the pip command that installs it."""


class RunError(NearkinError):
    """A run could not be continued or finished (disk full, folder taken, settings changed)."""
