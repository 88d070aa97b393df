"""The one door for optional packages: import them or say which pip command brings them."""

from __future__ import annotations

import importlib
from types import ModuleType

from nearkin.errors import ExtraError


def need(module: str, *, extra: str) -> ModuleType:
    """Import an optional module.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of nearkin that brings it.

    Returns
    -------
    types.ModuleType
        The imported module.

    Raises
    ------
    ExtraError
        If the module is not installed; the message names the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise ExtraError(
            f"{module} is not installed: it is optional; pip install 'nearkin[{extra}]' (in a "
            f"clone: pip install '.[{extra}]')"
        ) from error
