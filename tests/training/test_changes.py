"""Crops changed at random: what is drawn, what is done, what labels and vocals become."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("safetensors")

from nearkin.audio import loudness_lufs  # noqa: E402
from nearkin.errors import InputError, RunError  # noqa: E402
from nearkin.networks.files import load, read_header  # noqa: E402
from nearkin.training import Settings, train  # noqa: E402
from nearkin.training.batches import FixedBatches, Order, TrainingBatches  # noqa: E402
from nearkin.training.changes import Changes, Views, changed  # noqa: E402
from nearkin.training.recordings import Recordings  # noqa: E402
from nearkin.transforms.grids import Grid, Point, grid  # noqa: E402
from support.labelled_tones import SR, make_corpus  # noqa: E402

N = round(1.5 * SR)
SMALL = Grid("small", (Point("PN", 10.0), Point("GN", -6.0), Point("GN", 6.0)))


def noise(seed: int, n: int = 2 * N) -> Any:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def lined_up(tmp_path: Path, *, vocals: bool = False, n: int = 5) -> Recordings:
    """Recordings of 3 s in a flat file; with vocals, those of the mixture's first half hold it."""
    length = 2 * N
    rng = np.random.default_rng(0)
    samples = rng.integers(-9_000, 9_000, n * length).astype("<i2")
    path = tmp_path / "samples.i16"
    path.write_bytes(samples.tobytes())
    starts, scales = np.arange(n) * length, np.full(n, 1 / 32_767, np.float32)
    extra = {"vocal_starts": starts, "vocal_scales": scales / 4} if vocals else {}
    targets = None if vocals else np.arange(n)
    return Recordings(path, starts, np.full(n, length), scales, targets=targets, **extra)


def test_every_transformation_is_drawn_as_often() -> None:
    """Multinomial: a quarter stays, and PN (one magnitude) and GN (two) share the rest equally."""
    changes = Changes(SMALL, 0, ("test",), unchanged=0.25)
    drawn: Counter[Any] = Counter()
    for number in range(800):
        made = changes.version(noise(0, N + 8), None, N, number=number)
        drawn[made and made.point] += 1
    shares = {None: 0.25, Point("PN", 10.0): 0.375}
    shares |= {Point("GN", -6.0): 0.1875, Point("GN", 6.0): 0.1875}
    assert drawn.keys() == shares.keys()
    for point, share in shares.items():
        assert drawn[point] == pytest.approx(800 * share, abs=4 * (800 * share) ** 0.5)


def test_a_gain_is_kept_and_noise_is_matched_in_loudness() -> None:
    context = noise(1)
    whole = context[N // 2 : N // 2 + N]
    louder, _ = changed(SMALL, Point("GN", 6.0), context, None, N, np.random.default_rng(0))
    np.testing.assert_allclose(louder, whole * 10 ** (6 / 20), rtol=1e-5)
    noisy, _ = changed(SMALL, Point("PN", 10.0), context, None, N, np.random.default_rng(0))
    assert noisy.shape == whole.shape
    assert loudness_lufs(noisy, sr=SR) == pytest.approx(loudness_lufs(whole, sr=SR), abs=0.01)
    gain = float(np.vdot(noisy, whole) / np.vdot(whole, whole))
    snr = 10 * np.log10(np.vdot(whole, whole) / np.sum((noisy / gain - whole) ** 2))
    assert snr == pytest.approx(10, abs=1.0)  # of the context, the crop is a half


@pytest.mark.parametrize(("ratio", "fits"), [(1.9, True), (2.5, False)])
def test_a_faster_tempo_needs_its_context(ratio: float, fits: bool) -> None:
    source = Grid("fast", (Point("TS", ratio),))
    if fits:
        Changes(source, 0, ("test",)).require_usable(N)
    else:
        with pytest.raises(InputError, match=r"'fast': TS 2.5 cannot be trained with \(.*1\.2"):
            Changes(source, 0, ("test",)).require_usable(N)
    made = Changes(source, 0, ("test",)).version(noise(0, N), None, N, number=0)
    assert made is None  # at a recording's edge there is no context: it stays as it is


def test_silence_stays_as_it_is() -> None:
    source = Grid("noise", (Point("PN", 10.0),))
    silence = np.zeros(2 * N, np.float32)
    assert Changes(source, 0, ("test",)).version(silence, None, N, number=0) is None


def test_vocals_stay_with_their_mixture() -> None:
    """Moved where time moves, scaled by a gain, left alone by noise but for the matched gain."""
    source = Grid("all", (Point("PN", 10.0), Point("GN", 6.0), Point("TO", 100.0)))
    mixture = noise(2)
    vocals = (mixture * 0.25).astype(np.float32)
    rng = np.random.default_rng
    for point in (Point("GN", 6.0), Point("TO", 100.0)):
        heard, voice = changed(source, point, mixture, vocals, N, rng(0))
        np.testing.assert_allclose(voice, heard / 4, atol=1e-6)
    heard, voice = changed(source, Point("TO", 100.0), mixture, vocals, N, rng(0))
    later = mixture[N // 2 + 2_205 : N // 2 + 2_205 + N]
    assert np.corrcoef(heard, later)[0, 1] > 0.999
    heard, voice = changed(source, Point("PN", 10.0), mixture, vocals, N, rng(0))
    assert voice is not None
    own = vocals[N // 2 : N // 2 + N]
    assert np.ptp(voice / own) < 1e-5
    assert not np.allclose(heard / 4, voice, atol=1e-3)


def test_a_batch_holds_the_same_bytes_whoever_makes_it(tmp_path: Path) -> None:
    part = lined_up(tmp_path)
    views = Views(Changes(SMALL, 0, ("a",), unchanged=0.25), Changes(SMALL, 0, ("b",)))
    order = Order(0, "ir", 1, part.lengths, 4, N)
    whole = [TrainingBatches(part, order, rank=0, world=1, views=views)[step] for step in (0, 3)]
    plain = TrainingBatches(part, order, rank=0, world=1)[3]
    for rank in range(2):
        share = TrainingBatches(part, order, rank=rank, world=2, views=views)[3]
        for name in ("audio", "target", "changed", "recordings"):
            assert torch.equal(getattr(share, name), getattr(whole[1], name)[rank::2])
    assert torch.equal(whole[1].target, plain.target)  # labels are kept
    assert torch.equal(whole[1].recordings, torch.tensor(order.places(3)[0]))
    moved = (whole[1].audio != plain.audio).any(dim=1)
    assert moved.any()
    assert (whole[1].changed != plain.audio).any(dim=1).all()  # a pair is never twice the same
    assert not torch.equal(whole[0].changed, whole[1].changed)
    assert plain.changed is None
    fixed = [list(FixedBatches(part, n_samples=N, batch=2, most=5, views=views)) for _ in range(2)]
    for one, other in zip(*fixed, strict=True):
        assert torch.equal(one.audio, other.audio)
        assert torch.equal(one.changed, other.changed)


def test_validation_compares_clips_of_different_recordings(tmp_path: Path) -> None:
    part = lined_up(tmp_path, n=3)
    both = Views(second=Changes(SMALL, 0, ("b",)))
    batches = list(FixedBatches(part, n_samples=N, batch=3, most=6, views=both))
    assert [batch.recordings.tolist() for batch in batches] == [[0, 1, 2], [0, 1, 2]]
    plain = FixedBatches(part, n_samples=N, batch=3, most=6)  # as ever
    assert [index for index, _ in plain.places] == [0, 0, 1, 1, 2, 2]


def test_an_augmented_batch_carries_its_vocals(tmp_path: Path) -> None:
    part = lined_up(tmp_path, vocals=True)
    views = Views(Changes(Grid("gain", (Point("GN", -6.0),)), 0, ("a",)))
    order = Order(0, "vs", 1, part.lengths, 4, N)
    plain = TrainingBatches(part, order, rank=0, world=1)[0]
    made = TrainingBatches(part, order, rank=0, world=1, views=views)[0]
    gain = 10 ** (-6 / 20)
    torch.testing.assert_close(made.audio, plain.audio * gain)
    torch.testing.assert_close(made.target, plain.target * gain)


# The training


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), seconds=3.5)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("grid") / "small.yaml"
    path.write_text("PN: [0, 10]\nGN: [-6, 6]\n")
    return str(path)


def trained(corpus: Path, out: Path, cache: Path, what: str = "ir", **changed: Any) -> Any:
    settings = {"batch": 4, "crop_s": 1.5, "period": 2, "device": "cpu", "max_steps": 3}
    settings = {**settings, "features": "mfcc", **changed}
    call = {"loaders", "progress", "force"} & settings.keys()
    options: dict[str, Any] = {name: settings.pop(name) for name in call}
    return train(Settings(what, **settings), corpus, out, cache=cache, **options)


def test_augmented_training_is_the_same_bytes_with_loaders_and_when_interrupted(
    corpus: Path, tmp_path: Path, cache: Path, small: str
) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "steps trained" and done == 3:
            raise KeyboardInterrupt

    outs = {name: tmp_path / f"{name}.safetensors" for name in ("straight", "loaders", "broken")}
    model = trained(corpus, outs["straight"], cache, augment=small)
    trained(corpus, outs["loaders"], cache, augment=small, loaders=2)
    with pytest.raises(KeyboardInterrupt):
        trained(corpus, outs["broken"], cache, augment=small, progress=progress)
    trained(corpus, outs["broken"], cache, augment=small)
    assert len({path.read_bytes() for path in outs.values()}) == 1
    assert model.label == "mfcc_augmented-ir"
    points = [["PN", 0.0], ["PN", 10.0], ["GN", -6.0], ["GN", 6.0]]
    stated = read_header(outs["straight"])["changes"]
    assert stated == {"augment": {"unchanged": 0.25, "grid": {"name": "small", "points": points}}}
    plain = tmp_path / "plain.safetensors"
    assert trained(corpus, plain, cache).changes == {}
    assert b'"changes"' not in plain.read_bytes().replace(b"\\", b"")
    before, after = (load(path).network.head.state_dict() for path in (plain, outs["straight"]))
    assert not torch.equal(before["linear.weight"], after["linear.weight"])
    with pytest.raises(RunError, match=r"begun with another --augment; .*--force"):
        trained(corpus, plain, cache, augment=small)


@pytest.mark.parametrize("what", ["ae", "vs"])
def test_tasks_without_labels_learn_from_changed_crops(
    corpus: Path, tmp_path: Path, cache: Path, what: str, small: str
) -> None:
    model = trained(corpus, tmp_path / "m.safetensors", cache, what, augment=small, max_steps=1)
    assert model.label == f"mfcc_augmented-{what}"
    assert np.isfinite(model.scores["valid"]["value"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"augment": "quik"}, "unknown grid 'quik': did you mean 'quick'"),
        ({"consistency": 0.1}, "consistency=0.1: needs a grid .* pass --grid"),
        ({"consistency": 0.1, "grid": "quick"}, "nothing in the encoder mfcc is learnt"),
        ({"consistency": -1.0}, "consistency=-1: must be >= 0"),
        ({"consistency": float("inf"), "grid": "quick"}, "must be >= 0 and finite"),
        ({"consistency": "much"}, "consistency='much': must be a number"),
        ({"augment": 3}, "augment=3: must be a text"),
    ],
)
def test_bad_settings_are_one_sentence_each(
    corpus: Path, tmp_path: Path, cache: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        trained(corpus, tmp_path / "m.safetensors", cache, **settings)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_grid_that_no_crop_can_be_changed_by_is_refused(
    corpus: Path, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "fast.yaml"
    path.write_text("TS: [3]\n")
    with pytest.raises(InputError, match=r"grid 'fast': TS 3 cannot be trained with"):
        trained(corpus, tmp_path / "m.safetensors", cache, augment=str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_names_of_grids_are_those_of_runs() -> None:
    made = Settings("ir", augment="imperceptible").grids["augment"]
    assert made == grid("imperceptible")
