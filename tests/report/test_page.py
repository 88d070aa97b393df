from __future__ import annotations

import base64
import dataclasses
import json

import pandas as pd
import pytest

from nearkin.report import listings
from nearkin.report import page as report
from nearkin.report.blocks import json_for_script
from nearkin.report.methods import paragraph, software_bibtex
from support.fabricated import fabricate
from support.hostile import NAMES
from support.shown import Page, seen_by_chromium, specs_of

HOSTILE = [
    "</script><script>window.hacked=1</script>.ogg",
    "<img src=x onerror=window.hacked=1>.ogg",
    '" onmouseover="window.hacked=1.ogg',
    "line\nbreak\u2028.ogg",
    "<!-- <script> -->.ogg",
    "surrogate\udc80.ogg",
    "{{ 7 * 7 }}{% raw %}.ogg",
    "\u202egnp.exe",
]


@pytest.fixture(scope="module")
def data():
    small = {"PN": [-3, 12, 30], "TS": [0.7, 0.98, 1.02, 1.3], "MP": [16, 64, 192]}
    names = HOSTILE + [f"track {i}.ogg" for i in range(20)]
    made = fabricate(n=12, grid=small, name_of=lambda i: names[i])
    failures = made.failures.assign(clip_id="c0000", nearest_id="c0005")
    failures.loc[failures.index[::2], ["clip_id", "nearest_id"]] = ["c0006", "c0007"]
    run = made.run | {"encoders": [dict(one) for one in made.run["encoders"]]}
    return dataclasses.replace(made, failures=failures, run=run)


@pytest.fixture(scope="module")
def html(data):
    return report.build(data, stills=False)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_parses_and_nests(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in page.tags].count("h1") == 1


def test_nothing_is_loaded_from_outside(page, html):
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "data", "action"):
            value = attributes.get(name)
            if value is None:
                continue
            if tag == "a":
                assert value.startswith("#")
            else:
                assert value.startswith("data:"), (tag, value)
    css = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in css
    assert "@import" not in css


def test_links_inside_the_page_lead_somewhere(page):
    ids = {attributes.get("id") for _, attributes in page.tags}
    for tag, attributes in page.tags:
        if tag == "a":
            assert (attributes["href"] or "#")[1:] in ids


def test_commands_are_not_broken_in_two():
    some = fabricate(n=4, grid={"PN": [0, 30]}, failures_each=1)
    told = "Less <b>; nearkin report --sounds 10MB has more, nearkin listen any (--sounds none)."
    html = report.build(dataclasses.replace(some, silence=told), stills=False)
    held = '<span class="command">'
    assert (
        f'<p class="note">Less &lt;b&gt;; {held}nearkin report --sounds 10MB</span> has more, '
        f"{held}nearkin listen</span> any ({held}--sounds none</span>).</p>"
    ) in html
    assert ".command { white-space: nowrap; }" in html


def test_hostile_names_stay_text(page, html):
    assert "img" not in {tag for tag, _ in page.tags}
    assert len(page.scripts) == 1 + sum(kind.get("type") is not None for kind, _ in page.scripts)
    assert "onmouseover" not in {name for _, attributes in page.tags for name in attributes}
    shown = " ".join(page.texts)
    assert HOSTILE[0] in shown
    assert r"surrogate\x80.ogg" in shown
    assert "{{ 7 * 7 }}{% raw %}.ogg" in shown
    assert "49.ogg" not in shown
    assert r"\u202egnp.exe" in shown
    assert "\u202e" not in html
    html.encode("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_json_in_a_script_element_is_inert(name):
    text = str(json_for_script({"name": name}))
    assert text.isascii()
    assert not set("<>&\n") & set(text)
    assert json.loads(text) == {"name": name}


def test_hostile_encoder_and_status_are_escaped(data):
    evil = "</script><b>e"
    consistency = data.consistency.replace({"encoder": {"good": evil}})
    queries = data.queries.replace({"encoder": {"good": evil}})
    run = dict(data.run)
    run["encoders"] = [
        entry | ({"name": evil} if entry["name"] == "good" else {}) for entry in run["encoders"]
    ]
    run["encoders"].append({"name": "gone", "status": "<i>no memory", "role": "tested"})
    text = report.build(
        dataclasses.replace(data, consistency=consistency, queries=queries, run=run), stills=False
    )
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;/script&gt;&lt;b&gt;e" in text
    assert "&lt;i&gt;no memory" in text


def test_the_order_of_the_page(html):
    order = [
        "answer",
        "explorer",
        "verdict",
        "reading",
        "within",
        "between",
        "mildest-and-most-severe",
        "originals",
    ]
    order += ["failures", "left-out", "methods", "cite"]
    places = [html.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)


def test_every_figure_has_its_spec_and_the_spec_its_data(html, page, data):
    specs = {name: json.loads(text) for name, text in specs_of(html).items()}
    wanted = {attributes["data-spec"] for _, attributes in page.tags if "data-spec" in attributes}
    assert wanted == set(specs)
    assert {f"figure-{number}-spec" for number in (3, 6, 7, 10, 12, 13)} <= wanted
    table = data.consistency.query(
        "encoder == 'poor' and measure == 'C_W' and latent_distance == 'euclidean'"
    )
    panel = specs["figure-7-spec"]["vconcat"][0]["concat"][0]
    drawn = {o["x"]: o["value"] for o in panel["data"]["values"] if o["series"] == "poor"}
    expected = table[table["transformation"] == "PN"].set_index("magnitude")["value"].to_dict()
    assert drawn == pytest.approx(expected, abs=1e-6)


def test_players_carry_the_sounds(page, data):
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "audio"]
    assert len(sources) % 3 == 0
    assert sources
    sounds = {base64.b64decode(source.partition(",")[2]) for source in sources}
    assert sounds <= set(data.audio.values())


def test_too_much_audio_is_left_out_not_the_failure(data, monkeypatch):
    monkeypatch.setattr(listings, "AUDIO_BUDGET", 5_000)
    text = report.build(data, stills=False)
    assert 0 < text.count("<audio") < text.count('class="role"')
    assert "(no sound in this page)" in text


def test_a_failure_in_words():
    row = {"transformation": "PN", "magnitude": 30.0, "distance": "cosine", "nearest_id": "b"}
    row |= {"d_own": 0.31, "d_nearest": 0.12}
    assert listings.failure_sentence(row, {"b": "B"}) == (
        "PN at 30 dB, cosine: the noisy clip lies nearer to “B” (0.12) than to its own "
        "original (0.31)."
    )
    close = listings.failure_sentence(row | {"d_own": 0.12346, "d_nearest": 0.12344}, {})
    assert "(0.1234)" in close
    assert "(0.1235)" in close
    tie = listings.failure_sentence(row | {"d_own": 0.0, "d_nearest": 0.0}, {})
    assert "exactly as near" in tie
    assert "a tie is an error" in tie


def test_everything_skipped_is_listed_with_its_reason(page):
    shown = " ".join(page.texts)
    for text in ("broken.mp3", "no audio stream", "too short: 1.2 s", "loudness not measurable"):
        assert text in shown


def test_identical_clips_are_named(data):
    clips = data.clips.copy()
    clips.loc[9, ["content_sha256", "start_s"]] = clips.loc[8, ["content_sha256", "start_s"]]
    text = report.build(dataclasses.replace(data, clips=clips), stills=False)
    assert "2 clips have identical content: track 0.ogg, track 1.ogg." in text


def test_the_folder_all_clips_share_is_not_told(data):
    clips = data.clips.assign(
        path=[f"/home/somebody/music/album {i % 2}/{i}.ogg" for i in range(len(data.clips))]
    )
    text = report.build(dataclasses.replace(data, clips=clips), stills=False)
    assert "somebody" not in text
    assert "album 1/13.ogg" in text


@pytest.mark.parametrize("paths", [[], ["a.ogg"], ["/a.ogg"], ["/x/a.ogg", "b.ogg", "/y/c.ogg"]])
def test_short_paths_keep_every_name_apart(paths):
    shown = listings.short_paths(paths)
    assert set(shown) == set(paths)
    assert len(set(shown.values())) == len(paths)
    assert all(shown.values())


def test_methods_follow_from_the_record(data):
    text = paragraph(data.run, audio=["dtw", "simple"], latent=["cosine"])
    for part in ("N = 12", "nearkin 0.1.0", "seed 0", "signalsmith 0.3.1", "librosa 0.11.0"):
        assert part in text
    assert "SiMPle" in text
    assert "not shifted by Rubber Band" in text
    other = data.run | {"engine": "Rubber Band R2"}
    assert "not shifted by Rubber Band" not in paragraph(other, audio=[], latent=[])
    assert "babble" not in paragraph(data.run, audio=[], latent=[])  # no EN in this grid


def test_intervals_are_told_as_the_table_was_made(data):
    old = report.build(data, stills=False)
    assert old.count("bootstrap resamples of clips") >= 2
    assert "Clopper" not in old
    assert "counts as lost" not in old
    shares = data.consistency["measure"].isin(["C_W", "C_B_acc"])
    method = shares.map({True: "clopper-pearson", False: "bootstrap"})
    table = data.consistency.assign(ci_method=method, n_failed=0)
    new = report.build(dataclasses.replace(data, consistency=table), stills=False)
    assert "exact binomial ones (Clopper and Pearson) for shares of clips" in new
    assert "bootstrap resamples of clips" in new
    assert "Korn" not in new
    assert "t-intervals" not in new
    assert "A query that an encoder failed counts as lost." in new


def test_the_verdict_table_names_the_transformations(data, page):
    from nearkin.results import verdicts

    shown = " ".join(" ".join(page.texts).split())
    said = verdicts.verdicts(data.consistency, data.queries, data.run)
    lines = {one.near.line for one in said} | {one.further.line for one in said}
    assert any("holds for" in line or "fails for" in line for line in lines)
    for line in lines:
        assert " ".join(line.split()) in shown


def test_failed_queries_stand_beside_the_numbers(data):
    assert "failed queries" not in report.build(data, stills=False)
    table = data.consistency.assign(n_failed=0)
    at = (table["encoder"] == "good") & (table["measure"] == "C_W") & (table["magnitude"] == 30)
    table.loc[at, "n_failed"] = 5
    text = report.build(dataclasses.replace(data, consistency=table), stills=False)
    assert '<th scope="col" class="n">failed queries</th>' in text
    assert '<td class="n">5 of 12</td>' in text
    assert '<td class="n">0 of 12</td>' in text


def test_a_bare_record_is_enough():
    empty = fabricate(n=6, grid={"PN": [0, 30]})
    bare = dataclasses.replace(empty, run={}, failures=pd.DataFrame(), audio={})
    Page(report.build(bare, stills=False))


def test_both_citations_are_there(html, data):
    assert "10.3389/fams.2019.00053" in html
    assert "version = {0.1.0}" in software_bibtex(data.run)
    assert "year    = {2026}" in software_bibtex(data.run)


def test_equal_data_give_an_equal_page(data, html):
    assert report.build(data, stills=False) == html


def test_a_hundred_clips_and_eight_encoders_stay_under_6_mb():
    """The paper's grid, every figure drawn, and as many failures as are listed."""
    tested = (("a", ""), ("b", ""), ("c", ""), ("vgg", "at"), ("vgg", "ae"))
    full = fabricate(n=100, tested=tested, failures_each=8, audio_bytes=24_000)
    assert 3_000_000 < len(report.build(full).encode("utf-8")) < 6_000_000


@pytest.mark.browser
def test_chromium_draws_every_figure_without_a_complaint(html, tmp_path):
    seen = seen_by_chromium(html, tmp_path)
    assert seen.drawn
    assert seen.complaints == []
    assert seen.hacked == "undefined"
    png, svg = seen.saved
    assert png == "figure-7.png data:image/png"
    assert svg.startswith("figure-7.svg blob:")
    charts = seen.dom.split('<div class="chart')[1:]
    assert len(charts) == html.count('<div class="chart"')
    assert all('class="marks"' in chart.partition("<figcaption")[0] for chart in charts)
    assert "data-failed" not in seen.dom.partition("<script>")[0]


def test_methods_say_when_rho_was_taken_over_drawn_clips():
    made = fabricate(n=6, grid={"PN": [0, 30]})
    plan = {**made.run["plan"], "rho": "pooled", "rho_clips": 2000}
    told = paragraph({**made.run, "n": 5000, "plan": plan}, audio=["dtw"], latent=["cosine"])
    assert "over 2,000 clips drawn from the 5,000" in told
