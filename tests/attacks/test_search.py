"""The search on its sphere: exact SNRs, the closed form of a linear encoder, never worse."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nearkin.attacks.aim import Aim
from nearkin.attacks.nes import nes
from nearkin.attacks.sphere import on_sphere, radius, snr_db
from nearkin.distances import latent_distance
from nearkin.errors import InputError

SNRS = (60.0, 50.0, 40.0, 30.0)
SAMPLES = 400


class Linear:
    """A linear encoder: a clip's two projections, and two originals to be told apart."""

    def __init__(self, seed: int = 0, offset: float = 0.2) -> None:
        rng = np.random.default_rng(seed)
        self.matrix = rng.standard_normal((SAMPLES, 6)) / np.sqrt(SAMPLES)
        self.x = (rng.standard_normal(SAMPLES) + offset).astype(np.float32)
        own = self.x @ self.matrix
        self.originals = np.stack([own, own + 0.05 * rng.standard_normal(6)])
        self.aim = Aim.of(self.originals, 0)

    def embed(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        return audio.astype(np.float64) @ self.matrix

    def network(self, audio):  # type: ignore[no-untyped-def]
        import torch

        return audio.double() @ torch.from_numpy(self.matrix)

    @property
    def limit_db(self) -> float:
        """The SNR of the smallest perturbation without a mean that leads the clip astray.

        The margin's sign is that of <x, w>, w = matrix @ (own - other): a hyperplane.
        """
        w = self.matrix @ (self.aim.own - self.aim.others[0])
        least = (self.x.astype(np.float64) @ w) / np.linalg.norm(w - w.mean())
        x = self.x.astype(np.float64)
        return float(20 * np.log10(np.linalg.norm(x - x.mean()) / least))


def start(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(SAMPLES)


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_encoder_falls_at_its_closed_form(seed: int) -> None:
    pytest.importorskip("torch")
    from nearkin.attacks.pgd import pgd

    one = Linear(seed)
    radii = [radius(one.x, snr_db=one.limit_db + db) for db in (0.1, -0.1)]
    found = pgd(one.network, one.x, one.aim, radii, start(), steps=60)
    assert found.margin[0] > 0  # nothing of that strength can
    assert found.margin[1] <= 0  # and this is found
    margins = one.aim.margin(one.embed(found.audio))
    assert np.allclose(margins, found.margin, atol=1e-5)


def test_every_snr_is_exact() -> None:
    pytest.importorskip("torch")
    from nearkin.attacks.pgd import pgd

    one = Linear()
    radii = [radius(one.x, snr_db=snr) for snr in SNRS]
    for steps in (0, 7):
        found = pgd(one.network, one.x, one.aim, radii, start(), steps=steps)
        assert [snr_db(one.x, y) for y in found.audio] == pytest.approx(SNRS, abs=0.01)
        moved = found.audio.astype(np.float64) - one.x
        assert np.abs(moved.mean(axis=1)).max() < 1e-6
    found = nes(one.embed, one.x, one.aim, radii, start(), rng=np.random.default_rng(0))
    assert [snr_db(one.x, y) for y in found.audio] == pytest.approx(SNRS, abs=0.01)


def test_more_steps_are_never_worse() -> None:
    pytest.importorskip("torch")
    from nearkin.attacks.pgd import pgd

    one = Linear(5)
    radii = [radius(one.x, snr_db=one.limit_db + 3)]
    margins = [
        float(pgd(one.network, one.x, one.aim, radii, start(), steps=steps).margin[0])
        for steps in (0, 1, 2, 5, 10, 20)
    ]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < margins[0]
    margins = [
        float(
            nes(one.embed, one.x, one.aim, radii, start(), rng=np.random.default_rng(1),
                steps=steps).margin[0]
        )
        for steps in (0, 1, 3, 6)
    ]  # fmt: skip
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < margins[0]


def test_questions_alone_find_what_is_near() -> None:
    one = Linear(2)
    radii = [radius(one.x, snr_db=one.limit_db + db) for db in (1.0, -12.0)]
    found = nes(one.embed, one.x, one.aim, radii, start(), rng=np.random.default_rng(0), steps=30)
    assert found.margin[0] > 0
    assert found.margin[1] <= 0
    assert found.asked[1] <= found.asked[0] == 1 + 30 * 40  # it ends once the clip is astray


def test_equal_seeds_find_equal_bytes() -> None:
    one = Linear()
    radii = [radius(one.x, snr_db=snr) for snr in SNRS]

    def found() -> bytes:
        rng = np.random.default_rng(3)
        return nes(one.embed, one.x, one.aim, radii, start(), rng=rng).audio.tobytes()

    assert found() == found()


def test_the_margin_is_that_of_the_tables() -> None:
    rng = np.random.default_rng(0)
    originals = rng.standard_normal((7, 5)).astype(np.float32)
    originals[3] = np.nan
    originals[4] = 0
    groups = np.array([0, 1, 2, 3, 4, 5, 0])
    queries = rng.standard_normal((4, 5)).astype(np.float32)
    d = latent_distance("cosine").function(queries, originals[[0, 1, 2, 5]])
    expected = d[:, 1:].min(axis=1) - d[:, 0]
    assert Aim.of(originals, 0, groups).margin(queries) == pytest.approx(expected)
    torch = pytest.importorskip("torch")
    tensor = Aim.of(originals, 0, groups).tensor_margin(torch.from_numpy(queries))
    assert tensor.numpy() == pytest.approx(expected, abs=1e-6)


def test_an_encoder_that_hears_nothing_is_always_astray() -> None:
    aim = Aim.of(np.ones((5, 3)), 2)
    assert aim.margin(np.ones((2, 3))) == pytest.approx(0)


def test_a_constant_clip_has_no_snr() -> None:
    with pytest.raises(InputError, match="nothing to attack"):
        radius(np.ones(10), snr_db=30)


def test_the_sphere_has_no_mean() -> None:
    d = on_sphere(np.random.default_rng(0).standard_normal((3, 50)) + 4, 2.5)
    assert np.linalg.norm(d, axis=1) == pytest.approx(2.5)
    assert d.mean(axis=1) == pytest.approx(0)
