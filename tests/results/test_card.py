"""The card is read by the hub's own loader; the badge is an image that says the verdict."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import nearkin
from nearkin.errors import InputError
from nearkin.results.card import badge, card, of_encoder
from nearkin.results.systems import System
from nearkin.results.verdicts import verdict
from support.commands import command, refused

MFCC = System("mfcc", "", "tested")


@pytest.fixture(scope="module")
def result(small_run: Path) -> nearkin.Result:
    return nearkin.load(small_run)


def test_the_hubs_loader_reads_the_card(result: nearkin.Result) -> None:
    hub = pytest.importorskip("huggingface_hub")
    text = card(result.consistency, result.queries, result.run, MFCC)
    read = hub.ModelCard(text)
    found = {one.metric_name.split(",")[0]: one.metric_value for one in read.data.eval_results}
    table = result.table("C_W", distance="cosine", encoders=["mfcc"])
    assert found == {
        f"C_W at {label}": pytest.approx(table.loc["mfcc", (label, "value")], abs=5e-5)
        for label in table.columns.levels[0]
    }
    assert read.data.model_name == "mfcc"


def test_a_hostile_name_stays_a_name(result: nearkin.Result) -> None:
    name = "a: b\n---\n# x <svg onload=alert(1)> `|`"
    tables = [
        table.assign(encoder=table["encoder"].replace("mfcc", name))
        for table in (result.consistency, result.queries)
    ]
    system = System(name, "", "tested")
    text = card(*tables, result.run, system)
    head = next(yaml.safe_load_all(text))
    assert head["model-index"][0]["name"] == name
    image = badge(verdict(*tables, result.run, name))
    root = ElementTree.fromstring(image)
    assert not [one for one in root.iter() if one.tag.endswith("script")]
    assert name.split("\n")[0] in root.attrib["aria-label"]


def test_whose_card(result: nearkin.Result) -> None:
    assert of_encoder(result.run, result.consistency, "constant").role == "reference"
    with pytest.raises(InputError, match="encoder 'mfc': did you mean 'mfcc'"):
        of_encoder(result.run, result.consistency, "mfc")
    with pytest.raises(InputError, match=r"2 encoders were tested: .*\(mfcc, "):
        of_encoder(result.run, result.consistency)


def test_the_command(small_run: Path, tmp_path: Path) -> None:
    image = tmp_path / "badge.svg"
    done = command("card", small_run, "--encoder", "mfcc", "--badge", image)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("---\ntags:")
    text = "".join(ElementTree.parse(image).getroot().itertext())
    assert "of 4 hold" in text
    assert "a card is about one" in refused("card", small_run)
