"""The explorer: its data against the tables, its texts as text, and the way from point to sound."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re

import numpy as np
import pytest

from nearkin import audio
from nearkin.report import page as report
from nearkin.report.explorer import LISTED, explorer_json, packed, points_of, sounds_json
from nearkin.results.lost_queries import lost_queries, worth_hearing
from nearkin.results.systems import systems_of
from nearkin.transforms.magnitudes import Point
from support.fabricated import fabricate
from support.hostile import NAMES
from support.shown import seen_by_chromium

GRID = {"PN": [-3, 12, 30], "TS": [0.7, 0.98, 1.02, 1.3], "MP": [16, 64, 192]}


@pytest.fixture(scope="module")
def data():
    return fabricate(n=30, grid=GRID, tested=(("good", ""), ("vgg", "ae")))


@pytest.fixture(scope="module")
def known(data):
    return json.loads(explorer_json(data))


def unpacked(text: str) -> str:
    return gzip.decompress(base64.b64decode(text)).decode()


def test_every_value_is_the_tables(data, known):
    points = points_of(data.consistency)
    systems = systems_of(data.run, data.consistency)
    latent = known["latentNames"].index("euclidean")
    table = data.consistency.query("measure == 'C_W' and latent_distance == 'euclidean'")
    table = table.set_index(["encoder", "task", "transformation", "magnitude"])
    for number, system in enumerate(systems):
        (curve,) = [c for c in known["curves"] if c[:2] == [number, 0] and c[3] == latent]
        for place, point in enumerate(points):
            row = table.loc[(system.encoder, system.task, *point)]
            wanted = [row["value"], row["ci_low"], row["ci_high"], row["chance"]]
            assert curve[4][place] == pytest.approx(wanted, rel=1e-3)
    assert [t["code"] for t in known["transformations"]] == ["PN", "TS", "MP"]
    assert [x for t in known["transformations"] for x in t["x"]] == [p.magnitude for p in points]


def test_the_lost_of_a_point_are_the_tables_the_worst_first(data, known):
    rows = data.queries.query(
        "encoder == 'vgg' and distance == 'cosine' and transformation == 'PN' and magnitude == -3 "
        "and error == 1"
    )
    latent = known["latentNames"].index("cosine")
    (found,) = [one for one in known["lost"] if one[:3] == [1, latent, 0]]
    assert found[3] == len(rows) > LISTED
    assert [row[2] for row in found[4]] == sorted(rows["rank"], reverse=True)[:LISTED]
    by_clip = rows.set_index("clip_id")
    for clip, intruder, rank, own, nearest, _ in found[4]:
        row = by_clip.loc[known["ids"][clip]]
        assert known["ids"][intruder] == row["nearest_id"]
        assert (rank, own, nearest) == pytest.approx(
            (row["rank"], row["d_own"], row["d_nearest"]), rel=1e-5
        )


def test_an_encoder_that_tells_nothing_apart_has_no_lost_clips(data, known):
    assert set(lost_queries(data.queries)["encoder"]) == {
        "good",
        "vgg",
        "mfcc",
        "logmel-projection",
    }
    constant = next(i for i, one in enumerate(known["systems"]) if one["label"] == "constant")
    assert constant not in {one[0] for one in known["lost"]}


def test_the_worst_of_every_point_is_heard_before_the_second_worst_of_any(data):
    lost = lost_queries(data.queries)
    order = worth_hearing(lost, first=["good"])
    assert len(order) == len(set(order))
    firsts = lost[lost["place"] == 0]
    keys = ["clip_id", "transformation", "magnitude"]
    wanted = set(firsts[keys].itertuples(index=False, name=None))
    assert set(order[: len(wanted)]) == wanted
    good = set(firsts.query("encoder == 'good'")[keys].itertuples(index=False, name=None))
    assert set(order[: len(good)]) == good


def test_packed_text_is_inert_and_always_the_same():
    for name in (*NAMES, "</script>" * 100):
        text = packed(name)
        assert re.fullmatch(r"[A-Za-z0-9+/]*=*", text)
        assert text == packed(name)


def test_only_clips_that_are_listed_are_named():
    few = fabricate(n=300, grid={"PN": [12]}, tested=(("good", ""),), references=("mfcc",))
    known = json.loads(explorer_json(few))
    lost = lost_queries(few.queries)
    lost = lost[lost["place"] < LISTED]
    assert set(known["ids"]) == set(lost["clip_id"]) | set(lost["nearest_id"])
    assert 0 < len(known["ids"]) <= 2 * 2 * 2 * LISTED  # encoders, distances, clip and intruder


def test_sounds_are_found_by_clip_and_point(data, known):
    point = Point("TS", 0.98)
    sounds = {("c0003", None): b"own", ("c0003", point): b"changed", ("gone", None): b"no"}
    found = json.loads(sounds_json(dataclasses.replace(data, sounds=sounds)))
    place = points_of(data.consistency).index(point)
    clip = known["ids"].index("c0003")
    assert {key: base64.b64decode(text) for key, text in found.items()} == {
        f"{clip}": b"own",
        f"{clip}.{place}": b"changed",
    }


def test_the_page_holds_the_explorer_packed(data, known):
    text = report.build(data, stills=False)
    (inside,) = re.findall(r'id="explorer-data">([^<]*)<', text)
    assert json.loads(unpacked(inside)) == known


def test_a_run_without_a_grid_has_no_explorer(data):
    none = dataclasses.replace(data, consistency=data.consistency[:0])
    assert explorer_json(none) == ""


def test_stills_stand_in_the_page_for_readers_without_scripts():
    text = report.build(fabricate(n=5, grid={"PN": [0, 30], "MP": [64]}))
    stills = re.findall(r"<noscript>(<svg.*?</svg>)</noscript>", text, re.DOTALL)
    assert len(stills) == text.count('<div class="chart"')
    parts = re.findall(r'id="(part-[^"]*)"', text)
    assert len(parts) == len(set(parts))
    named = set(re.findall(r"url\(#([^)]*)\)", "".join(stills)))
    assert named
    assert named <= set(parts)


CHOOSE = """
  const told = [];
  const note = () => told.push(document.querySelector('.explorer-failures').textContent);
  const marks = () => [...document.querySelectorAll('.explorer-chart [role=button]')];
  const choose = (which, index) => {
    const list = document.querySelectorAll('#explore select')[which];
    list.selectedIndex = index;
    list.dispatchEvent(new Event('change'));
  };
  choose(0, 0);
  const wanted = (one) => one.getAttribute('aria-label').startsWith('vgg-ae, PN at −3');
  const wait = () => new Promise((go) => setTimeout(go, 50));
  for (let i = 0; i < 200 && !marks().some(wanted); i++) await wait();
  const mark = marks().find(wanted);
  mark.focus();
  mark.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
  note();
  const players = document.querySelectorAll('.explorer-failures audio');
  told.push(players.length);
  const durations = await Promise.all([...players].slice(0, 3).map((one) => new Promise((done) => {
    one.addEventListener('loadedmetadata', () => done(one.duration.toFixed(1)));
    one.addEventListener('error', () => done('broken'));
    one.load();
  })));
  told.push(durations.join());
  marks().find((one) => one.getAttribute('aria-label').startsWith('good, PN at −3'))
    .dispatchEvent(new MouseEvent('click', { bubbles: true }));
  note();
  const slider = document.getElementById('explore-at');
  slider.value = '2';
  slider.dispatchEvent(new Event('input'));
  told.push(document.querySelector('.values caption').textContent);
  choose(1, 2);
  told.push(document.querySelector('.values caption').textContent);
  document.documentElement.dataset.told = JSON.stringify(told);
"""


@pytest.mark.browser
def test_from_a_point_to_its_sound_by_keyboard(data, known, tmp_path):
    tone = 0.1 * np.sin(np.arange(22_050) / 10)
    mp3 = audio.encode_mp3(tone, sr=22_050, kbps=64)
    point = Point("PN", -3.0)
    latent = known["latentNames"].index("cosine")
    vgg = next(i for i, one in enumerate(known["systems"]) if one["label"] == "vgg-ae")
    (lost,) = [one for one in known["lost"] if one[:3] == [vgg, latent, 0]]
    worst = lost[4][0]
    own, other = (known["ids"][worst[place]] for place in (0, 1))
    sounds = {(own, point): mp3, (own, None): mp3, (other, None): mp3}
    text = report.build(dataclasses.replace(data, sounds=sounds), stills=False)
    seen = seen_by_chromium(text, tmp_path, script=CHOOSE)
    assert seen.complaints == []
    told = json.loads(seen.told)
    assert told[0].startswith(f"vgg-ae, PN at −3 dB, {known['latent'][latent]}")
    assert known["clips"][worst[0]] in told[0]
    assert f"its own original ranks {worst[2]} of 30" in told[0]
    assert told[1] >= 3
    assert all(float(part) == pytest.approx(1.0, abs=0.1) for part in told[2].split(","))
    assert told[3].startswith("good, PN at −3 dB")
    assert told[4].startswith("C_W, PN at 30 dB")
    assert told[5].startswith("C_B_rho, PN at 30 dB")
