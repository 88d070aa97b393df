"""Statistics on consistency scores: bootstrap intervals, additive models, marginal means.

Every name is imported from its module on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import Any

from nearkin import registry

EXPORTS: dict[str, str] = {
    "Gam": "nearkin.statistics.additive:Gam",
    "Interval": "nearkin.statistics.bootstrap:Interval",
    "crossed_replicates": "nearkin.statistics.bootstrap:crossed_replicates",
    "gam": "nearkin.statistics.additive:gam",
    "mean_replicates": "nearkin.statistics.bootstrap:mean_replicates",
    "median_replicates": "nearkin.statistics.bootstrap:median_replicates",
    "percentile_interval": "nearkin.statistics.bootstrap:percentile_interval",
    "resamples": "nearkin.statistics.bootstrap:resamples",
    "trial_means": "nearkin.statistics.trials:trial_means",
}

__all__ = sorted(EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return registry.load(EXPORTS[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *EXPORTS})
