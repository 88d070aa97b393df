"""The check of an encoder: what it must find out, in a sentence for each fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import nearkin
from conftest import RATE, tune
from nearkin.cli import app
from nearkin.encoders import Key, embed, resolve
from nearkin.encoders.check import (
    TOLERANCE,
    Steadiness,
    changed_answers,
    digest,
    examine,
    steadiness,
)
from nearkin.runs.folder import RunFolder
from support.signals import write_float

ZOO = '''
import numpy as np

class Good:
    sample_rate = 22050
    embedding_size = 30
    def embed(self, audio):
        return np.abs(np.fft.rfft(audio[:, :58])).astype(np.float32)

class Dropout(Good):
    """Left in training mode: random from call to call."""
    training = True
    def embed(self, audio):
        z = super().embed(audio)
        return z * (np.random.default_rng().random(z.shape) > 0.5) * 2

class Normalised(Good):
    """Batch normalisation in training mode: changes with the batch."""
    def embed(self, audio):
        z = super().embed(audio)
        return z - z.mean(axis=0)

class Ordered(Good):
    """Adds the place in the batch, but not to the first."""
    def embed(self, audio):
        z = super().embed(audio)
        return z * (1 + np.arange(len(z))[:, None])

class Nan(Good):
    """A normalisation that divides by zero."""
    def embed(self, audio):
        with np.errstate(all="ignore"):
            return super().embed(audio / audio.std(axis=1, keepdims=True))

class Grows(Good):
    """A flattened time axis."""
    embedding_size = property(lambda self: 88)
    def embed(self, audio):
        return audio[:, ::500][:, :89]

class Liar(Good):
    embedding_size = 31

class Same(Good):
    def embed(self, audio):
        return np.ones((len(audio), 30), np.float32)

class Raises(Good):
    def embed(self, audio):
        raise RuntimeError("weights are missing")

class Late(Good):
    """Takes a second and a half at least, and says so."""
    minimum_samples = 33075
    def embed(self, audio):
        if audio.shape[1] < 33075:
            raise ValueError("too short")
        return super().embed(audio)
'''


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitness") / "zoo.py"
    path.write_text(ZOO)
    return path


def check(spec: str, *words: str) -> Any:
    return CliRunner().invoke(app, ["check", spec, *words])


def test_what_is_fit(zoo: Path) -> None:
    done = check(f"{zoo}:Good", "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["fit"]
    assert told["faults"] == []
    assert told["embedding_size"] == 30
    assert told["noise_floor"] == told["batch_difference"] == 0
    assert told["seconds_per_second"] > 0
    assert done.stdout.splitlines()[-2] == "fit to be tested"
    assert "a class with embed(): 22050 Hz, 30 values" in done.stdout


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Dropout", "same twice: is stochastic: the same clip again lies"),
        ("Normalised", "batch: changes with the batch: a clip alone lies"),
        ("Ordered", "order: changes with the order in the batch"),
        ("Nan", "silence: returned NaN or infinite values"),
        ("Grows", "returned 89 values but declares embedding_size=88"),
        ("Liar", "returned 30 values but declares embedding_size=31"),
        ("Same", "the same vector for different clips: nothing can be told apart"),
        ("Raises", "raised RuntimeError: weights are missing"),
    ],
)
def test_eight_broken_encoders(name: str, sentence: str, zoo: Path) -> None:
    done = check(f"{zoo}:{name}")
    assert done.exit_code == 1, (done.stdout, done.exception)
    told = done.stderr.splitlines()
    assert len(told) == 1
    assert told[0].startswith(f"nearkin: unfit to be tested: zoo:{name}: ")
    assert sentence in told[0]


def test_a_dropout_left_on_is_told(zoo: Path) -> None:
    state = steadiness(resolve(f"{zoo}:Dropout"))
    assert state.state == "stochastic"
    assert "it is in training mode, call .eval() on it" in state.sentence
    assert "(cosine to itself 0." in state.sentence


def test_a_declared_minimum_is_no_fault(zoo: Path) -> None:
    result = examine(resolve(f"{zoo}:Late"))
    assert result.fit
    told = {check.name: check for check in result.checks}
    assert told["1.07 s"].seen == "below its declared minimum of 1.50 s"
    assert told["1.98 s"].verdict == "ok"


def test_rounding_is_no_randomness() -> None:
    """Noise far below the tolerance passes, above it fails; the floor is what was put in."""

    class Noisy:
        sample_rate = RATE
        embedding_size = 400
        level = 0.0

        def embed(self, audio: Any) -> Any:
            z = np.abs(np.fft.rfft(audio[:, :798])).astype(np.float64)
            rng = np.random.default_rng()
            return z + self.level * rng.normal(size=z.shape)

    thing = Noisy()
    found = resolve(thing)
    assert steadiness(found).again == 0
    thing.level = 1e-7
    quiet = steadiness(found)
    assert quiet.state == "steady"
    thing.level = 0.1
    loud = steadiness(found)
    assert loud.state == "stochastic"
    # a difference of two draws has sqrt(2) of the noise; the scale is the median distance
    from nearkin.encoders.quick_check import sample_music

    z = np.abs(np.fft.rfft(sample_music(RATE, 2.0)[:, :798]))
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(z) for b in z[i + 1 :]]
    expected = 0.1 * np.sqrt(2 * 400) / np.median(pairs)
    assert loud.again == pytest.approx(expected, rel=0.2)
    assert loud.again > TOLERANCE


@pytest.mark.parametrize("words", [(), ("--quiet",)])
def test_a_run_tells_what_it_matched(
    words: tuple[str, ...], zoo: Path, music: Path, tmp_path: Path
) -> None:
    grid = tmp_path / "g.yaml"
    grid.write_text("{PN: [30]}")
    done = CliRunner().invoke(
        app,
        ["run", str(music), "--encoder", f"{zoo}:Normalised", "--grid", str(grid), "--workers",
         "1", "--out", str(tmp_path / "run"), *words],
    )  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    line = "encoder zoo:Normalised: a class with embed(): 22050 Hz, 30 values"
    assert (line in done.stderr.splitlines()) is not bool(words)
    row = nearkin.load(tmp_path / "run").run["encoders"][0]
    assert row["check"]["state"] == "batch"
    assert row["matched"].endswith("changes with the batch: embedded one clip at a time")


def test_a_stochastic_encoder_is_refused_or_averaged(
    zoo: Path, music: Path, tmp_path: Path
) -> None:
    grid = tmp_path / "g.yaml"
    grid.write_text("{PN: [30]}")
    words = ["run", str(music), "--encoder", f"{zoo}:Dropout", "--grid", str(grid), "--workers",
             "1", "--out", str(tmp_path / "run")]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "is stochastic" in done.stderr
    assert "or pass --allow-stochastic to average several calls" in done.stderr
    assert not (tmp_path / "run").exists()
    done = CliRunner().invoke(app, [*words, "--allow-stochastic", "--calls", "4"])
    assert done.exit_code == 0, (done.stderr, done.exception)
    result = nearkin.load(tmp_path / "run")
    name = "zoo:Dropout (stochastic)"
    assert result.run["encoders"][0]["name"] == name
    assert result.run["encoders"][0]["matched"].endswith("stochastic: the mean of 4 calls")
    assert result.run["encoders"][0]["check"]["again"] > TOLERANCE
    for table in (result.queries, result.consistency):
        assert name in set(table["encoder"])
    assert name in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_a_run_without_an_encoder_that_works_is_refused(
    zoo: Path, music: Path, tmp_path: Path
) -> None:
    words = ["run", str(music), "--out", str(tmp_path / "run"), "--encoder"]
    done = CliRunner().invoke(app, [*words, f"{zoo}:Liar"])
    assert done.exit_code == 2
    assert "fails on a test clip of 2 s: returned 30 values but declares" in done.stderr
    done = CliRunner().invoke(app, [*words, "mfcc", "--layer", "3"])
    assert done.exit_code == 2
    assert "no encoder of the run has layers" in done.stderr
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_checked() -> None:
    done = check("mfcc", "--layer", "2")
    assert done.exit_code == 2
    assert "'mfcc' has no layers" in done.stderr
    done = check("embeddings:x.parquet")
    assert done.exit_code == 2
    assert "hears nothing; check its encoder" in done.stderr
    done = check("mfc")
    assert done.exit_code == 2
    assert "did you mean 'mfcc'" in done.stderr


def test_a_batch_is_tried_where_a_run_would_give_one_clip_at_a_time(tmp_path: Path) -> None:
    """A HEAR module that normalises over the batch."""
    pytest.importorskip("torch")
    path = tmp_path / "hear_batch.py"
    path.write_text(
        "import torch\n"
        "class Model:\n"
        "    sample_rate = 16000\n"
        "    scene_embedding_size = 100\n"
        "def load_model(model_file_path=''):\n"
        "    return Model()\n"
        "def get_scene_embeddings(audio, model):\n"
        "    z = torch.fft.rfft(audio).abs()[:, :10000].reshape(len(audio), 100, 100).mean(2)\n"
        "    return z / z.std()\n"
    )
    found = resolve(f"hear:{path}")
    result = examine(found)
    assert "changes with the batch" in result.faults[0]
    assert steadiness(found).state == "batch"
    model: Any = found.encoder
    assert model.alone, "set back after the check"


# -- an encoder known again by its answers ---------------------------------------------------------


def state_of(answer: Any, **known: Any) -> Steadiness:
    return Steadiness("steady", 0.0, 0.0, digest=digest(answer.astype(np.float32)), **known)


@pytest.mark.parametrize("size", [2, 30, 4096])
def test_a_digest_keeps_distances(size: int) -> None:
    """Random signs keep a squared distance in expectation (Achlioptas 2003, lemma 5.1).

    With 8 numbers a ratio of squares has a standard deviation of at most sqrt(2 / 8) = 0.5; over
    200 pairs that share one projection, their mean lies within 0.1 of 1.
    """
    z = np.random.default_rng(size).normal(size=(400, size)).astype(np.float32)
    kept = np.array(digest(z)["answers"])
    assert kept.shape == (400, 8)
    ratio = ((kept[::2] - kept[1::2]) ** 2).sum(1) / ((z[::2] - z[1::2]) ** 2).sum(1)
    assert ratio.mean() == pytest.approx(1, abs=0.1 if size > 2 else 0.6)


def test_what_a_digest_lets_pass_and_what_it_does_not() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4, 512)).astype(np.float32)
    before = json.loads(json.dumps(state_of(z)._asdict()))
    assert changed_answers(before, state_of(z)) == ""
    assert changed_answers(before, state_of(z + 1e-5 * rng.normal(size=z.shape))) == ""
    others = {
        "a little training": z + 0.01 * rng.normal(size=z.shape),
        "another scale": 1.01 * z,
        "dimensions in another order": z[:, ::-1],
        "another offset": z + 0.05,
        "clips in another order": z[[1, 0, 2, 3]],
    }
    for name, other in others.items():
        told = changed_answers(before, state_of(other))
        assert told.startswith("answers the test clips differently than before: they moved"), name
    small = changed_answers(before, state_of(z + 0.01 * rng.normal(size=z.shape)))
    moved = float(small.split("moved by ")[1].split()[0])
    assert 0.003 < moved < 0.03, "a hundredth of the spread is told as about that"
    assert "with 256 values, before with 512" in changed_answers(before, state_of(z[:, :256]))
    failed = Steadiness("failed", sentence="raised ValueError: no")
    assert "fails on the test clips, which it answered before" in changed_answers(before, failed)
    for nothing in (None, {}, failed._asdict()):
        assert changed_answers(nothing, state_of(z)) == ""


def test_a_large_offset_does_not_hide_a_change() -> None:
    """Embeddings that share a large mean: the digits kept still show a move of their spread."""
    rng = np.random.default_rng(1)
    z = (100 + rng.normal(size=(4, 64))).astype(np.float32)
    before = state_of(z)._asdict()
    assert changed_answers(before, state_of(z + 1e-5 * rng.normal(size=z.shape))) == ""
    assert changed_answers(before, state_of(z + 0.05 * rng.normal(size=z.shape)))


def test_another_model_under_the_same_name_is_seen(zoo: Path) -> None:
    """Files and names stay, what is computed does not: weights that are read from elsewhere."""

    class Weighted:
        sample_rate = RATE
        embedding_size = 30
        weight = np.float32(1)

        def embed(self, audio: Any) -> Any:
            return np.abs(np.fft.rfft(audio[:, :58])) ** self.weight

    thing = Weighted()
    first = steadiness(resolve(thing))
    assert changed_answers(first._asdict(), steadiness(resolve(thing))) == ""
    thing.weight = np.float32(1.02)
    assert "differently than before" in changed_answers(first._asdict(), steadiness(resolve(thing)))
    stochastic = steadiness(resolve(f"{zoo}:Dropout"))
    assert stochastic.again > 0.1
    again = steadiness(resolve(f"{zoo}:Dropout"))
    assert changed_answers(stochastic._asdict(), again) == "", "random from call to call as before"


# -- the axis of time ------------------------------------------------------------------------------

LIBROSA = """
import librosa

def mel(audio, sample_rate):
    return librosa.feature.melspectrogram(y=audio, sr=sample_rate, n_mels=40)
"""


def test_time_last_is_refused_with_its_cure(tmp_path: Path, music: Path) -> None:
    """[D, T], librosa's order, for [T, D]: 87 frames would pass as 87 dimensions."""
    import librosa

    code = tmp_path / "mel.py"
    code.write_text(LIBROSA)
    (tmp_path / "g.yaml").write_text("{PN: [30]}")
    words = ["run", str(music), "--encoder", f"{code}:mel", "--grid", str(tmp_path / "g.yaml"),
             "--workers", "1", "--references", "untrained", "--out"]  # fmt: skip
    done = CliRunner().invoke(app, [*words, str(tmp_path / "run")])
    assert done.exit_code == 2, (done.stdout, done.exception)
    told = done.stderr.splitlines()[-1]
    assert "returned 87 values for 2 s and 108 for 2.5 s: pool over time" in told
    assert """pass --encoder-options '{"time_axis": 2}'""" in told
    assert not (tmp_path / "run").exists()
    unfit = check(f"{code}:mel")
    assert unfit.exit_code == 1
    assert """where it returns [D, T] (librosa's order), return its transpose""" in unfit.stderr
    cured = resolve(f"{code}:mel", options={"time_axis": 2})
    assert steadiness(cured).state == "steady"
    y = tune(0, seconds=2)
    truth = librosa.feature.melspectrogram(y=y, sr=RATE, n_mels=40).mean(axis=1)
    z = embed(cured, y[None], [Key("a", "OG", 0.0)]).vectors[0]
    assert z == pytest.approx(truth, rel=1e-4)
    meant = resolve(f"{code}:mel", options={"samples": 2 * RATE})
    assert steadiness(meant).state == "steady", "one length, as was said"
    done = CliRunner().invoke(
        app, [*words, str(tmp_path / "cured"), "--encoder-options", '{"time_axis": 2}']
    )
    assert done.exit_code == 0, (done.stderr, done.exception)
    row = nearkin.load(tmp_path / "cured").run["encoders"][0]
    assert row["embedding_size"] == 40
    assert row["check"]["digest"]["embedding_size"] == 40


# -- rates above the working rate ------------------------------------------------------------------

HIGH = """
import numpy as np

class High:
    \"\"\"Levels below and above 12 kHz.\"\"\"
    sample_rate = 44100
    embedding_size = 2
    def embed(self, audio):
        power = np.abs(np.fft.rfft(audio)) ** 2
        split = round(12_000 * audio.shape[1] / 44100)
        return np.sqrt(np.stack([power[:, :split].sum(1), power[:, split:].sum(1)], axis=1))
"""


def test_what_an_encoder_of_a_higher_rate_hears(tmp_path: Path) -> None:
    """White noise at 44.1 kHz: of its power 10.05 / 22.05 lies above 12 kHz, if it is kept."""

    (tmp_path / "music").mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).normal(scale=0.1, size=5 * 44_100)
        write_float(tmp_path / "music" / f"{number}.wav", noise, 44_100)
    (tmp_path / "high.py").write_text(HIGH)
    (tmp_path / "g.yaml").write_text("{MP: [128]}")
    words = ["run", str(tmp_path / "music"), "--encoder", f"{tmp_path}/high.py:High", "--grid",
             str(tmp_path / "g.yaml"), "--references", "untrained", "--workers", "1"]  # fmt: skip
    share = {}
    for rate in (22_050, 44_100):
        out = tmp_path / str(rate)
        done = CliRunner().invoke(app, [*words, "--out", str(out), "--working-rate", str(rate)])
        assert done.exit_code == 0, (done.stderr, done.exception)
        told = "takes 44100 Hz and hears nothing above 11 kHz" in done.stderr
        assert told == (rate == 22_050)
        assert told == ("--working-rate 44100 keeps all" in done.stderr)
        kept = np.load(RunFolder(out).embeddings_path("high:High"))[:, 0]
        low, high = kept.T.astype(float) ** 2
        share[rate] = high / (low + high)
    assert share[22_050].max() < 1e-3
    assert share[44_100] == pytest.approx(10.05 / 22.05, abs=0.01)
