"""Section 5.3: consistency between spaces, by nearest neighbours and by order."""

from __future__ import annotations

from nearkin.study.evidence import MFCC, NETWORKS
from nearkin.study.paper.claim import Claim, marginal_mean
from nearkin.study.quantities import (
    ACC,
    CHANGE,
    MODEL,
    RHO,
    TWO_ORDERS,
    alike,
    clearer,
    emms,
    over,
    rises_again,
    scaled,
    severity_matters_little,
    squares,
)
from nearkin.study.rules import Bound, Effects, Fit, Order

BETWEEN_ACC = (
    Claim(
        "acc-rises-again",
        "5.3.1, Fig. 10",
        "C_B_acc rises again where both spaces fail, under the strongest noise",
        "curves",
        "C_B_acc[simple,cosine] at the strongest and the middle noise, mean of the networks",
        Order(rises_again),
    ),
    Claim(
        "acc-r2",
        "5.3.1",
        "the additive model explains most of C_B_acc",
        "R² .96",
        "adjusted R² of our model",
        Fit(ACC, 0.9),
    ),
    Claim(
        "acc-effects",
        "5.3.1",
        "task and transformation matter for C_B_acc",
        "F(4, 1772) = 440; 285",
        "F tests",
        Effects(ACC, (MODEL, CHANGE)),
    ),
    Claim(
        "acc-largest",
        "5.3.1",
        "for C_B_acc the task matters most, then the transformation, then both together",
        "440 > 285",
        "mean squares of the table of means",
        Order(lambda e: [list(squares(e, ACC).values())]),
    ),
    marginal_mean(ACC, MFCC, 0.796, 0.015, name="acc-value-mfcc", section="5.3.1, Fig. 11"),
    marginal_mean(ACC, "at", 0.731, None, name="acc-value-at", section="5.3.1, Fig. 11"),
    marginal_mean(ACC, "ae", 0.273, None, name="acc-value-ae", section="5.3.1, Fig. 11"),
    Claim(
        "acc-first",
        "5.3.1",
        "MFCC agrees best with the audio space",
        ".796 > .731",
        "marginal means of C_B_acc",
        Order(lambda e: over(e, ACC, [MFCC], NETWORKS)),
    ),
    Claim(
        "acc-order",
        "5.3.1, Fig. 11",
        "of the networks AT agrees best, then IR, VS, AE",
        "order",
        "marginal means of C_B_acc",
        Order(lambda e: [emms(e, ACC, NETWORKS)]),
    ),
    Claim(
        "acc-alike",
        "5.3.1, Fig. 11",
        "all four pairs of distances order the encoders alike",
        "same results",
        "rank correlation of C_B_acc's marginal means with those of dtw,euclidean",
        Bound(alike("C_B_acc"), 0.89),
    ),
)

BETWEEN_RHO = (
    Claim(
        "rho-first",
        "5.3.2, 6.1",
        "MFCC keeps the order of distances far better than any network",
        ".881 > .209",
        "marginal means of C_B_rho",
        Order(lambda e: over(e, RHO, [MFCC], NETWORKS)),
    ),
    Claim(
        "rho-steady",
        "5.3.2, Fig. 10",
        "C_B_rho hardly depends on how severe a change is",
        "curves",
        "change of C_B_rho from mild to most severe, each encoder",
        Bound(severity_matters_little, 0.1, above=False),
    ),
    Claim(
        "rho-r2",
        "5.3.2",
        "the additive model explains most of C_B_rho",
        "R² .96",
        "adjusted R² of our model",
        Fit(RHO, 0.9),
    ),
    Claim(
        "rho-effect",
        "5.3.2",
        "the task matters for C_B_rho",
        "F(4, 1877) = 6549",
        "F test",
        Effects(RHO, (MODEL,)),
    ),
    Claim(
        "rho-far-largest",
        "5.3.2",
        "the task's effect is two orders of magnitude above transformation's and interaction's",
        "about 100 times",
        f"mean square of the encoder, and the others' times {TWO_ORDERS:.0f} (10^1.5)",
        Order(
            lambda e: [
                [squares(e, RHO)["model"], scaled(squares(e, RHO)[one], TWO_ORDERS)]
                for one in ("transformation", "interaction")
            ]
        ),
    ),
    *(
        marginal_mean(RHO, who, paper, se, name=f"rho-value-{who}", section="5.3.2, Fig. 11")
        for who, paper, se in (
            (MFCC, 0.881, 0.004),
            ("ae", 0.209, 0.005),
            ("ir", 0.184, 0.003),
            ("vs", 0.181, 0.002),
            ("at", 0.080, 0.003),
        )
    ),
    Claim(
        "rho-ends",
        "5.3.2, Fig. 11",
        "of the networks AE keeps it best and AT worst",
        ".209 ... .080",
        "marginal means of C_B_rho",
        Order(
            lambda e: [
                *over(e, RHO, ["ae"], ["at", "ir", "vs"]),
                *over(e, RHO, ["ir", "vs"], ["at"]),
            ]
        ),
    ),
    Claim(
        "rho-euclidean",
        "5.3.2",
        "MFCC's lead is clearer by Euclidean distance",
        "order",
        "MFCC's lead over the networks' mean, Euclidean against cosine",
        Order(clearer),
    ),
    Claim(
        "rho-alike",
        "5.3.2, Fig. 11",
        "all four pairs of distances order the encoders alike",
        "same observations",
        "rank correlation of C_B_rho's marginal means with those of dtw,euclidean",
        Bound(alike("C_B_rho"), 0.89),
    ),
)
