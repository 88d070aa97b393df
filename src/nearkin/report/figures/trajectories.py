"""The figure of trajectories: the mean clip's ways, from its original, in their common plane."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nearkin.report.figures import style

COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b5b5b", "#7a4988"),
    *("#a6761d", "#1b7837"),
)
"""Okabe and Ito's, and further ones; they begin again where a run has more sides."""
DASHES = ((1, 0), (6, 3), (2, 2))


def figure_trajectories(paths: pd.DataFrame, *, encoder: str) -> Any:
    """Draw every transformation's way as a line of dots, one a magnitude, mild to severe.

    Parameters
    ----------
    paths : pandas.DataFrame
        Of `nearkin.results.trajectories.Trajectories`.
    encoder : str
        For the title.

    Returns
    -------
    altair chart
    """
    names = list(dict.fromkeys(paths["name"].astype(str)))
    styles: style.Styles = {
        name: (COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
        for place, name in enumerate(names)
    }
    records = [
        {
            "series": str(row["name"]),
            "step": int(row["step"]),
            "x": style.rounded(row["x"]),
            "y": style.rounded(row["y"]),
            "point": "original" if row["step"] == 0 else f"{row['magnitude']:g}",
        }
        for row in paths.to_dict("records")
    ]
    common = {
        "x": {"field": "x", "type": "quantitative", "title": "first principal component"},
        "y": {"field": "y", "type": "quantitative", "title": "second principal component"},
        "color": style.by_series(styles),
    }
    panel = {
        "data": {"values": records},
        "title": f"{encoder}: how the mean clip moves, from its original at 0, 0",
        "width": 420,
        "height": 360,
        "layer": [
            {
                "mark": {"type": "line", "opacity": 0.7},
                "encoding": {**common, "order": {"field": "step", "type": "quantitative"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 30, "opacity": 1},
                "encoding": {
                    **common,
                    "tooltip": style.tooltip(("series", "change"), ("point", "at")),
                },
            },
        ],
    }
    return style.figure([panel], margin=60)
