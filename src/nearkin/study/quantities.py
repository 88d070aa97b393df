"""Our quantities beside the paper's: marginal means, gaps, slopes, mean squares of a study.

Every function takes the evidence and returns numbers, or chains of numbers that a claim says fall.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nearkin.study.draws import Draws, combined, mean
from nearkin.study.evidence import MFCC, NETWORKS, VGG, Evidence, Question3
from nearkin.study.rules import Order
from nearkin.study.scores import UntestableError, mean_squares, median, rank_correlation
from nearkin.tables import AUDIO
from nearkin.tasks import level

CW_E: Question3 = ("C_W", "", "euclidean")
CW_C: Question3 = ("C_W", "", "cosine")
ACC: Question3 = ("C_B_acc", "simple", "cosine")
RHO: Question3 = ("C_B_rho", "dtw", "euclidean")
DTW: Question3 = ("C_W", "dtw", "")
SIMPLE: Question3 = ("C_W", "simple", "")
PAIRS = tuple((a, z) for a in ("dtw", "simple") for z in ("euclidean", "cosine"))
SCORES: Question3 = ("performance", "", "")
EVERYBODY = (MFCC, *NETWORKS)
TWO_ORDERS = 10**1.5
"""What rounds to two orders of magnitude or more."""
MODEL, CHANGE = "encoder", "transformation"


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
    main = scaled(squared(between), n_tasks * n_codes / 2)
    with_task = scaled(combined("var", gaps), n_codes / 2)
    rows = [mean(both[task]) for task in tasks]
    columns = [mean([both[task][k] for task in tasks]) for k in range(n_codes)]
    whole = mean(rows)
    rest = [
        squared(added(both[task][k] - rows[i] - columns[k], whole))
        for i, task in enumerate(tasks)
        for k in range(n_codes)
    ]
    by_change = scaled(mean(rest), 2 * n_tasks * n_codes / ((n_tasks - 1) * (n_codes - 1)))
    return {"encoder": main, "task:transformation": by_change, "encoder:task": with_task}


def squared(one: Draws) -> Draws:
    """Return the square of a number."""
    return Draws(one.value**2, one.replicates**2)


def added(one: Draws, two: Draws) -> Draws:
    """Return the sum of two numbers."""
    return Draws(one.value + two.value, one.replicates + two.replicates)


def scaled(one: Draws, factor: float) -> Draws:
    """Return a multiple of a number."""
    return Draws(one.value * factor, one.replicates * factor)


def size(one: Draws) -> Draws:
    """Return the absolute value of a number."""
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
        parts = [scaled(one, (place - centre) / scale) for place, one in zip(x, found, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = added(total, part)
        return [total]

    return numbers


def variability(e: Evidence) -> list[list[Draws]]:
    """Return the spread over mild changes of VS, and of every other task."""
    spread = {task: combined("std", e.task_scores(VGG, task).mild()) for task in e.performed()}
    if "vs" not in spread:
        raise UntestableError("the study has no task scores of vs")
    return [[spread["vs"], spread[task]] for task in spread if task != "vs"]


def pitch_worst(e: Evidence) -> list[list[Draws]]:
    """Return other mild changes' task scores, and pitch shifts'."""
    whom = [(enc, task) for task in e.performed() for enc in (VGG, MFCC)]
    by_code: dict[str, Draws] = {}
    for code in e.task_scores(*whom[0]).codes():
        by_code[code] = mean([mean(e.task_scores(*one).mild(code)) for one in whom])
    if "PS" not in by_code:
        raise UntestableError("the grid has no PS")
    return [[other, by_code["PS"]] for code, other in by_code.items() if code != "PS"]


def pitch_varied(e: Evidence) -> list[list[Draws]]:
    """Return how networks differ in C_W under mild pitch shifts, and under other mild changes."""
    spread: dict[str, Draws] = {}
    for code in e.scores(CW_E, NETWORKS[0]).codes():
        spread[code] = combined("std", [mean(e.scores(CW_E, w).mild(code)) for w in NETWORKS])
    if "PS" not in spread:
        raise UntestableError("the grid has no PS")
    return [[spread["PS"], other] for code, other in spread.items() if code != "PS"]


def alike(measure: str) -> Callable[[Evidence], list[Draws]]:
    """Return rank correlations of the encoders between pairs of distances."""

    def numbers(e: Evidence) -> list[Draws]:
        rows = [[emm(e, (measure, *pair), who) for who in EVERYBODY] for pair in PAIRS]
        return [rank_correlation(rows[0], other) for other in rows[1:]]

    return numbers


def as_on_originals(e: Evidence) -> list[Draws]:
    """Return the rank correlation of C_B_rho on unchanged clips and over all changes."""
    whole = [emm(e, ("C_B_rho", *pair), who) for pair in PAIRS for who in EVERYBODY]
    own = [e.originals(("C_B_rho", *pair), who) for pair in PAIRS for who in EVERYBODY]
    return [rank_correlation(whole, own)]


def rises_again(e: Evidence) -> list[list[Draws]]:
    """Return, for the networks that fail most, C_B_acc at the worst noise and at the middle."""
    chains = []
    for code in ("PN", "EN"):
        severe = mean([e.scores(ACC, who).severe(code)[0] for who in NETWORKS])
        middle = mean([e.scores(ACC, who).middle(code) for who in NETWORKS])
        chains.append([severe, middle])
    return chains


def acc_like_within(e: Evidence) -> list[Draws]:
    """Return how far C_B_acc is from C_W under mild changes, an encoder each."""
    return [size(mean(e.scores(ACC, w).mild()) - mean(e.scores(CW_C, w).mild())) for w in EVERYBODY]


def severity_matters_little(e: Evidence) -> list[Draws]:
    """Return by how much C_B_rho changes from mild to severe, an encoder each."""
    return [
        size(mean(e.scores(RHO, w).severe()) - mean(e.scores(RHO, w).mild())) for w in EVERYBODY
    ]


def clearer(e: Evidence) -> list[list[Draws]]:
    """Return MFCC's lead in C_B_rho by Euclidean distance, and by cosine."""

    def lead(latent: str) -> Draws:
        scores = [("C_B_rho", audio, latent) for audio in ("dtw", "simple")]
        own = mean([emm(e, score, MFCC) for score in scores])
        return own - mean([emm(e, score, who) for score in scores for who in NETWORKS])

    return [[lead("euclidean"), lead("cosine")]]


def tempo_least(e: Evidence) -> list[list[Draws]]:
    """Return C_W of the audio space under TS, and under every other change."""
    return [
        [e.scores(score, AUDIO).of("TS"), e.scores(score, AUDIO).of(code)]
        for score in (DTW, SIMPLE)
        for code in e.scores(score, AUDIO).codes()
        if code != "TS"
    ]
