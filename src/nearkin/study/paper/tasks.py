"""Section 5.1: scores in the learning tasks, and how changes lower them."""

from __future__ import annotations

from nearkin.study.evidence import MFCC, VGG
from nearkin.study.paper.claim import Claim
from nearkin.study.quantities import (
    SCORES,
    gap,
    performance_squares,
    task_mean,
    task_slopes,
)
from nearkin.study.rules import Effects, Fit, Order, Trend, Value

TASK_SCORES = (
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
