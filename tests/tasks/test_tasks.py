"""Tasks: scores held to museval, scikit-learn and closed forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nearkin.corpora.recordings import Row
from nearkin.errors import InputError
from nearkin.tasks import TASKS, Batch, Task, by_level, by_measure, level, task
from nearkin.tasks.protocol import NOT_FINITE
from nearkin.tasks.separation import sdr_per_clip
from nearkin.tasks.tagging import roc_auc_per_clip
from support.places import TRUTH

SDR = json.loads((TRUTH / "sdr.json").read_text())


def row(**fields: object) -> Row:
    return Row(name="clip", path=Path("clip.wav"), **fields)  # type: ignore[arg-type]


def noisy(seed: int, gain: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    s = rng.standard_normal(44_100)
    s[:22_050] *= 3
    return s, gain * s + noise * rng.standard_normal(44_100)


# -- the contract --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_contract(name: str) -> None:
    one = task(name)
    assert one.name == name
    assert one.measure in one.axis
    assert one.title
    assert one.labels([row()]) == () or one.column in ("tags", "instrument")
    assert np.isnan(one.reduce(np.array([np.nan, np.nan])))
    assert one.reduce(np.array([1.0, np.nan, 2.0])) == 1.5


def test_the_papers_level_of_the_tasks_is_their_order() -> None:
    """Section 6: the tasks' level, AE < VS < IR < AT; what it does not know comes last, by name."""
    assert by_level(["z", "at", "ir", "a", "vs", "ae"]) == ["ae", "vs", "ir", "at", "a", "z"]
    assert level("VS") < level("ir")  # type: ignore[operator]


def test_only_an_error_is_better_where_it_is_less() -> None:
    assert [name for name, one in by_measure().items() if one.better == "less"] == ["MSE"]


def test_unknown_task() -> None:
    with pytest.raises(InputError, match="unknown task 'at2': did you mean 'at'"):
        task("at2")


# -- SDR -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", SDR["clips"], ids=lambda clip: f"noise {clip['noise']}")
def test_sdr_is_musevals(clip: dict[str, object]) -> None:
    s, e = noisy(clip["seed"], clip["gain"], clip["noise"])  # type: ignore[arg-type]
    for second, want in enumerate(clip["frames_db"]):  # type: ignore[arg-type]
        part = slice(second * 22_050, (second + 1) * 22_050)
        assert sdr_per_clip(s[None, part], e[None, part]).values == pytest.approx([want], abs=1e-8)
    assert sdr_per_clip(s[None], e[None]).values == pytest.approx(
        [np.median(clip["frames_db"])],
        abs=1e-8,  # type: ignore[call-overload]
    )


def test_sdr_of_museval_called_now() -> None:
    museval = pytest.importorskip("museval")
    s, e = noisy(11, 0.8, 0.2)
    found = museval.evaluate(s[None, :, None], e[None, :, None], win=22_050, hop=22_050, mode="v4")
    assert sdr_per_clip(s[None], e[None]).values[0] == pytest.approx(np.median(found[0]), abs=1e-8)


def test_silent_vocals_are_left_out_and_said() -> None:
    s, e = noisy(1, 1.0, 0.1)
    half = s.copy()
    half[:22_050] = 0
    found = sdr_per_clip(np.stack([s, np.zeros_like(s), half]), np.stack([e, e, e]))
    assert found.status == ("ok", "silent vocals", "ok")
    assert sdr_per_clip(s[None], np.zeros((1, 44_100))).status == ("silent estimate",)
    assert np.isnan(found.values[1])
    alone = 10 * np.log10((s[22_050:] ** 2).sum() / ((s - e)[22_050:] ** 2).sum())
    assert found.values[2] == pytest.approx(alone)
    assert task("vs").reduce(found.values) == np.median(found.values[[0, 2]])


def test_sdr_of_the_reference_itself_is_infinite_and_falls_with_the_gain() -> None:
    s, _ = noisy(1, 1.0, 0.0)
    values = [sdr_per_clip(s[None], g * s[None]).values[0] for g in (1.0, 0.9, 0.5)]
    assert values[0] == np.inf
    assert values[1:] == pytest.approx([20.0, 20 * np.log10(2)])


# -- AUC_C ---------------------------------------------------------------------------------------


def test_auc_is_sklearns_clip_by_clip_with_ties() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((40, 50)).round(1)
    positive = rng.random((40, 50)) < rng.random((40, 1))
    positive[:, 0], positive[:, 1] = True, False
    found = roc_auc_per_clip(scores, positive)
    want = [roc_auc_score(p, s) for p, s in zip(positive, scores, strict=True)]
    assert found.values == pytest.approx(want, abs=1e-12)
    assert set(found.status) == {"ok"}


def test_clips_without_a_curve_are_left_out_and_said() -> None:
    positive = np.array([[True, True], [False, False], [True, False]])
    found = roc_auc_per_clip(np.array([[0.1, 0.2]] * 3), positive)
    assert found.status == ("no negative tag", "no positive tag", "ok")
    assert np.isnan(found.values).tolist() == [True, True, False]
    assert task("at").reduce(found.values) == 0.0


def test_what_is_not_finite_is_no_score() -> None:
    broken = np.array([[np.nan, 0.0], [1.0, 0.0]])
    found = roc_auc_per_clip(broken, np.array([[True, False]] * 2))
    assert found.status == (NOT_FINITE, "ok")
    assert np.isnan(found.values[0])
    s, e = noisy(1, 1.0, 0.1)
    found = sdr_per_clip(np.stack([s, s]), np.stack([e * np.nan, e]))
    assert found.status == (NOT_FINITE, "ok")
    torch = pytest.importorskip("torch")
    batch = Batch(clips(2), torch.tensor([0, 0]))
    found = task("ir").scores(fake(broken, n_outputs=2), batch)
    assert found.status == (NOT_FINITE, "ok")
    assert task("ir").reduce(found.values) == 1.0
    silent = fake(lambda network, audio: network.front(audio) * np.nan)
    assert set(task("ae").scores(silent, batch).status) == {NOT_FINITE}


# -- targets -------------------------------------------------------------------------------------


def test_targets() -> None:
    rows = [row(tags=("b", "a")), row(tags=("c",))]
    labels = task("at").labels(rows)
    assert labels == ("a", "b", "c")
    assert task("at").target(rows[0], labels).tolist() == [1, 1, 0]  # type: ignore[union-attr]
    rows = [row(instrument="violin"), row(instrument="cello")]
    labels = task("ir").labels(rows)
    assert labels == ("cello", "violin")
    assert task("ir").target(rows[0], labels) == 1
    with pytest.raises(InputError, match=r"'viola' is none that the model knows.*'violin'"):
        task("ir").target(row(instrument="viola"), labels)


# -- networks with known answers -----------------------------------------------------------------


def fake(output: object, name: str = "ae", **config: object) -> object:
    torch = pytest.importorskip("torch")
    from nearkin.networks.front_end import FrontEnd

    class Known(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.front = FrontEnd()
            self.config = type("Config", (), config)()

        def forward(self, audio: object) -> object:
            return output(self, audio) if callable(output) else torch.as_tensor(output)

    return Known()


def clips(n: int = 3) -> object:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.standard_normal((n, 44_100)).astype(np.float32) * 0.1)


def score(one: Task, network: object, batch: Batch) -> np.ndarray:
    return one.scores(network, batch).values


def test_autoencoder_scores() -> None:
    one, audio = task("ae"), clips()
    perfect = fake(lambda network, audio: network.front(audio))
    assert score(one, perfect, Batch(audio)) == pytest.approx([0, 0, 0])
    off = fake(lambda network, audio: network.front(audio) + 2.0)
    assert score(one, off, Batch(audio)) == pytest.approx([4, 4, 4])
    assert float(one.loss(off, Batch(audio))) == pytest.approx(4)
    nothing = fake(lambda network, audio: 0 * network.front(audio))
    assert one.chance(nothing, Batch(audio)) == pytest.approx(score(one, nothing, Batch(audio)))


def test_tagging_loss_is_the_entropy_by_hand() -> None:
    torch = pytest.importorskip("torch")
    logits, positive = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1.0, 0], [0, 1]])
    p = 1 / (1 + np.exp(-logits))
    want = -(positive * np.log(p) + (1 - positive) * np.log(1 - p)).mean()
    network = fake(logits)
    batch = Batch(clips(2), torch.from_numpy(positive).float())
    assert float(task("at").loss(network, batch)) == pytest.approx(want, rel=1e-6)
    assert score(task("at"), network, batch).tolist() == [1.0, 0.0]
    assert task("at").chance(network, batch).tolist() == [0.5, 0.5]


def test_recognition_loss_and_accuracy_by_hand() -> None:
    torch = pytest.importorskip("torch")
    logits = np.array([[1.0, 3.0, 0.0], [2.0, 0.0, 1.0]])
    network = fake(logits, n_outputs=3)
    batch = Batch(clips(2), torch.tensor([1, 2]))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    want = -np.log(p[[0, 1], [1, 2]]).mean()
    assert float(task("ir").loss(network, batch)) == pytest.approx(want, rel=1e-6)
    assert score(task("ir"), network, batch).tolist() == [1.0, 0.0]
    assert task("ir").chance(network, batch) == pytest.approx([1 / 3, 1 / 3])


def test_separation_by_masks_that_are_known() -> None:
    torch = pytest.importorskip("torch")
    one, mixture = task("vs"), clips()
    half = fake(lambda network, audio: torch.full_like(network.front(audio), 0.5))
    batch = Batch(mixture, 0.5 * mixture)
    assert (score(one, half, batch) > 100).all()  # to single precision
    assert float(one.loss(half, batch)) == pytest.approx(0, abs=1e-7)
    whole = fake(lambda network, audio: torch.ones_like(network.front(audio)))
    assert score(one, whole, batch) == pytest.approx(0, abs=1e-4)  # |s - 2s| = |s|
    assert one.chance(whole, batch) == pytest.approx(score(one, whole, batch), abs=1e-4)
    magnitude = float(whole.front.stft(mixture).abs().mean())  # type: ignore[attr-defined]
    assert float(one.loss(whole, batch)) == pytest.approx(0.5 * magnitude, rel=1e-5)
