"""nearkin tells whether a music embedding can be trusted.

Changes clips of music from imperceptibly to gravely and asks whether the changed clip still lies
nearest its own original in an encoder's latent space. Everything is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Result": "nearkin.api:Result",
    "evaluate": "nearkin.api:evaluate",
    "load": "nearkin.api:load",
    "analyze": "nearkin.ask:analyze",
    "check": "nearkin.ask:check",
    "compare": "nearkin.ask:compare",
    "gate": "nearkin.ask:gate",
    "within_space": "nearkin.consistency:within_space",
    "between_space_rho": "nearkin.consistency:between_space_rho",
    "between_space_accuracy": "nearkin.consistency:between_space_accuracy",
    "Estimate": "nearkin.consistency:Estimate",
    "within_space_estimate": "nearkin.consistency:within_space_estimate",
    "between_space_rho_estimate": "nearkin.consistency:between_space_rho_estimate",
    "between_space_accuracy_estimate": "nearkin.consistency:between_space_accuracy_estimate",
    "InputError": "nearkin.errors:InputError",
    "NearkinError": "nearkin.errors:NearkinError",
    "RunError": "nearkin.errors:RunError",
}

if TYPE_CHECKING:
    from nearkin.api import Result, evaluate, load
    from nearkin.ask import analyze, check, compare, gate
    from nearkin.consistency import (
        Estimate,
        between_space_accuracy,
        between_space_accuracy_estimate,
        between_space_rho,
        between_space_rho_estimate,
        within_space,
        within_space_estimate,
    )
    from nearkin.errors import InputError, NearkinError, RunError

__all__ = [
    "Estimate",
    "InputError",
    "NearkinError",
    "Result",
    "RunError",
    "__version__",
    "analyze",
    "between_space_accuracy",
    "between_space_accuracy_estimate",
    "between_space_rho",
    "between_space_rho_estimate",
    "check",
    "compare",
    "evaluate",
    "gate",
    "load",
    "within_space",
    "within_space_estimate",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nearkin.registry import load as load_export

    return load_export(_EXPORTS[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
