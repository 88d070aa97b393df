"""The report's section on what is heard: there where it was measured, two scales in two tables."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from nearkin.report import page
from nearkin.report.heard import heard_section
from nearkin.tables import AUDIBILITY, PERCEPTION
from support.fabricated import fabricate
from support.shown import Page


def perceived(code, magnitude, scale, mos, jnd):
    return ["c0000", code, magnitude, magnitude, scale, mos, math.nan, jnd, "ok"]


def score(encoder, code, side, scale, magnitude, value, status="ok"):
    level = 4.5 if scale == "mos" else 1.0
    return [encoder, "", 1, "C_W", "cosine", code, side, scale, level, magnitude, value,
            value - 0.1, value + 0.1, "clopper-pearson", 12, 0, status]  # fmt: skip


@pytest.fixture(scope="module")
def data():
    made = fabricate(n=12, grid={"PN": [12, 30], "TS": [0.98, 1.02], "MP": [64]})
    encoder = str(made.run["encoders"][0]["name"])
    heard = [
        perceived("OG", 0.0, "mos", 5.0, 0.0),
        *(perceived("PN", snr, "mos", mos, math.nan) for snr, mos in ((12.0, 3.0), (30.0, 4.67))),
        *(perceived("TS", ratio, "jnd", math.nan, 0.68) for ratio in (0.98, 1.02)),
        perceived("MP", 64.0, "mos", 4.4, math.nan),
    ]
    scores = [
        score(encoder, "PN", "", "mos", 28.1, 0.51),
        score(encoder, "MP", "", "mos", math.nan, math.nan, "no clip was heard"),
        score(encoder, "TS", "slower", "jnd", 0.9712, 0.9),
        score(encoder, "TS", "faster", "jnd", 1.0303, 0.8),
    ]
    return dataclasses.replace(
        made,
        perception=pd.DataFrame(heard, columns=list(PERCEPTION)),
        audibility=pd.DataFrame(scores, columns=list(AUDIBILITY)),
    )


def test_two_scales_are_two_tables(data):
    found = heard_section(data)
    assert found is not None
    assert "PN at 30 dB: MOS 4.67" in found.sentence
    assert "TS at 0.98 × tempo: 0.68 JND" in found.sentence
    assert "PN at 12" not in found.sentence
    quality, steps = found.tables
    assert quality.head == ("encoder", "PN at 28.1 dB", "MP at –")
    assert quality.rows[0][1:] == ("0.51 [0.41, 0.61]", "no clip was heard")
    assert "MOS 4.5" in quality.caption
    assert steps.head[1:] == ("TS− at 0.971 × tempo", "TS+ at 1.03 × tempo")
    assert "1 just noticeable difference," in steps.caption


def test_the_page_has_the_section_where_it_was_measured(data):
    html = page.build(data, stills=False)
    assert Page(html).open == []
    assert '<section id="heard"' in html
    assert 'href="#heard"' in html
    assert "0.51 [0.41, 0.61]" in html
    without = dataclasses.replace(data, perception=None)
    assert heard_section(without) is None
    assert 'id="heard"' not in page.build(without, stills=False)
