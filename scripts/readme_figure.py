"""Draw the README's figure from a finished run: C_W under the cosine distance.

python scripts/readme_figure.py RUN docs/within-space
"""

from __future__ import annotations

import sys

import nearkin
from nearkin.report.figures import figure_7, save


def main() -> None:
    result = nearkin.load(sys.argv[1])
    table = result.consistency
    keep = table["latent_distance"].isin(["", "cosine"])
    for path in save(figure_7(table[keep], run=result.run), sys.argv[2]):
        if path.suffix == ".pdf":
            path.unlink()


if __name__ == "__main__":
    main()
