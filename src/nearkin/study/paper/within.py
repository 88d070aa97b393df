"""Section 5.2: consistency within a space, whether changed clips stay nearest."""

from __future__ import annotations

from nearkin.study.draws import mean
from nearkin.study.evidence import MFCC, NETWORKS
from nearkin.study.paper.claim import Claim, marginal_mean
from nearkin.study.quantities import (
    CHANGE,
    CW_C,
    CW_E,
    DTW,
    MODEL,
    SIMPLE,
    emms,
    largest,
    over,
    squares,
    tempo_least,
)
from nearkin.study.rules import Bound, Effects, Fit, NoTest, Order, Trend
from nearkin.tables import AUDIO

WITHIN = (
    Claim(
        "audio-mild",
        "5.2, Fig. 6",
        "in the audio space small changes stay nearest, by DTW and by SiMPle",
        "about 1",
        "mean C_W of the audio space at the mild points, both distances",
        Bound(lambda e: [mean(e.scores(s, AUDIO).mild()) for s in (DTW, SIMPLE)], 0.95),
    ),
    Claim(
        "audio-falls",
        "5.2, Fig. 6",
        "in the audio space C_W falls as changes grow (PN, EN, PS)",
        "curves",
        "slopes of C_W over severity, both distances",
        Trend(
            lambda e: [
                e.scores(s, AUDIO).slope(code) for s in (DTW, SIMPLE) for code in ("PN", "EN", "PS")
            ]
        ),
    ),
    Claim(
        "audio-tempo",
        "5.2, Fig. 6",
        "in the audio space tempo shifts hardly lower C_W",
        "curves",
        "mean C_W under TS, both distances",
        Bound(lambda e: [e.scores(s, AUDIO).of("TS") for s in (DTW, SIMPLE)], 0.9),
    ),
    Claim(
        "audio-tempo-least",
        "5.2, Fig. 6",
        "in the audio space no transformation lowers C_W less than tempo shifts do",
        "curves",
        "mean C_W under TS against every other transformation",
        Order(tempo_least),
    ),
    Claim(
        "audio-dtw",
        "5.2, Fig. 6",
        "DTW stands tempo shifts better than SiMPle",
        "curves",
        "mean C_W under TS",
        Order(lambda e: [[e.scores(DTW, AUDIO).of("TS"), e.scores(SIMPLE, AUDIO).of("TS")]]),
    ),
    Claim(
        "within-r2",
        "5.2",
        "the additive model explains most of C_W (Euclidean)",
        "R² .98",
        "adjusted R² of our model",
        Fit(CW_E, 0.9),
    ),
    Claim(
        "within-effects",
        "5.2",
        "transformation and task matter for C_W (Euclidean)",
        "F(4, 1793) = 1087; 1066",
        "F tests",
        Effects(CW_E, (CHANGE, MODEL)),
    ),
    Claim(
        "within-interaction",
        "5.2",
        "their interaction matters less (Euclidean)",
        "smaller",
        "mean squares of the table of means",
        Order(
            lambda e: [
                [squares(e, CW_E)[one], squares(e, CW_E)["interaction"]]
                for one in ("model", "transformation")
            ]
        ),
    ),
    *(
        marginal_mean(CW_E, who, paper, se, name=f"within-value-{who}", section="5.2, Fig. 8")
        for who, paper, se in (
            (MFCC, 0.741, 0.014),
            ("at", 0.671, 0.007),
            ("ir", 0.539, 0.008),
            ("vs", 0.331, 0.007),
            ("ae", 0.170, 0.006),
        )
    ),
    Claim(
        "within-mfcc",
        "5.2, 6.1",
        "MFCC keeps changed clips nearer than every network",
        ".741 > .671",
        "marginal means of C_W (Euclidean)",
        Order(lambda e: over(e, CW_E, [MFCC], NETWORKS)),
    ),
    Claim(
        "within-order",
        "5.2, Fig. 8",
        "of the networks AT keeps best, then IR, VS, AE",
        ".671 > .539 > .331 > .170",
        "marginal means of C_W (Euclidean)",
        Order(lambda e: [emms(e, CW_E, NETWORKS)]),
    ),
    Claim(
        "within-cosine-r2",
        "5.2",
        "the additive model explains most of C_W (cosine)",
        "R² .981",
        "adjusted R² of our model",
        Fit(CW_C, 0.9),
    ),
    Claim(
        "within-cosine-effects",
        "5.2",
        "task and transformation matter for C_W (cosine)",
        "F(4, 1794) = 1263; 913",
        "F tests",
        Effects(CW_C, (MODEL, CHANGE)),
    ),
    Claim(
        "within-cosine-largest",
        "5.2",
        "under cosine the task matters more than the transformation",
        "1263 > 913",
        "mean squares of the table of means",
        largest(CW_C, "model", ["transformation"]),
    ),
    Claim(
        "within-cosine",
        "5.2",
        "cosine stands changes slightly better than Euclidean distance",
        "slightly",
        "marginal means of C_W, networks",
        Order(lambda e: [[mean(emms(e, s, NETWORKS)) for s in (CW_C, CW_E)]]),
    ),
    Claim(
        "tsne",
        "5.2, Fig. 9",
        "on a map, small changes of MFCC cover the originals, those of AE and VS make clusters",
        "a picture",
        "figure 9",
        NoTest("the paper decides by eye; figure 9 shows it, mild-low puts it in numbers"),
    ),
)
