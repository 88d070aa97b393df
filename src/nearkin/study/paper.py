"""What Kim, Urbano, Liem and Hanjalic (2019) found, as data: each claim with the rule that decides.

Claims are of sections 5 and 6 and their figures, in our own words, with the paper's numbers
(doi:10.3389/fams.2019.00053). Marginal means of ours are means over transformations of the means
over their own magnitudes; "mild" is the mildest magnitude of every transformation and side, where
the grid has the paper's these are its footnote 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearkin.study.draws import Draws, combined, mean
from nearkin.study.evidence import (
    MFCC,
    NETWORKS,
    VGG,
    Evidence,
    Question3,
    UntestableError,
    mean_squares,
    median,
    rank_correlation,
)
from nearkin.study.rules import Bound, Effects, Fit, NoTest, Order, Rule, Trend, Value
from nearkin.tables import AUDIO
from nearkin.tasks import level


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


CW_E: Question3 = ("C_W", "", "euclidean")
CW_C: Question3 = ("C_W", "", "cosine")
ACC: Question3 = ("C_B_acc", "simple", "cosine")
RHO: Question3 = ("C_B_rho", "dtw", "euclidean")
DTW: Question3 = ("C_W", "dtw", "")
SIMPLE: Question3 = ("C_W", "simple", "")
PAIRS = tuple((a, z) for a in ("dtw", "simple") for z in ("euclidean", "cosine"))
SCORES: Question3 = ("performance", "", "")
EVERYBODY = (MFCC, *NETWORKS)
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
TWO_ORDERS = 10**1.5
"""What rounds to two orders of magnitude or more."""
MODEL, CHANGE = "encoder", "transformation"
BETWEEN = f"{MODEL}:{CHANGE}"


# -- numbers -------------------------------------------------------------------------------------


def emm(e: Evidence, score: Question3, who: str) -> Draws:
    """Return a marginal mean."""
    return e.scores(score, who).emm()


def emms(e: Evidence, score: Question3, whom: Sequence[str]) -> list[Draws]:
    """Return marginal means."""
    return [emm(e, score, who) for who in whom]


def over(
    e: Evidence, score: Question3, top: Sequence[str], rest: Sequence[str]
) -> list[list[Draws]]:
    """Return chains: each of some above each of the others."""
    return [[emm(e, score, a), emm(e, score, b)] for a in top for b in rest]


def task_mean(e: Evidence, encoder: str) -> Draws:
    """Return the mean over tasks of an encoder's standardised scores."""
    return mean([e.task_scores(encoder, task).emm() for task in e.performed()])


def gap(e: Evidence, task: str) -> Draws:
    """Return by how much the network is better at a task than MFCC, standardised."""
    return e.task_scores(VGG, task).emm() - e.task_scores(MFCC, task).emm()


def task_slopes(
    code: str, tasks: Sequence[str], encoders: Sequence[str]
) -> Callable[..., list[Draws]]:
    """Return slopes of task scores over a transformation's severity."""
    return lambda e: [e.task_scores(who, task).slope(code) for who in encoders for task in tasks]


def squares(e: Evidence, score: Question3) -> dict[str, Draws]:
    """Return the mean squares of encoders by transformations."""
    return mean_squares({who: e.scores(score, who) for who in EVERYBODY})


def largest(score: Question3, first: str, rest: Sequence[str]) -> Order:
    """Ask whether an effect's mean square is above others'."""

    def chains(e: Evidence) -> list[list[Draws]]:
        found = squares(e, score)
        return [[found[first], found[one]] for one in rest]

    return Order(chains)


def performance_squares(e: Evidence) -> dict[str, Draws]:
    """Return mean squares of the main effect of encoders and of two interactions."""
    tasks = e.performed()
    if len(tasks) < 2:
        raise UntestableError("the study has task scores of one task")
    cells = {
        encoder: {task: e.task_scores(encoder, task) for task in tasks} for encoder in (VGG, MFCC)
    }
    codes = cells[VGG][tasks[0]].codes()
    both = {
        task: [mean([cells[VGG][task].of(c), cells[MFCC][task].of(c)]) for c in codes]
        for task in tasks
    }
    n_tasks, n_codes = len(tasks), len(codes)
    means = {encoder: [cells[encoder][task].emm() for task in tasks] for encoder in cells}
    between = mean(means[VGG]) - mean(means[MFCC])
    gaps = [one - two for one, two in zip(means[VGG], means[MFCC], strict=True)]
    # mean squares in units of one cell of encoder x task x transformation
    main = _scaled(_square(between), n_tasks * n_codes / 2)
    with_task = _scaled(combined("var", gaps), n_codes / 2)
    rows = [mean(both[task]) for task in tasks]
    columns = [mean([both[task][k] for task in tasks]) for k in range(n_codes)]
    whole = mean(rows)
    rest = [
        _square(_plus(both[task][k] - rows[i] - columns[k], whole))
        for i, task in enumerate(tasks)
        for k in range(n_codes)
    ]
    by_change = _scaled(mean(rest), 2 * n_tasks * n_codes / ((n_tasks - 1) * (n_codes - 1)))
    return {"encoder": main, "task:transformation": by_change, "encoder:task": with_task}


def _square(one: Draws) -> Draws:
    return Draws(one.value**2, one.replicates**2)


def _plus(one: Draws, two: Draws) -> Draws:
    return Draws(one.value + two.value, one.replicates + two.replicates)


def _scaled(one: Draws, factor: float) -> Draws:
    return Draws(one.value * factor, one.replicates * factor)


def _size(one: Draws) -> Draws:
    return Draws(abs(one.value), abs(one.replicates))


def mild_median(e: Evidence, score: Question3, who: str) -> Draws:
    """Return the median over the mildest points."""
    return median(e.scores(score, who).mild())


def of_levels(score: Question3) -> Callable[[Evidence], list[Draws]]:
    """Return the slope of networks' marginal means over the level of their task, 1 to 4."""

    def numbers(e: Evidence) -> list[Draws]:
        x = [float(level(task) or 0) for task in NETWORKS]
        centre = sum(x) / len(x)
        scale = sum((one - centre) ** 2 for one in x)
        found = emms(e, score, NETWORKS)
        parts = [
            _scaled(one, (place - centre) / scale) for place, one in zip(x, found, strict=True)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = _plus(total, part)
        return [total]

    return numbers


def _variability(e: Evidence) -> list[list[Draws]]:
    spread = {task: combined("std", e.task_scores(VGG, task).mild()) for task in e.performed()}
    if "vs" not in spread:
        raise UntestableError("the study has no task scores of vs")
    return [[spread["vs"], spread[task]] for task in spread if task != "vs"]


def _pitch_worst(e: Evidence) -> list[list[Draws]]:
    whom = [(enc, task) for task in e.performed() for enc in (VGG, MFCC)]
    by_code: dict[str, Draws] = {}
    for code in e.task_scores(*whom[0]).codes():
        by_code[code] = mean([mean(e.task_scores(*one).mild(code)) for one in whom])
    if "PS" not in by_code:
        raise UntestableError("the grid has no PS")
    return [[other, by_code["PS"]] for code, other in by_code.items() if code != "PS"]


def _pitch_varied(e: Evidence) -> list[list[Draws]]:
    spread: dict[str, Draws] = {}
    for code in e.scores(CW_E, NETWORKS[0]).codes():
        spread[code] = combined("std", [mean(e.scores(CW_E, w).mild(code)) for w in NETWORKS])
    if "PS" not in spread:
        raise UntestableError("the grid has no PS")
    return [[spread["PS"], other] for code, other in spread.items() if code != "PS"]


def _alike(measure: str) -> Callable[[Evidence], list[Draws]]:
    def numbers(e: Evidence) -> list[Draws]:
        rows = [[emm(e, (measure, *pair), who) for who in EVERYBODY] for pair in PAIRS]
        return [rank_correlation(rows[0], other) for other in rows[1:]]

    return numbers


def _as_on_originals(e: Evidence) -> list[Draws]:
    whole = [emm(e, ("C_B_rho", *pair), who) for pair in PAIRS for who in EVERYBODY]
    own = [e.originals(("C_B_rho", *pair), who) for pair in PAIRS for who in EVERYBODY]
    return [rank_correlation(whole, own)]


def _rises_again(e: Evidence) -> list[list[Draws]]:
    """Return, for the networks that fail most, C_B_acc at the worst noise and at the middle."""
    chains = []
    for code in ("PN", "EN"):
        severe = mean([e.scores(ACC, who).severe(code)[0] for who in NETWORKS])
        middle = mean([e.scores(ACC, who).middle(code) for who in NETWORKS])
        chains.append([severe, middle])
    return chains


def _acc_like_within(e: Evidence) -> list[Draws]:
    return [
        _size(mean(e.scores(ACC, w).mild()) - mean(e.scores(CW_C, w).mild())) for w in EVERYBODY
    ]


def _severity_matters_little(e: Evidence) -> list[Draws]:
    return [
        _size(mean(e.scores(RHO, w).severe()) - mean(e.scores(RHO, w).mild())) for w in EVERYBODY
    ]


def _clearer(e: Evidence) -> list[list[Draws]]:
    def lead(latent: str) -> Draws:
        scores = [("C_B_rho", audio, latent) for audio in ("dtw", "simple")]
        own = mean([emm(e, score, MFCC) for score in scores])
        return own - mean([emm(e, score, who) for score in scores for who in NETWORKS])

    return [[lead("euclidean"), lead("cosine")]]


def _tempo_least(e: Evidence) -> list[list[Draws]]:
    return [
        [e.scores(score, AUDIO).of("TS"), e.scores(score, AUDIO).of(code)]
        for score in (DTW, SIMPLE)
        for code in e.scores(score, AUDIO).codes()
        if code != "TS"
    ]


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
        Order(_tempo_least),
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
        Order(_rises_again),
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
        Bound(_alike("C_B_acc"), 0.89),
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
        Bound(_severity_matters_little, 0.1, above=False),
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
                [squares(e, RHO)["model"], _scaled(squares(e, RHO)[one], TWO_ORDERS)]
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
        Order(_clearer),
    ),
    Claim(
        "rho-alike",
        "5.3.2, Fig. 11",
        "all four pairs of distances order the encoders alike",
        "same observations",
        "rank correlation of C_B_rho's marginal means with those of dtw,euclidean",
        Bound(_alike("C_B_rho"), 0.89),
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
        Order(_variability),
    ),
    Claim(
        "mild-pitch",
        "5.4.1, Fig. 12",
        "of the mild changes pitch shifts degrade scores most",
        "relatively higher",
        "standardised scores at mild points, mean of tasks and encoders",
        Order(_pitch_worst),
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
                _size(mean(e.scores(CW_E, w).mild()) - mean(e.scores(CW_C, w).mild()))
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
        Order(_pitch_varied),
    ),
    Claim(
        "mild-acc",
        "5.4.3, Fig. 12",
        "under mild changes C_B_acc is C_W again",
        "resemble",
        "difference of mean C_B_acc[simple,cosine] and C_W (cosine), each encoder",
        Bound(_acc_like_within, 0.05, above=False),
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
        Bound(_as_on_originals, 0.9),
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
