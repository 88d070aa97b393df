"""What Kim, Urbano, Liem and Hanjalic (2019) found, as data: each claim with the rule that decides.

Claims are of sections 5 and 6 and their figures, in our own words, with the paper's numbers
(doi:10.3389/fams.2019.00053). Marginal means of ours are means over transformations of the means
over their own magnitudes; "mild" is the mildest magnitude of every transformation and side, where
the grid has the paper's these are its footnote 4.
"""

from __future__ import annotations

from nearkin.study.paper.between import BETWEEN_ACC, BETWEEN_RHO
from nearkin.study.paper.discussion import DISCUSSION
from nearkin.study.paper.mild import MILD
from nearkin.study.paper.tasks import TASK_SCORES
from nearkin.study.paper.within import WITHIN

CLAIMS = (*TASK_SCORES, *WITHIN, *BETWEEN_ACC, *BETWEEN_RHO, *MILD, *DISCUSSION)
"""Every finding, in the paper's order."""
