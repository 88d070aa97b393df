"""Section 5.4: changes that nobody hears."""

from __future__ import annotations

from nearkin.study.draws import mean
from nearkin.study.evidence import MFCC, NETWORKS, VGG
from nearkin.study.paper.claim import Claim
from nearkin.study.quantities import (
    CW_C,
    CW_E,
    EVERYBODY,
    RHO,
    acc_like_within,
    mild_median,
    pitch_varied,
    pitch_worst,
    size,
    variability,
)
from nearkin.study.rules import Bound, Order

MILD = (
    Claim(
        "mild-degrades",
        "5.4.1, Fig. 12",
        "task scores drop under changes nobody hears",
        "degraded",
        "score on unchanged clips against the mean of the mild points, mean of tasks, VGG",
        Order(
            lambda e: [
                [
                    mean([e.task_originals(VGG, task) for task in e.performed()]),
                    mean([mean(e.task_scores(VGG, task).mild()) for task in e.performed()]),
                ]
            ]
        ),
    ),
    Claim(
        "mild-vs-varies",
        "5.4.1, Fig. 12",
        "VS varies more from one mild change to another",
        "more variable",
        "spread of standardised scores over the mild points, VGG",
        Order(variability),
    ),
    Claim(
        "mild-pitch",
        "5.4.1, Fig. 12",
        "of the mild changes pitch shifts degrade scores most",
        "relatively higher",
        "standardised scores at mild points, mean of tasks and encoders",
        Order(pitch_worst),
    ),
    Claim(
        "mild-near-1",
        "5.4.2, Fig. 12",
        "under mild changes the median C_W of MFCC, AT and IR is near 1",
        "close to 1",
        "median C_W (Euclidean) of the mild points",
        Bound(lambda e: [mild_median(e, CW_E, who) for who in (MFCC, "at", "ir")], 0.9),
    ),
    Claim(
        "mild-low",
        "5.4.2, Fig. 12",
        "VS and AE are far more sensitive to them",
        "low",
        "median C_W (Euclidean) of the mild points",
        Order(
            lambda e: [
                [mild_median(e, CW_E, one), mild_median(e, CW_E, two)]
                for one in (MFCC, "at", "ir")
                for two in ("vs", "ae")
            ]
        ),
    ),
    Claim(
        "mild-distances",
        "5.4.2, Fig. 12",
        "both latent distances say the same of mild changes",
        "no substantial difference",
        "difference of mean C_W, Euclidean and cosine, each encoder",
        Bound(
            lambda e: [
                size(mean(e.scores(CW_E, w).mild()) - mean(e.scores(CW_C, w).mild()))
                for w in EVERYBODY
            ],
            0.05,
            above=False,
        ),
    ),
    Claim(
        "mild-pitch-varies",
        "5.4.2, Fig. 12",
        "mild pitch shifts make networks differ most in C_W",
        "considerable variance",
        "spread over networks of C_W (Euclidean) at the mild points",
        Order(pitch_varied),
    ),
    Claim(
        "mild-acc",
        "5.4.3, Fig. 12",
        "under mild changes C_B_acc is C_W again",
        "resemble",
        "difference of mean C_B_acc[simple,cosine] and C_W (cosine), each encoder",
        Bound(acc_like_within, 0.05, above=False),
    ),
    Claim(
        "mild-rho",
        "5.4.3, Fig. 12",
        "under mild changes C_B_rho of networks is already low",
        "large inconsistencies",
        "mean C_B_rho[dtw,euclidean] of the mild points, each network",
        Bound(lambda e: [mean(e.scores(RHO, w).mild()) for w in NETWORKS], 0.5, above=False),
    ),
)
