"""Task scores under transformations: made-up models of known answers through the whole path."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyloudnorm
import pytest
import soundfile
from scipy.stats import binomtest, norm
from scipy.stats import t as student
from typer.testing import CliRunner

from conftest import RATE, tune
from nearkin.cli import app
from nearkin.cli.perform_summary import summary
from nearkin.corpora.recordings import Row
from nearkin.errors import InputError
from nearkin.performance import perform
from nearkin.performance.estimate import estimate
from nearkin.performance.run import make_performance_plan
from nearkin.performance.scored import ClipScore
from nearkin.performance.table import TaskScores, in_words, performance_table
from nearkin.runs.plan import Plan
from nearkin.tasks import TASKS, task
from nearkin.tasks.separation import sdr_per_clip
from nearkin.transforms.grids import Point
from support.signals import write_float

N_CLIPS = 4
COLUMNS = [
    *("encoder", "task", "trial", "measure", "audio_distance", "latent_distance"),
    *("transformation", "magnitude", "value", "ci_low", "ci_high", "ci_method", "n", "n_failed"),
    *("chance", "status"),
]
GRID = "{PN: [0, 30], TS: [0.9, 1.3], PS: [-4, 0.25], MP: [160]}"


@dataclass
class MadeUp:
    """A model that is a function of a clip; it keeps count of what it was asked."""

    act: Callable[..., ClipScore]
    task: str = "ae"
    encoder: str = "vgg"
    trial: int = 1
    measure: str = "MSE"
    column: str | None = None
    sample_rate: int = RATE
    minimum_samples: int = 32_512
    device: str = "cpu"
    sha256: str = "ab" * 32
    asked: list[str] = field(default_factory=list)

    @property
    def file(self) -> str:
        return f"{self.encoder}-{self.task}-{self.trial}.safetensors"

    def check(self, rows: Sequence[Row]) -> None:
        pass

    def score(self, heard: Any, vocals: Any, row: Row) -> ClipScore:
        self.asked.append(row.name)
        return self.act(heard, vocals, row)

    def record(self) -> dict[str, Any]:
        return {"scale": "small"}


def loudness(heard: Any, vocals: Any, row: Row) -> ClipScore:
    """Its score is the clip's loudness: what a clip's own original has, whatever was done."""
    assert vocals is None
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")
    return ClipScore(meter.integrated_loudness(heard.astype(float)), 0.25, "ok")


def mixture_itself(heard: Any, vocals: Any, row: Row) -> ClipScore:
    """Hands the mixture back for the voice."""
    values, status = sdr_per_clip(vocals[None].astype(float), heard[None].astype(float))
    return ClipScore(float(values[0]), float(values[0]), status[0])


def right_if_voice(heard: Any, vocals: Any, row: Row) -> ClipScore:
    return ClipScore(float(row.instrument == "voice"), 1 / 11, "ok")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of four mixtures, 20 dB louder in voice than in the rest; half are 'voice'."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = []
    for seed in range(N_CLIPS):
        vocals, rest = tune(seed), tune(50 + seed)
        rest *= 0.1 * np.std(vocals) / np.std(rest)
        for name, y in ((f"v{seed}.wav", vocals), (f"m{seed}.wav", vocals + rest)):
            soundfile.write(folder / name, y, RATE, subtype="PCM_24")
        rows.append(
            {
                "path": f"m{seed}.wav",
                "clip_id": f"clip{seed}",
                "split": "test",
                "group": f"song{seed}",
                "tags": "x;y" if seed % 2 else "z",
                "instrument": "voice" if seed % 2 else "piano",
                "vocals_path": f"v{seed}.wav",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def plan_of(text: str = GRID, **settings: Any) -> Plan:
    import yaml

    from nearkin.transforms.grids import Grid

    points = tuple(Point(code, float(x)) for code, xs in yaml.safe_load(text).items() for x in xs)
    return make_performance_plan({"grid": Grid("test", points), **settings})


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = ("performance.parquet", "performance_clips.parquet")
    table, clips = (pd.read_parquet(folder / name) for name in names)
    return table, clips


def separator(**settings: Any) -> MadeUp:
    own = {"task": "vs", "measure": "SDR", "column": "vocals_path"}
    return MadeUp(mixture_itself, **own, **settings)


def recogniser(**settings: Any) -> MadeUp:
    own = {"task": "ir", "measure": "accuracy", "column": "instrument"}
    return MadeUp(right_if_voice, **own, **settings)


# -- what a clip scores --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scored(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks on one manifest, done once."""
    out = tmp_path_factory.mktemp("scored") / "run"
    models = [MadeUp(loudness), separator(), recogniser(), recogniser(trial=2)]
    perform(models, [labelled], out, plan=plan_of())
    return out


def test_the_table_is_the_contract(scored: Path) -> None:
    table, clips = tables(scored)
    assert list(table.columns) == COLUMNS
    assert (table[["audio_distance", "latent_distance"]] == "").all(axis=None)
    mean = table["trial"] == 0
    assert (table.loc[~mean, "status"] == "ok").all()
    assert (table.loc[mean, "status"] == "no interval: 2 trials are too few").all()
    assert (table["n"] == N_CLIPS).all()
    assert (table["n_failed"] == 0).all()
    n_points = len(plan_of().points)
    assert len(table) == n_points * (2 + 3)  # ae, vs; ir with two trials and their mean
    assert len(clips) == n_points * 4 * N_CLIPS
    names = ["encoder", "task", "trial", "clip_id", "transformation", "magnitude"]
    assert list(clips.columns) == [*names, "value", "chance", "status"]
    assert not clips.duplicated(names).any()
    read = pd.read_csv(scored / "performance.csv", keep_default_na=False)
    assert list(read.columns) == COLUMNS
    assert read["value"].to_numpy() == pytest.approx(table["value"].to_numpy())
    assert not (scored / "work").exists()


def test_what_is_scored_is_as_loud_as_its_original(scored: Path) -> None:
    _, clips = tables(scored)
    mine = clips[clips["task"] == "ae"]
    original = mine[mine["transformation"] == "OG"].set_index("clip_id")["value"]
    expected = mine["clip_id"].map(original).to_numpy()
    assert mine["value"].to_numpy() == pytest.approx(expected, abs=0.01)


def test_what_is_scored_is_the_clip_of_a_run(labelled: Path, tmp_path: Path) -> None:
    """The same places, contexts and changes: heard by an encoder of a run and by a model here."""
    import nearkin

    def total(heard: Any, vocals: Any, row: Row) -> ClipScore:
        return ClipScore(float(np.abs(heard).sum(dtype=float)), float("nan"), "ok")

    def encode(audio: Any, sample_rate: int) -> Any:
        return np.array([np.abs(audio).sum(dtype=float), 1.0])

    (tmp_path / "g.yaml").write_text("{PN: [0], TS: [1.3], MP: [160]}")
    run = nearkin.evaluate([encode], labelled, grid=str(tmp_path / "g.yaml"), seed=3)
    plan = make_performance_plan({"grid": str(tmp_path / "g.yaml"), "seed": 3})
    perform([MadeUp(total)], [labelled], tmp_path / "out", plan=plan)
    _, clips = tables(tmp_path / "out")
    stored = np.load(run.folder.embeddings_path("encode"))[..., 0]
    table = clips.pivot(index="clip_id", columns=["transformation", "magnitude"], values="value")
    points = [tuple(point) for point in plan.points]
    assert table[points].to_numpy() == pytest.approx(stored, rel=1e-6)


def test_voice_and_mixture_stay_together(scored: Path) -> None:
    """The mixture taken for the voice has the SDR of voice over rest: 20 dB, shifted or not.

    That holds for whole files; clips lie within 3 dB of it. A voice shifted by a call of its own
    would come out at about 3 dB, one without the mixture's gain worse too.
    """
    _, clips = tables(scored)
    mine = clips[clips["task"] == "vs"].set_index(["transformation", "magnitude", "clip_id"])
    mine = mine.sort_index()
    original = mine.loc["OG", 0.0]["value"]
    assert original.to_numpy() == pytest.approx(20, abs=3)
    for code, magnitude in (("TS", 0.9), ("TS", 1.3), ("PS", -4.0), ("PS", 0.25)):
        shifted = mine.loc[code, magnitude]["value"]
        # where a frame begins moves with the tempo, and with it what is in it
        assert (shifted - original).abs().max() < 3, (code, magnitude)
        assert shifted.median() == pytest.approx(original.median(), abs=1.5)


def test_the_gain_of_the_mixture_is_on_the_voice(labelled: Path, tmp_path: Path) -> None:
    """Noise at 0 dB: the SDR of the mixture is that of voice over noise and rest, by hand.

    Loudness matching turns the noisy mixture down by about 3 dB; a voice without that gain would
    come out 2 to 3 dB better.
    """

    def sums(heard: Any, vocals: Any, row: Row) -> ClipScore:
        rest = heard.astype(float) - vocals
        ratio = float((vocals.astype(float) ** 2).sum() / (rest**2).sum())
        return ClipScore(10 * np.log10(ratio), float(np.std(vocals)), "ok")

    model = separator()
    model.act = sums
    plan = plan_of("{PN: [0]}")
    perform([model], [labelled], tmp_path / "out", plan=plan)
    _, clips = tables(tmp_path / "out")
    by_point = clips.set_index(["transformation", "clip_id"])
    for clip in by_point.loc["OG"].index:
        voice, noisy = by_point.loc["OG", clip], by_point.loc["PN", clip]
        gain_db = 20 * np.log10(noisy["chance"] / voice["chance"])
        assert gain_db < -1
        # noise as strong as the mixture in its context; in the clip within 2 dB of that
        assert noisy["value"] == pytest.approx(-10 * np.log10(1 + 2 * 0.01), abs=2)


def test_the_voice_may_be_a_stream_of_the_mixtures_file(tmp_path: Path) -> None:
    """MUSDB18's stems: the tone of the vocals' stream, an octave up where the mixture is."""
    from support.trees import STEM_HZ, STEMS, stem_file

    def peak(y: Any) -> float:
        return float(np.argmax(np.abs(np.fft.rfft(y * np.hanning(len(y))))) * RATE / len(y))

    def peaks(heard: Any, vocals: Any, row: Row) -> ClipScore:
        return ClipScore(peak(vocals), peak(heard), "ok")

    lines = ["path,split,vocals_path"]
    for number in range(2):
        stem_file(tmp_path / f"{number}.stem.mp4", dict.fromkeys(STEMS, 4.5 + number))
        lines.append(f"{number}.stem.mp4,test,{number}.stem.mp4#stream=4")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    model = separator()
    model.act = peaks
    perform([model], [tmp_path / "m.csv"], tmp_path / "out", plan=plan_of("{PS: [12]}"))
    table, _ = tables(tmp_path / "out")
    assert (table["status"] == "no interval: all resamples are equal").all()
    for row, octave in zip(table.itertuples(), (1, 2), strict=True):
        assert row.value == pytest.approx(octave * STEM_HZ["vocals"], rel=0.01)
        assert row.chance == pytest.approx(octave * STEM_HZ["mixture"], rel=0.01)


def test_accuracy_is_a_share_with_a_binomial_interval(scored: Path) -> None:
    table, _ = tables(scored)
    mine = table[(table["task"] == "ir") & (table["transformation"] == "OG")].set_index("trial")
    assert set(mine.index) == {0, 1, 2}
    assert (mine["value"] == 0.5).all()
    assert mine["chance"].to_numpy() == pytest.approx(1 / 11)
    exact = binomtest(2, 4).proportion_ci(method="exact")
    assert mine.loc[[1, 2], "ci_low"].to_numpy() == pytest.approx(exact.low)
    assert mine.loc[[1, 2], "ci_high"].to_numpy() == pytest.approx(exact.high)
    assert mine.loc[[0], ["ci_low", "ci_high"]].isna().all(axis=None)


def test_silent_vocals_are_left_out_and_counted(labelled: Path, tmp_path: Path) -> None:
    table = pd.read_csv(labelled)
    silent = tmp_path / "silent.wav"
    write_float(silent, np.zeros(5 * RATE, np.float32), RATE)
    table["path"] = [str(labelled.parent / name) for name in table["path"]]
    table["vocals_path"] = [str(labelled.parent / name) for name in table["vocals_path"]]
    table.loc[1, "vocals_path"] = str(silent)
    table.to_csv(tmp_path / "m.csv", index=False)
    perform([separator()], [tmp_path / "m.csv"], tmp_path / "out", plan=plan_of("{PN: [0]}"))
    scores, clips = tables(tmp_path / "out")
    assert (scores["status"] == f"1 of {N_CLIPS} clips left out: silent vocals").all()
    assert (scores["n"] == N_CLIPS - 1).all()
    lost = clips[clips["status"] != "ok"]
    assert set(lost["clip_id"]) == {"clip1"}
    assert lost["value"].isna().all()
    og = clips[(clips["transformation"] == "OG") & (clips["status"] == "ok")]
    value = scores[scores["transformation"] == "OG"]["value"].item()
    assert value == pytest.approx(np.median(og["value"]))


def test_a_model_that_fails_on_a_clip_answers_for_it(labelled: Path, tmp_path: Path) -> None:
    """Two of four right; under noise the model fails on one of these: one of four is right."""
    model = recogniser()

    def weak(heard: Any, vocals: Any, row: Row) -> ClipScore:
        if row.name == "clip1" and model.asked.count("clip1") == 2:  # the unchanged clip is first
            return ClipScore(float("nan"), float("nan"), "failed: too noisy", failed=True)
        return right_if_voice(heard, vocals, row)

    model.act = weak
    perform([model], [labelled], tmp_path / "out", plan=plan_of("{PN: [0]}"))
    table = tables(tmp_path / "out")[0].set_index("transformation")
    assert table["value"].to_dict() == {"OG": 0.5, "PN": 0.25}
    assert table["n"].to_dict() == {"OG": 4, "PN": 4}
    assert table["n_failed"].to_dict() == {"OG": 0, "PN": 1}
    assert table.loc["PN", "status"] == "1 of 4 clips failed: too noisy"


def test_clips_that_cannot_be_used_keep_their_rows(labelled: Path, tmp_path: Path) -> None:
    """Too short, no sound at all, a voice of another length: each has its reason."""
    table = pd.read_csv(labelled)
    for column in ("path", "vocals_path"):
        table[column] = [str(labelled.parent / name) for name in table[column]]
    write_float(tmp_path / "short.wav", tune(9, seconds=2.5), RATE)
    write_float(tmp_path / "half.wav", tune(9, seconds=1.5), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    extra = table.iloc[[0, 0, 0]].assign(
        clip_id=["half", "short", "text"],
        group=["a", "b", "c"],
        path=[table["path"][0], str(tmp_path / "short.wav"), str(tmp_path / "text.wav")],
        vocals_path=[str(tmp_path / "half.wav"), *table["vocals_path"][:2]],
    )
    pd.concat([table, extra]).to_csv(tmp_path / "m.csv", index=False)
    out = tmp_path / "out"
    perform([separator()], [tmp_path / "m.csv"], out, plan=plan_of("{PN: [0]}"))
    scores, clips = tables(out)
    lost = clips[clips["status"] != "ok"].groupby("clip_id")["status"].first()
    assert lost["short"] == "skipped: too short: 2.50 s, needs 3 s"
    assert lost["text"].startswith("failed: ")
    assert "half" in lost.index
    assert "vocals" in lost["half"] or "holds no sound" in lost["half"]
    assert scores["status"].str.startswith("3 of 7 clips left out: ").all()
    counts = json.loads((out / "performance.json").read_text())["test_sets"]["vs"]
    assert (counts["found"], counts["used"], counts["skipped"], counts["failed"]) == (7, 4, 1, 2)
    record = json.loads((out / "performance.json").read_text())
    told = summary(scores, record, out=out, report=None)
    assert told.failed
    assert "task vs: 2 of 7 clips failed" in told.lines()


def test_a_point_that_cannot_be_reached_is_a_status(labelled: Path, tmp_path: Path) -> None:
    perform([MadeUp(loudness)], [labelled], tmp_path, plan=plan_of("{TS: [1.1, 2.5]}"))
    table, _ = tables(tmp_path)
    fast = table[table["magnitude"] == 2.5].iloc[0]
    assert fast["status"].startswith("4 of 4 clips left out: the transformed clip lasts 1.60 s")
    assert np.isnan(fast["value"])
    assert fast["n"] == 0
    assert (table[table["magnitude"] != 2.5]["status"] == "ok").all()


# -- sums and intervals --------------------------------------------------------------------------


def fabricated(
    values: np.ndarray,
    measure: str,
    trials: int = 1,
    groups: Sequence[str] = (),
    failed: np.ndarray | None = None,
) -> TaskScores:
    shape = values.shape
    return TaskScores(
        task={task(name).measure: name for name in TASKS}[measure],
        measure=measure,
        models=tuple(("vgg", trial) for trial in range(1, trials + 1)),
        clip_ids=tuple(f"c{i}" for i in range(shape[-1])),
        groups=tuple(groups) or tuple(f"c{i}" for i in range(shape[-1])),
        value=values,
        chance=np.full(shape, 0.5),
        failed=np.zeros(shape, bool) if failed is None else failed,
        not_ok={},
    )


POINTS = (Point("OG", 0.0), Point("PN", 3.0))


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    """For 400 clips mean +- 1.96 s / sqrt(n), within a tenth of its half-width."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.2, (1, 2, 400))
    table = performance_table(fabricated(values, "AUC_C"), POINTS, seed=0, n_resamples=4000)
    for row, clips in zip(table.itertuples(), values[0], strict=True):
        half = norm.ppf(0.975) * clips.std(ddof=1) / np.sqrt(len(clips))
        assert row.value == pytest.approx(clips.mean())
        assert row.ci_low == pytest.approx(clips.mean() - half, abs=half / 10)
        assert row.ci_high == pytest.approx(clips.mean() + half, abs=half / 10)


def test_resamples_are_shared_by_all_points() -> None:
    """A point that is another plus a constant has its interval, moved by that constant."""
    values = np.random.default_rng(1).normal(size=(1, 1, 50))
    both = np.concatenate([values, values + 2], axis=1)
    for measure in ("AUC_C", "SDR"):
        table = performance_table(fabricated(both, measure), POINTS, seed=0, n_resamples=300)
        first, second = table.itertuples()
        assert second.ci_low == pytest.approx(first.ci_low + 2)
        assert second.ci_high == pytest.approx(first.ci_high + 2)


def test_the_mean_over_trials_has_an_interval_that_knows_trials() -> None:
    """Trials that lie apart by much more than clips do: Student's interval of their values."""
    clips = np.random.default_rng(2).normal(0, 0.001, (1, 1, 100))
    values = np.concatenate([clips - 1, clips, clips + 1], axis=0)
    scores = fabricated(values, "SDR", trials=3)
    table = performance_table(scores, POINTS[:1], seed=0, n_resamples=2000).set_index("trial")
    low, high = student.interval(0.95, 2, loc=np.median(values[1]), scale=1 / np.sqrt(3))
    assert table.loc[0, "value"] == pytest.approx(np.median(values[1]))
    assert table.loc[0, "ci_low"] == pytest.approx(low, rel=0.001)
    assert table.loc[0, "ci_high"] == pytest.approx(high, rel=0.001)
    assert table.loc[1, "ci_high"] - table.loc[1, "ci_low"] < 0.01
    assert (table["n"] == 100).all()


def test_two_trials_say_too_little_for_an_interval() -> None:
    values = np.random.default_rng(3).normal(size=(2, 1, 30))
    scores = fabricated(values, "SDR", trials=2)
    table = performance_table(scores, POINTS[:1], seed=0, n_resamples=100).set_index("trial")
    assert np.isnan(table.loc[0, "ci_low"])
    assert table.loc[0, "ci_method"] == ""
    assert "2 trials are too few" in table.loc[0, "status"]
    assert table.loc[1, "ci_method"] == "bootstrap"


@pytest.mark.parametrize("right", [0, 7, 29, 30])
def test_the_interval_of_an_accuracy_is_the_exact_binomial_one(right: int) -> None:
    values = (np.arange(30) < right).astype(float)[None, None]
    row = performance_table(fabricated(values, "accuracy"), POINTS[:1], seed=0, n_resamples=50)
    truth = binomtest(right, 30).proportion_ci(method="exact")
    assert row["ci_low"].item() == pytest.approx(truth.low)
    assert row["ci_high"].item() == pytest.approx(truth.high)
    assert row["ci_method"].item() == "clopper-pearson"


@pytest.mark.parametrize("measure", ["SDR", "AUC_C"])
def test_clips_of_one_group_are_resampled_together(measure: str) -> None:
    """Each song four times: the interval is that of the songs, twice as wide as of four clips."""
    songs = np.random.default_rng(4).uniform(0.3, 0.9, 100)
    names = [f"song{i}" for i in range(100)]

    def width(values: np.ndarray, groups: Sequence[str] = ()) -> float:
        scores = fabricated(values[None, None], measure, groups=groups)
        row = performance_table(scores, POINTS[:1], seed=0, n_resamples=4000)
        return (row["ci_high"] - row["ci_low"]).item()

    alone = width(songs)
    assert width(np.repeat(songs, 4), np.repeat(names, 4).tolist()) == pytest.approx(alone, rel=0.1)
    if measure == "AUC_C":  # the median of values that are four times there moves in jumps
        assert width(np.repeat(songs, 4)) == pytest.approx(alone / 2, rel=0.1)


@pytest.mark.parametrize(
    ("measure", "value"),
    [("accuracy", 2 / 4), ("AUC_C", 2 / 4), ("MSE", 2 / 3), ("SDR", 1.0)],
)
def test_a_clip_the_model_failed_is_lost_where_a_score_is_the_worst(
    measure: str, value: float
) -> None:
    """Right 1, 1, wrong 0, one failed, one silent: a share of 4; of an error and a ratio of 3."""
    values = np.array([[[1.0, 1.0, 0.0, np.nan, np.nan]]])
    failed = np.array([[[False, False, False, True, False]]])
    scores = fabricated(values, measure, failed=failed)
    why = {(0, 0, 3): "failed: no memory", (0, 0, 4): "silent vocals"}
    row = performance_table(replace(scores, not_ok=why), POINTS[:1], seed=0, n_resamples=100)
    assert row["value"].item() == pytest.approx(value)
    assert row["n"].item() == 4
    assert row["n_failed"].item() == 1
    assert (
        row["status"]
        .item()
        .startswith("1 of 5 clips failed: no memory; 1 of 5 clips left out: silent vocals")
    )


@pytest.mark.parametrize("measure", ["SDR", "AUC_C", "MSE"])
def test_clips_are_brought_down_by_the_median_for_sdr_and_the_mean_for_others(measure: str) -> None:
    values = np.array([[[0.0, 1.0, 5.0, np.nan]]])
    table = performance_table(fabricated(values, measure), POINTS[:1], seed=0, n_resamples=100)
    assert table["value"].item() == (1.0 if measure == "SDR" else 2.0)


def test_reasons_are_counted() -> None:
    status = ["ok"] * 5 + ["silent vocals"] * 3 + ["a", "b"]
    told = "5 of 10 clips left out: silent vocals (3), a (1) and 1 more reasons"
    assert in_words(status, [False] * 10) == told


# -- interruptions, workers, settings ------------------------------------------------------------


def test_interrupted_work_goes_on_to_the_same_bytes(labelled: Path, tmp_path: Path) -> None:
    """Stopped after every single clip in turn; nothing that was done is done again."""
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    plan = plan_of("{PN: [0], MP: [64]}")
    whole = MadeUp(loudness)
    perform([whole, recogniser()], [labelled], straight, plan=plan)
    model = MadeUp(loudness)

    class StopError(Exception):
        pass

    reached = 0

    def stop(stage: str, done: int, total: int) -> None:
        nonlocal reached
        if done > reached and stage.startswith("ae"):
            reached = done
            raise StopError

    for _ in range(N_CLIPS):
        with pytest.raises(StopError):
            perform([model, recogniser()], [labelled], broken, plan=plan, progress=stop)
    assert json.loads((broken / "performance.json").read_text())["finished"] is None
    perform([model, recogniser()], [labelled], broken, plan=plan, progress=stop)
    for name in ("performance.parquet", "performance.csv", "performance_clips.parquet"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name
    assert sorted(model.asked) == sorted(whole.asked)
    before = len(model.asked)
    perform([model, recogniser()], [labelled], broken, plan=plan)  # finished: nothing to do
    assert len(model.asked) == before


def test_a_broken_shard_is_computed_again(labelled: Path, tmp_path: Path) -> None:
    plan = plan_of("{PN: [0]}")
    perform([MadeUp(loudness)], [labelled], tmp_path / "a", plan=plan)

    def stop(stage: str, done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform([MadeUp(loudness)], [labelled], tmp_path / "b", plan=plan, progress=stop)
    shards = sorted((tmp_path / "b" / "work" / "performance").iterdir())
    assert len(shards) == N_CLIPS
    shards[0].write_bytes(shards[0].read_bytes()[:-40])
    shards[1].write_bytes(b"")
    perform([MadeUp(loudness)], [labelled], tmp_path / "b", plan=plan)
    name = "performance_clips.parquet"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_workers_change_no_byte(labelled: Path, tmp_path: Path) -> None:
    models = [MadeUp(loudness), separator()]
    for workers in (1, 2):
        plan = plan_of("{EN: [6], PS: [-4]}")
        perform(models, [labelled], tmp_path / str(workers), plan=plan, workers=workers)
    for name in ("performance.parquet", "performance_clips.parquet"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_clips_tasks_and_grids_do_not_depend_on_one_another(
    scored: Path, labelled: Path, tmp_path: Path
) -> None:
    """One clip's score at a point is the same in any subset of clips, tasks and points."""
    perform([separator()], [labelled], tmp_path, plan=plan_of("{TS: [0.9]}", clips=2))
    _, part = tables(tmp_path)
    _, whole = tables(scored)
    keys = ["task", "clip_id", "transformation", "magnitude"]
    both = part.merge(whole[whole["task"] == "vs"], on=keys, suffixes=("", "_whole"))
    assert len(both) == len(part) == 4
    assert (both["value"] == both["value_whole"]).all()


def test_changed_settings_are_refused_by_name(labelled: Path, tmp_path: Path) -> None:
    plan = plan_of("{PN: [0]}")
    out = tmp_path / "out"
    perform([MadeUp(loudness)], [labelled], out, plan=plan)
    before = (out / "performance.parquet").read_bytes()
    again = functools.partial(perform, [MadeUp(loudness)], [labelled], out)
    with pytest.raises(InputError, match=r"other settings: seed \(was 0, now 1\); name another"):
        again(plan=plan_of("{PN: [0]}", seed=1))
    with pytest.raises(InputError, match=r"grid \(was test with 1 points, now test with 2 points"):
        again(plan=plan_of("{PN: [0, 3]}"))
    for name, was, now in (("storage", "float", "mu-law"), ("loudness_window", "clip", "full")):
        with pytest.raises(InputError, match=rf"{name} \(was {was}, now {now}\)"):
            again(plan=plan_of("{PN: [0]}", **{name: now}))
    with pytest.raises(InputError, match="unknown setting 'rho'"):
        plan_of("{PN: [0]}", rho="own")
    with pytest.raises(InputError, match=r"split \(was test, now all\)"):
        again(plan=plan, split="all")
    with pytest.raises(InputError, match=r"device \(was cpu, now cuda\)"):
        perform([MadeUp(loudness, device="cuda")], [labelled], out, plan=plan)
    other = MadeUp(loudness, sha256="cd" * 32)
    with pytest.raises(InputError, match=r"model vgg-ae, trial 1 \(was abab.*, now cdcd"):
        perform([other], [labelled], out, plan=plan)
    more = [MadeUp(loudness), MadeUp(loudness, trial=2)]
    with pytest.raises(InputError, match=r"model vgg-ae, trial 2 \(was unset, now abab"):
        perform(more, [labelled], out, plan=plan)
    assert (out / "performance.parquet").read_bytes() == before
    perform(more, [labelled], out, plan=plan, force=True)
    assert set(tables(out)[0]["trial"]) == {0, 1, 2}


def test_a_run_keeps_its_tables_and_gains_the_scores(
    labelled: Path, small_run: Path, tmp_path: Path
) -> None:
    """The report is built anew with figure 4, task scores at the top of figure 12, and analyze."""
    import shutil

    import nearkin

    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    before = (run / "consistency.parquet").read_bytes()
    models = [separator(), separator(encoder="mfcc"), recogniser(), recogniser(encoder="mfcc")]
    perform(models, [labelled], run, plan=plan_of("{PN: [0, 12, 30], MP: [8, 64, 160]}"))
    assert (run / "consistency.parquet").read_bytes() == before
    result = nearkin.load(run)
    assert result.performance is not None
    assert len(result.performance) == 4 * 7
    names = {path.name for path in result.figures()}
    assert {"figure_4.svg", "figure_4.pdf"} <= names
    svg = (run / "figures" / "figure_4.svg").read_text()
    assert "Singing-voice separation: SDR, dB (more is better)" in svg
    assert "standardised within each task" in (run / "figures" / "figure_12.svg").read_text()
    page = result.report().read_text()
    assert 'id="figure-4"' in page
    assert "Task scores, with 95 % intervals" in page
    assert "4 clips of manifest.csv" in page


def test_a_folder_of_task_scores_alone_has_a_report(scored: Path, tmp_path: Path) -> None:
    out = shutil.copytree(scored, tmp_path / "scored")
    done = CliRunner().invoke(app, ["report", str(out)])
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text("utf-8")
    assert 'id="figure-4"' in page
    assert "Task scores, with 95 % intervals" in page
    assert 'id="verdict"' not in page
    (out / "report.html").unlink()
    (out / "report.html").symlink_to(tmp_path / "elsewhere.html")
    assert "is a link" in CliRunner().invoke(app, ["report", str(out)]).output
    assert not (tmp_path / "elsewhere.html").exists()


def test_without_task_scores_nothing_of_them_is_shown() -> None:
    from nearkin.report import page as report
    from support.fabricated import fabricate

    page = report.build(fabricate(n=5, grid={"PN": [0, 30]}))
    assert "figure-4" not in page
    assert "Task scores" not in page
    assert "standardised within each task" not in page


# -- what is refused -----------------------------------------------------------------------------


def test_each_task_takes_the_first_manifest_that_has_its_column(
    labelled: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(labelled)
    for column in ("path", "vocals_path"):
        table[column] = [str(labelled.parent / name) for name in table[column]]
    plain = table.drop(columns=["vocals_path", "instrument"])
    plain.to_csv(tmp_path / "plain.csv", index=False)
    table.assign(clip_id=[f"b{i}" for i in range(N_CLIPS)]).to_parquet(tmp_path / "b.parquet")
    models = [MadeUp(loudness), recogniser()]
    manifests = [tmp_path / "plain.csv", tmp_path / "b.parquet"]
    perform(models, manifests, tmp_path / "out", plan=plan_of("{PN: [0]}"))
    sets = json.loads((tmp_path / "out" / "performance.json").read_text())["test_sets"]
    assert {name: one["manifest"] for name, one in sets.items()} == {
        "ae": "plain.csv",
        "ir": "b.parquet",
    }


@pytest.fixture
def refused(labelled: Path, tmp_path: Path) -> Callable[..., str]:
    def sentence(models: Any = None, manifests: Any = None, **more: Any) -> str:
        plan = more.pop("plan", None) or plan_of("{PN: [0]}")
        with pytest.raises(InputError) as told:
            perform(
                [MadeUp(loudness)] if models is None else models,
                [labelled] if manifests is None else manifests,
                more.pop("out", tmp_path / "out"),
                plan=plan,
                **more,
            )
        text = str(told.value)
        assert "\n" not in text
        return text

    return sentence


def test_bad_input_is_one_sentence(
    refused: Callable[..., str], labelled: Path, tmp_path: Path
) -> None:
    assert refused([]).startswith("no model given")
    assert refused(manifests=[]).startswith("no manifest given")
    twins = refused([MadeUp(loudness), MadeUp(loudness)])
    assert "both are vgg-ae, trial 1: must be told apart" in twins
    assert refused(split="tset").startswith("--split tset: did you mean 'test'")
    nothing = tmp_path / "nothing.csv"
    assert "nothing.csv: cannot be read (No such file" in refused(manifests=[nothing])
    table = pd.read_csv(labelled)
    for column in ("path", "vocals_path"):
        table[column] = [str(labelled.parent / name) for name in table[column]]
    bare = tmp_path / "bare.csv"
    table.drop(columns=["instrument"]).to_csv(bare, index=False)
    lacking = refused([recogniser()], [bare])
    assert "task ir: needs the column 'instrument', which" in lacking
    assert "bare.csv lacks; pass another --manifest too" in lacking
    train = tmp_path / "train.csv"
    table.assign(split="train").to_csv(train, index=False)
    assert "train.csv: names no test clip" in refused(manifests=[train])
    alone = tmp_path / "alone.csv"
    table.head(1).to_csv(alone, index=False)
    assert "task ae: 1 of 1 clips of alone.csv can be used: at least 2" in refused(
        manifests=[alone]
    )
    short = plan_of("{PN: [0]}", clip_seconds=1.2)
    assert "clip_seconds=1.2: must be >= 1.47" in refused(plan=short)
    (tmp_path / "file").write_text("")
    assert "is a file; name a folder" in refused(out=tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    assert "holds something that is no nearkin run" in refused(out=tmp_path / "full")


def test_a_folder_of_task_scores_takes_a_run_too(labelled: Path, tmp_path: Path) -> None:
    import nearkin

    (tmp_path / "g.yaml").write_text("{PN: [0]}")
    out = tmp_path / "out"
    perform([MadeUp(loudness)], [labelled], out, plan=plan_of("{PN: [0]}"))
    result = nearkin.evaluate(["mfcc"], labelled, grid=str(tmp_path / "g.yaml"), out=out)
    assert result.performance is not None
    nearkin.evaluate(["mfcc"], labelled, grid=str(tmp_path / "g.yaml"), seed=1, out=out, force=True)
    assert not list(out.glob("performance*"))  # scores of a run that was started anew go with it


def test_an_estimate_writes_nothing(labelled: Path, tmp_path: Path) -> None:
    models = [MadeUp(loudness), recogniser()]
    seen = estimate(models, [labelled], plan=plan_of(clips=3), split="test", workers=2)
    assert seen.clips == {"ae": 3, "ir": 3}
    assert (seen.models, seen.points) == (2, 7)
    assert 0 < seen.seconds < 600
    assert seen.lines()[-1] == "nothing was written"
    assert not list(tmp_path.iterdir())


def test_the_summary_tells_the_score_against_chance_and_the_worst(scored: Path) -> None:
    table, _ = tables(scored)
    record = json.loads((scored / "performance.json").read_text())
    told = summary(table, record, out=scored, report=None)
    assert not told.failed
    by_task = {row["task"]: row for row in told.models}
    assert by_task["ir"]["trial"] == 0
    separation = by_task["vs"]
    mine = table[(table["task"] == "vs") & (table["transformation"] != "OG")]
    assert separation["worst"] == mine["value"].min()
    assert separation["worst_at"] == "PN at 0 dB"
    line = next(line for line in told.lines() if line.startswith("vgg-vs"))
    assert "SDR" in line
    assert f"{separation['value']:.3f} [" in line
    json.dumps(told.as_dict(), allow_nan=False)
