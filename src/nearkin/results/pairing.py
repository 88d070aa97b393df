"""Who is compared with whom: the encoders of runs, and which of them less which."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from nearkin.errors import InputError
from nearkin.registry import suggest
from nearkin.results.answers import RunTables, SystemOfRun
from nearkin.results.systems import AUDIO, System, named, systems_of


def find_systems(
    runs: Sequence[RunTables], encoders: Sequence[str], against: str = ""
) -> list[SystemOfRun]:
    """Return the encoders asked for; else all of a single run, or the tested ones of several.

    The one they are compared with is added where it is not among them.

    Raises
    ------
    InputError
        If one is unknown, or fewer than two are left.
    """
    everybody: list[SystemOfRun] = []
    for run in runs:
        systems = systems_of(run.record, run.queries)
        everybody += [SystemOfRun(run, one) for one in systems]
        if (run.queries["encoder"] == AUDIO).any():
            everybody.append(SystemOfRun(run, System(AUDIO, "", AUDIO)))
    if not encoders:
        wanted = ("tested", "reference") if len(runs) == 1 else ("tested",)
        found = [one for one in everybody if one.system.role in wanted]
        found += _rivals(against, everybody, found)
        if len(found) < 2:
            only = f"'{found[0].system.label}'" if found else "none"
            raise InputError(
                f"one encoder only ({only}): a comparison needs two; name a second run, or an "
                "encoder of this one with --against"
            )
        return found
    chosen: list[SystemOfRun] = []
    for name in encoders:
        found = [one for one in everybody if named(name, [one.system], one.run.record)]
        if not found:
            known = suggest(name, {one.system.label for one in everybody})
            raise InputError(f"no run has an encoder '{name}': {known}")
        chosen += [one for one in found if one not in chosen]
    chosen += _rivals(against, everybody, chosen)
    if len(chosen) < 2:
        raise InputError(
            f"one encoder only ('{chosen[0].system.label}'): a comparison needs two; name another "
            "with --encoder or --against, or a second run"
        )
    return chosen


def _rivals(
    against: str, everybody: Sequence[SystemOfRun], chosen: Sequence[SystemOfRun]
) -> list[SystemOfRun]:
    """Return whom the chosen are compared with, where they do not hold him: of their own runs."""
    if not against or any(named(against, [one.system], one.run.record) for one in chosen):
        return []
    runs = [one.run.name for one in chosen]
    found = [one for one in everybody if named(against, [one.system], one.run.record)]
    return [one for one in found if one.run.name in runs and one not in chosen]


def pairs_of(
    systems: Sequence[SystemOfRun], against: str, *, several_runs: bool, by_role: bool = False
) -> list[tuple[int, int]]:
    """Return which are compared, by their numbers: every pair, or all others with one of them.

    Parameters
    ----------
    systems : sequence of SystemOfRun
    against : str
        One of them, by name or label: the others are compared with that of their own run, where it
        has one.
    several_runs : bool
    by_role : bool
        Every tested one with every reference, where there are both, instead of every pair.

    Returns
    -------
    list of (int, int)
        A difference is the first less the second: a tested encoder less a reference, an encoder of
        the younger run (``created``) less one of the older.
    """
    everyone = range(len(systems))
    if not against:
        every = itertools.combinations(everyone, 2)
        tested = [one.system.role == "tested" for one in systems]
        if by_role and any(tested) and not all(tested):
            return [(a, b) for a in everyone for b in everyone if tested[a] > tested[b]]
        return [(b, a) if _is_younger(systems[b], systems[a]) else (a, b) for a, b in every]
    labels = [one.label(several_runs=several_runs) for one in systems]
    base = [
        index
        for index, one in enumerate(systems)
        if against == labels[index] or named(against, [one.system], one.run.record)
    ]
    if not base:
        raise InputError(f"--against {against}: no such encoder here: {suggest(against, labels)}")
    pairs = []
    for other in base:
        for index in everyone:
            own = [one for one in base if systems[one].run is systems[index].run]
            if index not in base and (other in own or not own):
                pairs.append((index, other))
    return pairs


def _is_younger(one: SystemOfRun, two: SystemOfRun) -> bool:
    """Tell whether a run was begun after another; not where that is not known."""
    begun = [str(side.run.record.get("created") or "") for side in (one, two)]
    return bool(begun[0] and begun[1] and begun[0] > begun[1])
