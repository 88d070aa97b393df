"""The units of a run: excerpts, loudness, contexts and queries, held to facts outside them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

from conftest import RATE, tune
from nearkin.corpora.recordings import Recording
from nearkin.distances import PackedOriginals, dtw, simple
from nearkin.encoders import Key, resolve
from nearkin.progress import watched
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, embed_all, frames_of
from nearkin.runs.originals import _places, originals
from nearkin.runs.plan import Plan, make_plan
from nearkin.runs.queries import noise_library, queries, transformation_at, transformed
from nearkin.tables import OK
from nearkin.transforms import transformation_class
from nearkin.transforms.grids import Grid, Point
from support.signals import write_float


def plan_for(points: list[tuple[str, float]], **settings: Any) -> Plan:
    grid = Grid("test", tuple(Point(*point) for point in points))
    return make_plan({"encoders": ["mfcc"], "grid": grid, **settings})


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds whose samples say where they are: a rising sawtooth under a tone."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    t = np.arange(40 * RATE) / RATE
    y = 0.2 * np.sin(2 * np.pi * 440 * t) + t / 100
    write_float(path, y.astype(np.float32), RATE)
    return path


def take(path: Path, plan: Plan, **place: Any) -> list[Original]:
    return originals(plan, Recording(path.name, path, **place), [resolve("mfcc")])


def test_an_excerpt_is_where_its_row_says(long_file: Path) -> None:
    plan = plan_for([("PN", 30)])
    (clip,) = take(long_file, plan)
    assert clip.status == OK
    assert clip.duration_s == 4.0
    whole, _ = soundfile.read(long_file, dtype="float32")
    start = round(clip.start_s * RATE)
    assert np.array_equal(clip.context, whole[start : start + 4 * RATE])


def test_the_place_is_drawn_from_seed_and_content(long_file: Path, tmp_path: Path) -> None:
    plan = plan_for([("PN", 30)])
    (clip,) = take(long_file, plan)
    copy = tmp_path / "another name.wav"
    copy.write_bytes(long_file.read_bytes())
    assert take(copy, plan)[0].start_s == clip.start_s
    assert take(long_file, plan_for([("PN", 30)], seed=1))[0].start_s != clip.start_s
    assert take(long_file, plan_for([("MP", 64), ("PN", 3)]))[0].start_s == clip.start_s


def test_excerpts_of_a_file_do_not_overlap(long_file: Path) -> None:
    for seed in range(20):
        clips = take(long_file, plan_for([("PN", 30)], excerpts_per_file=7, seed=seed))
        starts = [clip.start_s for clip in clips]
        assert len(starts) == 7
        assert min(np.diff(starts)) >= 4.0 - 1e-9
        assert starts[0] >= 0
        assert starts[-1] <= 36.0 + 1e-9
        assert [clip.clip_id for clip in clips] == [f"long.wav#{i}" for i in range(1, 8)]
    assert len(take(long_file, plan_for([("PN", 30)], excerpts_per_file=99))) == 10


def test_excerpt_places_are_uniform(long_file: Path) -> None:
    """With one excerpt the place is uniform over the file: Kolmogorov-Smirnov over 200 seeds."""
    from scipy.stats import kstest

    recording = Recording("x", long_file)
    plans = [plan_for([("PN", 30)], seed=seed) for seed in range(200)]
    starts = [_places(plan, recording, "hash", 40.0)[0][0] for plan in plans]
    assert kstest(np.array(starts) / 36, "uniform").pvalue > 1e-3


def test_a_given_start_is_kept(long_file: Path) -> None:
    (clip,) = take(long_file, plan_for([("PN", 30)]), start_s=12.5)
    assert clip.start_s == 12.5
    (short,) = take(long_file, plan_for([("PN", 30)]), start_s=36.5)
    assert short.duration_s == pytest.approx(3.5)
    (late,) = take(long_file, plan_for([("PN", 30)]), start_s=38.0)
    assert late.status == "skipped: too short: 2.00 s from start_s=38, needs 3 s"


@pytest.fixture(scope="module")
def tune_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "tune.wav"
    write_float(path, tune(3), RATE)
    return path


def test_every_version_is_as_loud_as_its_original(tune_file: Path) -> None:
    """Measured by pyloudnorm on the two seconds heard, within 0.01 LU."""
    points = [("PN", -15), ("EN", 6), ("TS", 0.5), ("TS", 1.5), ("PS", -12), ("PS", 7), ("MP", 8)]
    plan = plan_for(points)
    (clip,) = take(tune_file, plan)
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")
    heard = centre(clip.context, plan.clip_samples)
    assert heard is not None
    level = meter.integrated_loudness(heard.astype(float))
    for point in plan.grid.points:
        version = transformed(plan, clip, point, noise=noise_library(plan))
        assert version.heard.shape == (44_100,)
        found = meter.integrated_loudness(version.heard.astype(float))
        assert found == pytest.approx(level, abs=0.01), point


def test_the_identity_changes_no_bit(tune_file: Path) -> None:
    plan = plan_for([("PN", 30)])
    (clip,) = take(tune_file, plan)
    noise = noise_library(plan)
    version = transformed(plan, clip, Point("OG", 0.0), noise=noise)
    assert np.array_equal(version.heard, centre(clip.context, plan.clip_samples))
    found = queries(plan, clip, PackedOriginals([clip.frames] * 2), [resolve("mfcc")], noise=noise)
    assert np.array_equal(found.distances[:, 0], np.zeros((2, 2)))
    assert found.vectors["mfcc"].array is not None
    assert clip.vectors["mfcc"].array is not None
    assert np.array_equal(found.vectors["mfcc"].array[0], clip.vectors["mfcc"].array[0])


def test_mu_law_is_what_everything_hears(tune_file: Path) -> None:
    plan = plan_for([("PN", 10)], storage="mu-law")
    (clip,), (plain,) = take(tune_file, plan), take(tune_file, plan_for([("PN", 10)]))
    noise = noise_library(plan)
    assert np.array_equal(clip.context, plain.context), "what is transformed is the sound itself"
    own = transformed(plan, clip, Point("OG", 0.0), noise=noise).heard
    assert len(np.unique(own)) <= 256
    assert not np.array_equal(own, centre(clip.context, plan.clip_samples))
    assert np.array_equal(clip.frames, frames_of(plan, own))
    noisy = transformed(plan, clip, Point("PN", 10.0), noise=noise).heard
    assert len(np.unique(noisy)) <= 256
    found = queries(plan, clip, PackedOriginals([clip.frames] * 2), [resolve("mfcc")], noise=noise)
    assert np.array_equal(found.distances[:, 0], np.zeros((2, 2)))
    assert found.vectors["mfcc"].array is not None
    assert clip.vectors["mfcc"].array is not None
    assert np.array_equal(found.vectors["mfcc"].array[0], clip.vectors["mfcc"].array[0])
    assert not np.array_equal(clip.vectors["mfcc"].array, plain.vectors["mfcc"].array)


def test_loudness_may_be_matched_over_the_whole_context(tmp_path: Path) -> None:
    """A crescendo played faster: the context keeps its loudness, what is heard of it does not."""
    y = tune(3) * np.geomspace(0.05, 1.0, len(tune(3))).astype(np.float32)
    write_float(tmp_path / "crescendo.wav", y, RATE)
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")
    for window in ("full", "clip"):
        plan = plan_for([("TS", 1.5)], loudness_window=window)
        (clip,) = take(tmp_path / "crescendo.wav", plan, start_s=0.8)
        version = transformed(plan, clip, plan.grid.points[0], noise=noise_library(plan))
        whole = meter.integrated_loudness(clip.context.astype(float))
        heard = centre(clip.context, plan.clip_samples)
        assert heard is not None
        part = meter.integrated_loudness(heard.astype(float))
        assert clip.loudness_lufs == pytest.approx(whole if window == "full" else part, abs=0.01)
        away = [
            meter.integrated_loudness(version.context.astype(float)) - whole,
            meter.integrated_loudness(version.heard.astype(float)) - part,
        ]
        assert away[window == "clip"] == pytest.approx(0, abs=0.01)
        assert abs(away[window == "full"]) > 0.1


def test_fast_dtw_is_the_packages(tune_file: Path) -> None:
    fastdtw = pytest.importorskip("fastdtw").fastdtw
    plan = plan_for([("PS", 3)], dtw="fast")
    (clip,) = take(tune_file, plan)
    noise = noise_library(plan)
    other = clip.frames[::-1].copy()
    found = queries(plan, clip, PackedOriginals([clip.frames, other]), [], noise=noise)
    frames = frames_of(plan, transformed(plan, clip, plan.grid.points[0], noise=noise).heard)
    for column, original in enumerate((clip.frames, other)):
        expected = fastdtw(frames.astype(float), original.astype(float), radius=1, dist=2)[0]
        assert found.distances[0, 1, column] == pytest.approx(expected, rel=1e-6)
        assert found.distances[0, 1, column] >= dtw(frames, original) * (1 - 1e-6)


def test_queries_are_the_public_functions(tune_file: Path) -> None:
    """Distances of a query equal dtw and simple on MFCCs computed by hand with librosa."""
    import librosa

    plan = plan_for([("PS", 3), ("TS", 0.9)])
    (clip,) = take(tune_file, plan)
    noise = noise_library(plan)
    found = queries(plan, clip, PackedOriginals([clip.frames] * 2), [], noise=noise)
    heard = centre(clip.context, plan.clip_samples)
    own = librosa.feature.mfcc(y=heard, sr=RATE, n_mfcc=25)[1:].T
    for index, point in enumerate(plan.points[1:], start=1):
        y = transformed(plan, clip, point, noise=noise).heard
        other = librosa.feature.mfcc(y=y, sr=RATE, n_mfcc=25)[1:].T
        truth = [dtw(other, own), simple(other, own)]
        assert found.distances[:, index, 0] == pytest.approx(truth, rel=1e-4)


def test_the_same_noise_at_every_level(tune_file: Path) -> None:
    """What is added at 30 dB and at 0 dB differs by a factor only."""
    plan = plan_for([("PN", 0), ("PN", 30)])
    (clip,) = take(tune_file, plan)
    noise = noise_library(plan)
    added = []
    for point in plan.grid.points:
        change = transformation_at(plan, point, noise=noise)
        y = change(clip.context, sr=RATE, rng=clip.stream(plan, point.code))
        added.append((y - clip.context).astype(float))
    assert np.corrcoef(*added)[0, 1] > 0.9999


def test_a_result_that_does_not_fill_the_clip_is_a_status(tune_file: Path) -> None:
    plan = plan_for([("TS", 2.5), ("TS", 1.5)])
    (clip,) = take(tune_file, plan)
    noise = noise_library(plan)
    found = queries(plan, clip, PackedOriginals([clip.frames] * 2), [resolve("mfcc")], noise=noise)
    assert found.status[2].startswith("the transformed clip lasts 1.60 s: must fill 2 s")
    assert found.status[:2] == (OK, OK)
    assert np.isnan(found.distances[:, 2]).all()
    assert found.vectors["mfcc"].status[2] == found.status[2]


def test_full_window_compares_whole_contexts(tune_file: Path) -> None:
    plan = plan_for([("TS", 0.5)], audio_window="full")
    (clip,) = take(tune_file, plan)
    assert clip.frames.shape == (173, 24)
    noise = noise_library(plan)
    found = queries(plan, clip, PackedOriginals([clip.frames] * 2), [resolve("mfcc")], noise=noise)
    version = transformed(plan, clip, Point("TS", 0.5), noise=noise)
    assert version.context.shape[0] == pytest.approx(8 * RATE, abs=3)
    slow = frames_of(plan, version.context)
    assert found.distances[0, 1, 0] == pytest.approx(dtw(slow, clip.frames), rel=1e-5)


def delay_between(a: np.ndarray, b: np.ndarray) -> int:
    """Where the cross-correlation of two signals of equal length is highest, in samples."""
    from scipy.signal import correlate, correlation_lags

    lags = correlation_lags(len(a), len(b))
    return int(lags[np.argmax(correlate(a.astype(float), b.astype(float)))])


def left_over(whole: np.ndarray, parts: np.ndarray) -> float:
    """What is left of a whole less its parts, in dB of the whole."""
    rest = whole.astype(float) - parts.sum(axis=0, dtype=float)
    return float(10 * np.log10(np.mean(rest**2) / np.mean(whole.astype(float) ** 2)))


COMPANY = [("TS", 0.4), ("TS", 0.9), ("TS", 1.5), ("PS", -7), ("PS", 0.25), ("PS", 12)]


def in_company(tune_file: Path, plan: Plan) -> tuple[Original, np.ndarray]:
    """A clip and two voices that add up to it: what is below 800 Hz in it, and the rest."""
    from scipy.signal import butter, sosfiltfilt

    (clip,) = take(tune_file, plan)
    low = sosfiltfilt(butter(6, 800, fs=RATE, output="sos"), clip.context).astype(np.float32)
    return clip, np.stack([low, clip.context - low])


def test_what_stays_with_a_clip_stays_aligned_with_it(tune_file: Path) -> None:
    """Voices that add up to a clip still do after shifts of time and pitch, within -60 dB.

    Shifted by calls of their own they do not, by far: every call finds its own phases.
    """
    plan = plan_for(COMPANY)
    clip, voices = in_company(tune_file, plan)
    noise = noise_library(plan)
    for point in plan.grid.points:
        version = transformed(plan, clip, point, noise=noise, companions=voices)
        assert version.companions is not None
        assert version.companions.shape == (2, plan.clip_samples)
        for voice in version.companions:
            assert delay_between(version.heard, voice) == 0, point
        assert left_over(version.heard, version.companions) < -60, point
        change = transformation_at(plan, point, noise=noise)
        apart = [centre(change(voice, sr=RATE), plan.clip_samples) for voice in voices]
        alone = centre(change(clip.context, sr=RATE), plan.clip_samples)
        assert alone is not None
        assert left_over(alone, np.stack(apart)) > -30, point


def test_the_gain_of_a_clip_is_that_of_what_stays_with_it(tune_file: Path) -> None:
    """Under noise and MP3 the companions are untouched but for the clip's own gain."""
    plan = plan_for([("PN", -15), ("EN", 6), ("MP", 8)])
    clip, voices = in_company(tune_file, plan)
    noise = noise_library(plan)
    middle = slice(plan.clip_samples // 2, plan.clip_samples // 2 + plan.clip_samples)
    for point in plan.points:
        version = transformed(plan, clip, point, noise=noise, companions=voices)
        alone = transformed(plan, clip, point, noise=noise)
        assert np.array_equal(version.heard, alone.heard)
        assert alone.companions is None
        assert version.companions is not None
        gain = 10 ** (version.gain_db / 20)
        assert version.companions == pytest.approx(voices[:, middle] * gain, abs=1e-6)
    changed = transformed(plan, clip, Point("PN", -15.0), noise=noise, companions=voices)
    assert changed.gain_db < -3


class Ends(KeyboardInterrupt):
    """What ends a process: nothing that calls foreign code catches what a signal brought."""


def end(number: int, frame: object) -> None:
    raise Ends


class Deadly:
    """An encoder that ends its process at the clip of threes."""

    sample_rate = RATE
    embedding_size = 4

    def embed(self, audio: Any) -> Any:
        if (audio == 3).any():
            signal.raise_signal(signal.SIGINT)
        return audio[:, :4]


def test_the_step_that_ends_a_process_is_named_by_its_point() -> None:
    plan = plan_for([("PN", 30), ("PN", 10), ("MP", 64)])
    clips = np.stack([np.full(plan.clip_samples, level, np.float32) for level in (1, 3, 2, 4)])
    keys = [Key("clip", *point) for point in plan.points]
    encoder = resolve(Deadly())
    before = signal.signal(signal.SIGINT, end)
    try:
        for watched_by, last in ((True, f"encoder {encoder.label}, PN 10"), (False, "")):
            told = [""]
            with pytest.raises(Ends), watched(told.append if watched_by else None):
                embed_all(plan, [encoder], clips, keys, [OK] * 4)
            assert told[-1] == last
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_is_watched_gets_the_same_bytes(long_file: Path) -> None:
    plan = plan_for([("PN", 10), ("TS", 0.9)])
    (original,) = take(long_file, plan)
    space = PackedOriginals([original.frames] * 2)
    encoders = [resolve("mfcc")]
    told: list[str] = []
    plainly = queries(plan, original, space, encoders, noise=noise_library(plan))
    with watched(told.append):
        again = queries(plan, original, space, encoders, noise=noise_library(plan))
    assert again.vectors["mfcc"].array.tobytes() == plainly.vectors["mfcc"].array.tobytes()
    assert again.distances.tobytes() == plainly.distances.tobytes()
    assert [one for one in told if "audio distances" in one] == [
        f"{name}, its audio distances" for name in ("OG 0", "PN 10", "TS 0.9")
    ]
    assert [one for one in told if "encoder" in one] == [
        "encoder mfcc, OG 0", "encoder mfcc, PN 10", "encoder mfcc, TS 0.9",
        "encoder mfcc, 3 clips at once",
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "magnitude"), [("MP", 32.0), ("TS", 0.5), ("PS", 3.0)])
def test_as_much_is_transformed_as_is_heard(
    tune_file: Path, monkeypatch: pytest.MonkeyPatch, code: str, magnitude: float
) -> None:
    lengths: list[int] = []
    kind = transformation_class(code)
    change = kind.change

    def watched(self: Any, y: np.ndarray, **more: Any) -> Any:
        lengths.append(y.shape[-1])
        return change(self, y, **more)

    monkeypatch.setattr(kind, "change", watched)
    for more in ({}, {"audio_window": "full"}, {"loudness_window": "full"}):
        plan = plan_for([(code, magnitude)], **more)
        (clip,) = take(tune_file, plan)
        transformed(plan, clip, plan.grid.points[0], noise=noise_library(plan))
    assert lengths[0] < 0.8 * len(clip.context)
    assert lengths[1:] == [len(clip.context)] * 2
