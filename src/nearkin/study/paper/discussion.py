"""Section 6: what the paper makes of it, and its research questions."""

from __future__ import annotations

from nearkin.study.draws import mean
from nearkin.study.evidence import MFCC, NETWORKS, VGG
from nearkin.study.paper.claim import Claim
from nearkin.study.quantities import (
    ACC,
    CHANGE,
    CW_E,
    RHO,
    as_on_originals,
    emm,
    emms,
    of_levels,
    over,
    task_mean,
)
from nearkin.study.rules import Bound, Effects, NoTest, Order, Trend

DISCUSSION = (
    Claim(
        "better-yet-less-consistent",
        "6.1",
        "the networks are better at the tasks, yet less consistent than MFCC",
        "order",
        "task scores, and marginal means of C_W, of all",
        Order(
            lambda e: [
                [task_mean(e, VGG), task_mean(e, MFCC)],
                [emm(e, CW_E, MFCC), mean(emms(e, CW_E, NETWORKS))],
                [emm(e, RHO, MFCC), mean(emms(e, RHO, NETWORKS))],
            ]
        ),
    ),
    Claim(
        "level-acc",
        "6.2",
        "the higher a task's level, the higher C_B_acc",
        "positive",
        "slope of C_B_acc[simple,cosine] over the level AE < VS < IR < AT",
        Trend(of_levels(ACC), falls=False),
    ),
    Claim(
        "level-rho",
        "6.2",
        "the higher a task's level, the lower C_B_rho",
        "negative",
        "slope of C_B_rho[dtw,euclidean] over the level AE < VS < IR < AT",
        Trend(of_levels(RHO)),
    ),
    Claim(
        "originals",
        "6.2, Fig. 13",
        "C_B_rho on unchanged clips looks like C_B_rho over all changes",
        "very similar",
        "rank correlation over encoders and pairs of distances",
        Bound(as_on_originals, 0.9),
    ),
    Claim(
        "vocal-clusters",
        "6.2, Fig. 14",
        "the VS encoder lays clips of like vocal loudness together",
        "a picture",
        "figure 14",
        NoTest("the paper decides by eye; figure 14 shows the map"),
    ),
    Claim(
        "transformations-differ",
        "6.3",
        "transformations differ in all results",
        "significant",
        "F tests of transformation",
        Effects(CW_E, (CHANGE,)),
    ),
    Claim(
        "rq1",
        "6.5, RQ 1",
        "every network is less consistent than MFCC, within and between spaces",
        "order",
        "marginal means of C_W, C_B_acc and C_B_rho",
        Order(
            lambda e: [chain for s in (CW_E, ACC, RHO) for chain in over(e, s, [MFCC], NETWORKS)]
        ),
    ),
    Claim(
        "rq2",
        "6.5, RQ 2",
        "of the networks AT is the most consistent within and the least between; AE the opposite",
        "order",
        "marginal means of C_W and C_B_rho",
        Order(
            lambda e: [
                *over(e, CW_E, ["at"], ["ir", "vs", "ae"]),
                *over(e, CW_E, ["ir", "vs"], ["ae"]),
                *over(e, RHO, ["ae"], ["ir", "vs", "at"]),
                *over(e, RHO, ["ir", "vs"], ["at"]),
            ]
        ),
    ),
)
