"""The plan: normalised, checked all at once, equal exactly when the run is the same."""

from __future__ import annotations

import json

import pytest

from nearkin.encoders import TRAINED
from nearkin.errors import InputError
from nearkin.runs.plan import changed_settings, make_plan, references_for


def test_equal_settings_are_equal_plans() -> None:
    one = make_plan({"encoders": ["mfcc"], "grid": "paper", "clip_seconds": 2})
    two = make_plan({"encoders": ["mfcc"], "grid": "paper", "clip_seconds": 2.0})
    assert one == two
    assert hash(one) == hash(two)
    assert changed_settings(one.settings(), two.settings()) == []


def test_paper_defaults() -> None:
    plan = make_plan({"encoders": ["mfcc"], "grid": "paper"})
    assert len(plan.points) == 1 + 91
    assert plan.points[0] == ("OG", 0.0)
    assert plan.clip_samples == 44_100
    assert plan.clip_frames == 87
    assert plan.context_seconds == 4
    assert plan.shortest_seconds == 3
    assert plan.pairs == (
        ("dtw", "euclidean"), ("dtw", "cosine"), ("simple", "euclidean"), ("simple", "cosine")
    )  # fmt: skip


def test_settings_are_finite_json() -> None:
    settings = make_plan({"encoders": ["mfcc"], "grid": "quick"}).settings()
    assert json.loads(json.dumps(settings, allow_nan=False)) == settings


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        make_plan({"encoders": ["mfcc"], "grid": "quick", "seed": -1, "clips": 1, "rho": "x"})
    for name in ("seed=-1", "clips=1", "rho='x'"):
        assert name in str(caught.value)


def test_unknown_settings_are_suggested() -> None:
    with pytest.raises(InputError, match="unknown setting 'clip_secnds': did you mean 'clip_s"):
        make_plan({"encoders": ["mfcc"], "grid": "quick", "clip_secnds": 2})


def test_references_are_added_unless_asked_for() -> None:
    plan = make_plan({"encoders": ["mfcc", "x:y"], "grid": "quick"})
    assert references_for(plan) == ("logmel-projection", "constant", *TRAINED)


def test_changes_are_named_with_both_values() -> None:
    old = make_plan({"encoders": ["mfcc"], "grid": "quick"}).settings()
    new = make_plan({"encoders": ["random"], "grid": "paper", "noise": "bar.wav"}).settings()
    assert changed_settings(old, new) == [
        "encoders (was mfcc, now logmel-projection)",
        "grid (was quick with 24 points, now paper with 91 points)",
        "noise (was unset, now bar.wav)",
    ]


def test_references() -> None:
    plan = make_plan({"encoders": ["mfcc", "vgg-at"], "grid": "quick"})
    assert references_for(plan) == ("logmel-projection", "constant", "vgg-ae", "vgg-ir", "vgg-vs")
    few = make_plan({"encoders": ["mfcc"], "grid": "quick", "references": "untrained"})
    assert references_for(few) == ("logmel-projection", "constant")
    short = make_plan({"encoders": [], "grid": "quick", "clip_seconds": 1.4})
    assert references_for(short) == ("mfcc", "logmel-projection", "constant"), (
        "they need 128 frames"
    )
    with pytest.raises(InputError, match="references='none'"):
        make_plan({"encoders": ["mfcc"], "grid": "quick", "references": "none"})


def test_an_encoders_old_name_is_the_same_plan() -> None:
    old = make_plan({"encoders": ["random"], "grid": "quick"})
    assert old == make_plan({"encoders": ["logmel-projection"], "grid": "quick"})
    assert references_for(old) == ("mfcc", "constant", *TRAINED)
    with pytest.raises(InputError, match="asked for twice"):
        make_plan({"encoders": ["random", "logmel-projection"], "grid": "quick"})
