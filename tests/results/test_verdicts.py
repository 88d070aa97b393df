from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nearkin.results import verdicts
from nearkin.results.deciding import decide
from nearkin.results.verdicts import caveat, verdict
from support.fabricated import COLUMNS, IMPERCEPTIBLE, PAPER, fabricate

POINTS = [(code, float(value)) for code, values in IMPERCEPTIBLE.items() for value in values]
SIDES = [("PN", ""), ("TS", "faster"), ("TS", "slower")]
RUN = {"n": 100, "encoders": [{"name": "x", "task": "", "role": "tested"}]}
NO_QUERIES = pd.DataFrame(
    {"encoder": [], "task": [], "transformation": [], "distance": [], "error": [], "clip_id": []},
    dtype=object,
)


def table(c_w=1.0, rho=1.0, *, width=0.0, original=1.0, n=100, encoder="x", task="", **changed):
    """One encoder, one distance: C_W at the imperceptible points and monotonicity per side."""
    rows = []
    common = {"encoder": encoder, "task": task, "trial": 1, "audio_distance": "", "n": n}
    common |= {"latent_distance": "cosine", "status": "ok", "side": "", "chance": 1 / n}
    values = dict.fromkeys(POINTS, c_w) | {("OG", 0.0): original}
    values |= changed.get("at", {})
    for (code, magnitude), value in values.items():
        rows.append(
            common
            | {"measure": "C_W", "transformation": code, "magnitude": magnitude, "value": value}
            | {"ci_low": value - width, "ci_high": value + width}
        )
    for code, side in SIDES:
        value = changed.get("rho_at", {}).get((code, side), rho)
        rows.append(
            common
            | {"measure": "monotonicity", "transformation": code, "magnitude": np.nan}
            | {"value": value, "ci_low": value - width, "ci_high": value + width, "side": side}
        )
    made = pd.DataFrame(rows)[COLUMNS]
    made.loc[made["value"].isna(), "status"] = "undefined: all distances are equal"
    return made


def near(consistency, run=RUN):
    return verdict(consistency, NO_QUERIES, run, "x").near


def moves_more(consistency):
    return verdict(consistency, NO_QUERIES, RUN, "x").further


def test_assumption_i_at_its_boundaries():
    below = np.nextafter(verdicts.NEAR, 0)
    assert near(table(verdicts.NEAR)).word == "holds"
    for at in (POINTS[:1], POINTS):
        assert near(table(at=dict.fromkeys(at, below))).word == "does not hold"
    assert near(table(0.97, width=0.02)).word == "holds"
    assert near(table(0.97, width=0.021)).word == "not settled"
    assert near(table(0.94, width=0.01)).word == "not settled"  # 0.95 lies in the interval
    assert near(table(0.94, width=0.0099)).word == "does not hold"


def test_assumption_ii_at_its_boundaries():
    below = np.nextafter(verdicts.MONOTONE, 0)
    assert moves_more(table(rho=verdicts.MONOTONE)).word == "holds"
    assert moves_more(table(rho=0.95, width=0.06)).word == "not settled"  # the interval decides
    assert moves_more(table(rho_at={SIDES[0]: below})).word == "does not hold"


def test_the_line_names_transformations_and_directions():
    wide = table(1.0, width=0.04, at={("EN", 30.0): 0.8, ("PS", 0.25): 0.93, ("PN", 30.0): 0.94})
    # an interval's width does not matter where it is far from the threshold
    assert near(wide).line == "holds for TS, PS−, MP; fails for EN; not settled: PN, PS+"
    assert near(wide).sentence.startswith("Holds for TS")
    assert (
        moves_more(table(rho_at={("TS", "slower"): 0.2})).line == "holds for PN, TS+; fails for TS−"
    )


def test_a_transformation_fails_where_one_distance_does():
    two = pd.concat([table(1.0), table(1.0, at={POINTS[0]: 0.2}).assign(latent_distance="x")])
    assert near(two).line == "holds for EN, TS, PS, MP; fails for PN"


# 50 of 50 correct: the exact interval's low end is .025 ** (1 / 50) = .929, and 72 is the smallest
# n with .025 ** (1 / n) >= .95. None right: 1 - .025 ** (1 / n) < .95 from n = 2 on.
@pytest.mark.parametrize(("share", "n", "told"), [(1.0, 50, "n = 72 "), (0.0, 1, "n = 2 ")])
def test_how_many_clips_would_settle_it(share, n, told):
    low, high = stats.binomtest(round(share * n), n).proportion_ci()
    made = table(share, n=n)
    made.loc[made["measure"] == "C_W", ["ci_low", "ci_high"]] = low, high
    found = near(made, RUN | {"n": n})
    assert found.word == "not settled"
    assert f"{n} clips do not settle PN, EN, TS−, TS+, PS−, PS+ and MP ({told}" in found.sentence


def test_equal_rank_correlations_have_an_exact_bound_instead_of_an_interval():
    for n, word in ((71, "not settled"), (72, "holds")):
        made = table(n=n)
        made.loc[made["measure"] == "monotonicity", ["ci_low", "ci_high"]] = np.nan
        found = verdict(made, NO_QUERIES, RUN | {"n": n}, "x").further
        assert found.word == word
    assert "n = 72 would settle it" in moves_more_of_few(50)
    blank = table(rho=0.97)
    blank.loc[blank["measure"] == "monotonicity", ["ci_low", "ci_high"]] = np.nan
    assert moves_more(blank).word == "not settled"
    assert "no number of clips would settle PN, TS−, TS+: no interval" in moves_more(
        blank
    ).sentence.replace(" and", ",")
    few = blank.assign(status="no interval: 2 trials are too few; 1 of 9 queries failed")
    assert "TS+: 2 trials are too few." in moves_more(few).sentence


def moves_more_of_few(n):
    made = table(n=n)
    made.loc[made["measure"] == "monotonicity", ["ci_low", "ci_high"]] = np.nan
    return verdict(made, NO_QUERIES, RUN | {"n": n}, "x").further.sentence


def chances(true: float, n: int) -> tuple[float, float]:
    """P("holds") and P("does not hold") for a true C_W, from the binomial distribution itself."""
    right = np.arange(n + 1)
    weight = stats.binom.pmf(right, n, true)
    held = fails = 0.0
    for count in right[weight > 1e-12]:
        ends = stats.binomtest(int(count), n).proportion_ci()
        word = decide(ends.low, ends.high, verdicts.NEAR)
        held += weight[count] * (word == "holds")
        fails += weight[count] * (word == "does not hold")
    return held, fails


def test_words_do_not_jump_with_the_number_of_clips():
    """Exact tests of counts have teeth; these are small, and never cross to the other word.

    The word "holds" was right by luck with P = .26 at N 19 and .88 at N 20 for a true C_W of .99
    under the rule before; now it is never said below N = 72 and then more and more often. Where
    another failure becomes allowed P steps up; until then it falls by .16 at the most, and what
    takes its place is "not settled".
    """
    sizes = [*range(2, 73, 10), *range(72, 260, 4)]
    held, fails = np.array([chances(0.99, n) for n in sizes]).T
    assert (held[np.array(sizes) < 72] == 0).all()
    assert (np.maximum.accumulate(held) - held).max() < 0.16
    assert fails.max() < 1e-3
    assert held[-1] > 0.95
    for n in sizes:  # the two that decide are wrong for one in forty at the most
        assert chances(np.nextafter(0.95, 0), n)[0] <= 0.025
        assert chances(0.95, n)[1] <= 0.025


def test_the_sentence_carries_the_worst_number_its_interval_and_chance():
    found = near(table(0.99, width=0.01, at={("PS", -0.25): 0.6}))
    assert "0.60 [0.59, 0.61]" in found.sentence
    assert "PS at −0.25 semitones, cosine" in found.sentence
    assert "Chance is 0.01 (N = 100)" in found.sentence
    assert len(found.numbers) == 7


def test_failed_queries_are_named():
    made = table(at={("EN", 30.0): 3 / 14}, n=14).assign(n_failed=0)
    made.loc[(made["transformation"] == "EN") & (made["measure"] == "C_W"), "n_failed"] = 11
    found = verdict(made, NO_QUERIES, RUN | {"n": 14}, "x")
    assert "where 11 of 14 queries failed and count as lost" in found.near.sentence
    assert found.notes[0].startswith("11 of 112 queries failed; each counts as lost. Most: EN")
    assert not any("failed" in note for note in verdict(table(), NO_QUERIES, RUN, "x").notes)


@pytest.mark.parametrize(
    ("audio", "width", "said"),
    [
        (0.9, 0.01, "below 0.95 itself"),
        (0.97, 0.01, "the loss is the encoder's"),
        (0.97, 0.2, "within the encoder's interval"),
    ],
)
def test_a_shortfall_is_set_beside_the_audio_space_without_overclaiming(audio, width, said):
    beside = table(audio, encoder="audio")
    beside["audio_distance"], beside["latent_distance"] = "dtw", ""
    both = pd.concat([table(at={POINTS[0]: 0.8}, width=width), beside])
    assert said in near(both).sentence


def test_undefined_is_said_with_its_reason():
    found = verdict(table(np.nan, np.nan, original=np.nan), NO_QUERIES, RUN, "x")
    assert found.near.word == found.further.word == "undefined"
    assert "all distances are equal" in found.near.sentence
    assert verdict(table().head(0), NO_QUERIES, RUN, "x").near.word == "undefined"


def test_partly_undefined_is_counted():
    found = verdict(table(at={POINTS[0]: np.nan}, rho_at={SIDES[0]: np.nan}), NO_QUERIES, RUN, "x")
    assert found.near.word == found.further.word == "holds"
    assert "1 of 7 cases are undefined" in found.near.sentence
    assert "1 of 3 cases are undefined" in found.further.sentence


def test_the_constant_encoder_fails_in_plain_words():
    data = fabricate(n=15, tested=(("good", ""),))
    found = verdict(data.consistency, data.queries, data.run, "constant")
    assert found.near.word == "does not hold"
    assert "even for the unchanged clips" in found.near.sentence
    assert found.further.word == "undefined"
    assert any("15 clips share their embedding" in note for note in found.notes)
    assert any(note.startswith("C_B_rho: Undefined") for note in found.notes)


def test_identical_embeddings_are_reported():
    queries = pd.DataFrame(
        {
            "encoder": "x",
            "task": "",
            "transformation": "OG",
            "distance": "cosine",
            "error": pd.array([1, 1, 0, pd.NA], dtype="Int64"),
            "clip_id": ["a", "b", "c", "d"],
        }
    )
    notes = verdict(table(original=0.98), queries, RUN, "x").notes
    assert any("0.980" in note and "2 clips share" in note for note in notes)
    assert not any("share" in note for note in verdict(table(), queries, RUN, "x").notes)


def test_tested_come_first_and_the_audio_space_last():
    data = fabricate(n=10, grid=IMPERCEPTIBLE)
    found = verdicts.verdicts(data.consistency, data.queries, data.run)
    assert [one.role for one in found] == ["tested"] * 2 + ["reference"] * 3 + ["audio"]


def test_a_grid_without_imperceptible_points_says_so():
    assert caveat(table()) == ""
    coarse = fabricate(n=10, grid={"PN": [10, 20], "PS": [-0.25, 2]}).consistency
    assert "PN at 20 dB and PS at +2 semitones" in caveat(coarse)
    assert "−0.25" not in caveat(coarse)


def test_what_costs_most_is_said_by_distance_with_what_was_left_out():
    two = pd.concat(
        [
            table(at={("PN", 30.0): 0.2}),
            table(at={("MP", 192.0): 0.4, ("EN", 30.0): np.nan}).assign(
                latent_distance="euclidean"
            ),
        ]
    )
    (note,) = [n for n in verdict(two, NO_QUERIES, RUN, "x").notes if "Over the whole" in n]
    assert "under the cosine distance Pink noise (PN) costs most, mean C_W 0.20" in note
    assert "under the Euclidean distance MP3 compression (MP) costs most, mean C_W 0.40" in note
    assert "leave out undefined scores (1 of EN)" in note


def test_means_over_trials_speak_where_there_are_several():
    data = fabricate(n=12, trials=2, tested=(("vgg", "at"),), grid={"PN": [0, 30]})
    found = verdict(data.consistency, data.queries, data.run, "vgg", task="at")
    rows = data.consistency.query(
        "encoder == 'vgg' and measure == 'C_W' and transformation == 'PN' and magnitude == 30"
    )
    expected = rows[rows["trial"] == 0].set_index("latent_distance")["value"]
    assert [one.value for one in found.near.numbers] == pytest.approx(
        [expected["euclidean"], expected["cosine"]]
    )
    assert any("2 trials" in note for note in found.notes)


def test_the_rules_state_the_constants():
    for constant in (verdicts.NEAR, verdicts.MONOTONE):
        assert f"{constant:g}" in verdicts.RULES
    assert len(PAPER) == 5
