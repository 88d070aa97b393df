"""What Kim, Urbano, Liem and Hanjalic (2019) found, as data: each claim with the rule that decides.

Claims are of sections 5 and 6 and their figures, in our own words, with the paper's numbers
(doi:10.3389/fams.2019.00053). Marginal means of ours are means over transformations of the means
over their own magnitudes; "mild" is the mildest magnitude of every transformation and side, where
the grid has the paper's these are its footnote 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearkin.study.draws import mean
from nearkin.study.evidence import MFCC, NETWORKS, VGG, Question3
from nearkin.study.quantities import (
    ACC,
    CHANGE,
    CW_C,
    CW_E,
    DTW,
    EVERYBODY,
    MODEL,
    RHO,
    SCORES,
    SIMPLE,
    TWO_ORDERS,
    acc_like_within,
    alike,
    as_on_originals,
    clearer,
    emm,
    emms,
    gap,
    largest,
    mild_median,
    of_levels,
    over,
    performance_squares,
    pitch_varied,
    pitch_worst,
    rises_again,
    scaled,
    severity_matters_little,
    size,
    squares,
    task_mean,
    task_slopes,
    tempo_least,
    variability,
)
from nearkin.study.rules import Bound, Effects, Fit, NoTest, Order, Rule, Trend, Value
from nearkin.tables import AUDIO


@dataclass(frozen=True)
class Claim:
    """A finding of the paper.

    Attributes
    ----------
    name : str
        Names it in tables, never another.
    section : str
        Where the paper says it.
    says : str
        The finding, in our words.
    paper : str
        The paper's numbers, where it gives any.
    quantity : str
        What of ours is set beside it.
    rule : Rule
        What decides.
    """

    name: str
    section: str
    says: str
    paper: str
    quantity: str
    rule: Rule


MEANS: tuple[tuple[str, Question3, dict[str, str]], ...] = (
    (
        "C_W, Euclidean",
        CW_E,
        {"mfcc": ".741", "at": ".671", "ir": ".539", "vs": ".331", "ae": ".170"},
    ),
    (
        "C_B_acc, SiMPle and cosine",
        ACC,
        {"mfcc": ".796", "at": ".731", "ir": "between", "vs": "between", "ae": ".273"},
    ),
    (
        "C_B_rho, DTW and Euclidean",
        RHO,
        {"mfcc": ".881", "at": ".080", "ir": ".184", "vs": ".181", "ae": ".209"},
    ),
)
"""The paper's marginal means."""


def _value(
    score: Question3, who: str, paper: float, se: float | None, *, name: str, section: str
) -> Claim:
    names = ",".join(filter(None, score[1:]))
    titles = {MFCC: "MFCC"} | {task: f"the network trained for {task.upper()}" for task in NETWORKS}
    told = f"{paper:g}" + (f" ± {se:g}" if se is not None else "")
    says = f"{score[0]}[{names}] of {titles[who]} is {told} on average"
    quantity = f"marginal mean of {score[0]}[{names}]"
    return Claim(name, section, says, told, quantity, Value(lambda e: emm(e, score, who), paper))


# -- the claims ----------------------------------------------------------------------------------

_FAMILIES = (
    Claim(
        "noise-worsens",
        "5.1, Fig. 4",
        "task scores fall as pink or environmental noise grows, in AT, IR and VS",
        "curves",
        "slopes of standardised scores over severity, VGG in PN and EN",
        Trend(
            lambda e: [
                e.task_scores(VGG, task).slope(code)
                for task in ("at", "ir", "vs")
                for code in ("PN", "EN")
            ]
        ),
    ),
    Claim(
        "ae-better-in-noise",
        "5.1, Fig. 4",
        "the autoencoder reconstructs better as environmental noise grows",
        "curve",
        "slope of AE's score (sign turned) over the severity of EN, VGG",
        Trend(task_slopes("EN", ["ae"], [VGG]), falls=False),
    ),
    Claim(
        "performance-r2",
        "5.1",
        "the additive model explains most of the task scores",
        "R² .98",
        "adjusted R² of our model",
        Fit(SCORES, 0.9),
    ),
    Claim(
        "performance-encoder",
        "5.1",
        "encoders differ in task scores",
        "F(1, 3522) = 12898",
        "F test of encoder",
        Effects(SCORES, ("encoder",)),
    ),
    Claim(
        "performance-task-change",
        "5.1",
        "transformations hit tasks differently",
        "F(12, 3522) = 466",
        "F test of task:transformation",
        Effects(SCORES, ("task:transformation",)),
    ),
    Claim(
        "performance-encoder-task",
        "5.1",
        "how much encoders differ depends on the task",
        "F(3, 3522) = 210",
        "F test of encoder:task",
        Effects(SCORES, ("encoder:task",)),
    ),
    Claim(
        "performance-largest",
        "5.1",
        "the largest effect on task scores is the encoder's, then task with transformation, then "
        "encoder with task",
        "12898 > 466 > 210",
        "mean squares of the table of means",
        Order(lambda e: [list(performance_squares(e).values())]),
    ),
    Claim(
        "performance-vgg",
        "5.1, Fig. 5",
        "the VGG-like network scores .84 ± .008 on average",
        "0.84 ± 0.008",
        "mean of standardised scores, VGG",
        Value(lambda e: task_mean(e, VGG), 0.84),
    ),
    Claim(
        "performance-mfcc",
        "5.1, Fig. 5",
        "MFCC scores -.52 ± .009 on average",
        "-0.52 ± 0.009",
        "mean of standardised scores, MFCC",
        Value(lambda e: task_mean(e, MFCC), -0.52),
    ),
    Claim(
        "performance-better",
        "5.1, 6.1",
        "the network is better at the tasks than MFCC",
        ".84 > -.52",
        "means of standardised scores",
        Order(lambda e: [[task_mean(e, VGG), task_mean(e, MFCC)]]),
    ),
    Claim(
        "performance-ae-gap",
        "5.1",
        "the network's lead over MFCC is largest in AE",
        "order",
        "differences of standardised scores",
        Order(lambda e: [[gap(e, "ae"), gap(e, task)] for task in ("at", "ir", "vs")]),
    ),
    Claim(
        "performance-vs-gap",
        "5.1",
        "the network's lead over MFCC is smallest in VS",
        "order",
        "differences of standardised scores",
        Order(lambda e: [[gap(e, task), gap(e, "vs")] for task in ("at", "ir", "ae")]),
    ),
)

_WITHIN = (
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
        _value(CW_E, who, paper, se, name=f"within-value-{who}", section="5.2, Fig. 8")
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

_BETWEEN_ACC = (
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
    _value(ACC, MFCC, 0.796, 0.015, name="acc-value-mfcc", section="5.3.1, Fig. 11"),
    _value(ACC, "at", 0.731, None, name="acc-value-at", section="5.3.1, Fig. 11"),
    _value(ACC, "ae", 0.273, None, name="acc-value-ae", section="5.3.1, Fig. 11"),
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

_BETWEEN_RHO = (
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
        _value(RHO, who, paper, se, name=f"rho-value-{who}", section="5.3.2, Fig. 11")
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

_MILD = (
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

_DISCUSSION = (
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

CLAIMS = (*_FAMILIES, *_WITHIN, *_BETWEEN_ACC, *_BETWEEN_RHO, *_MILD, *_DISCUSSION)
"""Every finding, in the paper's order."""
