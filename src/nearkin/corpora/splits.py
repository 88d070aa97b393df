"""Who is in which split: whole groups (song, artist, composer) at a time, drawn from a seed.

Orders are drawn over sorted names from streams named by the purpose, so that they do not depend on
where the files lie or on the order in which they were found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nearkin.errors import InputError
from nearkin.seeds import stream

if TYPE_CHECKING:
    import pandas as pd

EIGHTY_TEN_TEN = {"train": 0.8, "valid": 0.1, "test": 0.1}


def split_by_group(
    groups: Sequence[str], shares: Mapping[str, float], *, seed: int, purpose: str
) -> dict[str, str]:
    """Give every group a split, so that the splits' numbers of clips are as near as can be.

    Groups come in drawn order, the larger before the smaller; each goes to the split that lacks
    most clips. No split stays empty.

    Parameters
    ----------
    groups : sequence of str
        The group of every clip.
    shares : mapping of str to float
        Splits, and the part of the clips each is to have.
    seed : int
        Equal seeds, equal splits.
    purpose : str
        What is split, for the stream and the error ("folder").

    Returns
    -------
    dict of str to str
        Group to split.

    Raises
    ------
    InputError
        If there are fewer groups than splits.

    Examples
    --------
    >>> found = split_by_group(list("aaabcd"), {"train": 0.5, "test": 0.5}, seed=0, purpose="x")
    >>> sorted(found, key=lambda group: (found[group], group))
    ['b', 'c', 'd', 'a']
    """
    sizes = Counter(groups)
    if len(sizes) < len(shares):
        raise InputError(
            f"{purpose}: {len(sizes)} group{'s' * (len(sizes) != 1)}: must be at least "
            f"{len(shares)}, one for each of {', '.join(shares)}; add music"
        )
    names = sorted(sizes)
    drawn = [names[place] for place in stream(seed, "split", purpose).permutation(len(names))]
    drawn.sort(key=lambda group: -sizes[group])
    lacking = {split: share * len(groups) for split, share in shares.items()}
    chosen: dict[str, str] = {}
    empty = list(shares)
    for place, group in enumerate(drawn):
        open_to = empty if len(drawn) - place <= len(empty) else list(shares)
        split = max(open_to, key=lambda name: lacking[name])
        chosen[group] = split
        lacking[split] -= sizes[group]
        empty = [name for name in empty if name != split]
    return chosen


def limited(
    table: pd.DataFrame, *, hours: float | None, seed: int, by: Sequence[str] = ("split",)
) -> pd.DataFrame:
    """Keep about so many hours: every part keeps its share, and groups are drawn one by one.

    The last group drawn may be kept in part. A part keeps at least one clip, however short the
    time; more hours keep every clip that fewer keep.

    Parameters
    ----------
    table : pandas.DataFrame
        A manifest with ``path``, ``split``, ``group`` and ``duration_s`` (seconds).
    hours : float or None
        How much to keep in all; None keeps everything.
    seed : int
        Equal seeds, equal choices.
    by : sequence of str
        The columns whose parts keep their shares.

    Returns
    -------
    pandas.DataFrame
        Some rows of `table`, in its order.

    Raises
    ------
    InputError
        If `hours` is not above 0.
    """
    if hours is None:
        return table
    if not hours > 0:
        raise InputError(f"hours={hours:g}: must be above 0; pass more")
    share = min(1.0, hours * 3600.0 / float(table["duration_s"].sum()))
    keys = sorted(set(table["group"]))
    drawn = stream(seed, "hours").permutation(len(keys))
    rank = dict(zip(keys, drawn.tolist(), strict=True))
    order = table["group"].map(rank).sort_values(kind="stable").index
    kept = []
    for _, part in table.loc[order].groupby(list(by), sort=True):
        before = part["duration_s"].cumsum()
        within = before <= share * float(part["duration_s"].sum()) * (1.0 + 1e-9)
        kept += list(part.index[within.to_numpy() | (before.rank(method="first") == 1).to_numpy()])
    return table.loc[sorted(kept)].reset_index(drop=True)
