"""A torch module in hand: the bytes of other kinds, a rate that is stated, its weights' hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearkin
from nearkin.encoders import resolve
from nearkin.encoders.protocol import Key, embed
from nearkin.errors import InputError
from support.commands import command, refused

torch = pytest.importorskip("torch")
RATE = 16_000


class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Strided convolution, batch norm, dropout: what forgets to be put into eval mode is heard."""

    def __init__(self, seed: int = 0, channel: bool = True) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = torch.nn.Conv1d(1, 6, 64, stride=32)
        self.norm = torch.nn.BatchNorm1d(6)
        self.drop = torch.nn.Dropout(0.5)
        self.channel = channel

    def forward(self, audio: Any) -> Any:
        batch = audio[:, None] if self.channel else audio
        return self.drop(self.norm(self.convolution(batch).abs().log1p())).mean(-1)


class Frames(torch.nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, audio: Any) -> Any:
        return audio.unfold(-1, 400, 400)[..., :5]


def clips(n: int = 3) -> tuple[Any, list[Key]]:
    rng = np.random.default_rng(0)
    audio = rng.normal(scale=0.1, size=(n, 2 * RATE)).astype(np.float32)
    return audio, [Key(str(i), "OG", 0.0) for i in range(n)]


def wrapped(model: Any) -> Any:
    class Own:
        sample_rate = RATE
        embedding_size = 6

        def embed(self, audio: Any) -> Any:
            with torch.no_grad():
                return torch.cat([model(torch.from_numpy(row[None])) for row in audio]).numpy()

    return Own()


def test_the_same_numbers_as_in_every_other_form() -> None:
    model = Net().eval()
    audio, keys = clips()
    here = embed(resolve(model, sample_rate=RATE), audio, keys).vectors
    own = embed(resolve(wrapped(model)), audio, keys).vectors

    def plain(clip: Any, sample_rate: int) -> Any:
        with torch.no_grad():
            return model(torch.from_numpy(clip[None]))[0]

    assert np.array_equal(here, own)
    assert np.array_equal(here, embed(resolve(plain, sample_rate=RATE), audio, keys).vectors)


def test_it_is_asked_in_eval_mode_and_left_as_it_was() -> None:
    model = Net()
    model.drop.eval()
    audio, keys = clips()
    found = resolve(model, sample_rate=RATE)
    here = embed(found, audio, keys).vectors
    assert "in eval mode" in found.matched
    modes = [part.training for part in (model, model.convolution, model.norm, model.drop)]
    assert modes == [True, True, True, False]
    assert int(model.norm.num_batches_tracked) == 0
    assert np.array_equal(here, embed(resolve(model.eval(), sample_rate=RATE), audio, keys).vectors)


def test_forms_of_forward() -> None:
    audio, keys = clips()
    batch = embed(resolve(Net().eval(), sample_rate=RATE), audio, keys).vectors
    found = resolve(Net(channel=False).eval(), sample_rate=RATE)
    assert "[batch, 1, samples]" in found.matched
    assert np.array_equal(embed(found, audio, keys).vectors, batch)
    frames = embed(resolve(Frames(), sample_rate=RATE), audio, keys).vectors
    assert frames == pytest.approx(audio.reshape(3, -1, 400)[:, :, :5].mean(axis=1), abs=1e-6)
    with pytest.raises(InputError, match=r"takes neither \[batch, samples\] nor"):
        resolve(torch.nn.Linear(7, 3), sample_rate=RATE)


def test_it_gives_gradients() -> None:
    audio, keys = clips()
    for model in (Net(), Net(channel=False)):
        found = resolve(model, sample_rate=RATE)
        sound = torch.from_numpy(audio).requires_grad_()
        answer = found.encoder.torch_module()(sound)  # type: ignore[attr-defined]
        answer.square().sum().backward()
        assert np.array_equal(answer.detach().numpy(), embed(found, audio, keys).vectors)
        assert sound.grad is not None
        assert float(sound.grad.abs().max()) > 0


def test_its_rate_must_be_said() -> None:
    with pytest.raises(InputError, match="does not say at which rate it takes audio"):
        resolve(Net())
    model = Net()
    model.sample_rate = 24_000
    assert resolve(model).sample_rate == 24_000
    assert resolve(model, sample_rate=RATE).sample_rate == 24_000, "its own word goes first"
    assert resolve(model, options={"sample_rate": RATE}).sample_rate == RATE


def test_its_identity_is_that_of_its_weights() -> None:
    one, two, other = (resolve(Net(seed), sample_rate=RATE).sha256 for seed in (0, 0, 1))
    assert one == two != other
    assert len(one) == 64
    half = Net()
    half.norm.running_mean += 1e-3
    assert resolve(half, sample_rate=RATE).sha256 != one, "buffers count"


def test_named_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        "import torch\n"
        "net = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 64, stride=32), torch.nn.ReLU())\n"
    )
    assert "pass --sample-rate N" in refused("check", f"{path}:net")
    done = command("check", f"{path}:net", "--sample-rate", RATE)
    assert "a torch module that takes [batch, 1, samples]: 16000 Hz (as given)" in done.stdout
    assert done.exit_code == 0, done.stdout


def test_evaluate_takes_one_and_refuses_other_weights(music: Path, tmp_path: Path) -> None:
    grid = tmp_path / "small.yaml"
    grid.write_text("{PN: [20], MP: [64]}")
    settings: dict[str, Any] = {"grid": str(grid), "references": "untrained", "resamples": 100}
    settings |= {"sample_rate": RATE, "out": tmp_path / "run"}
    result = nearkin.evaluate(Net(), music, **settings)
    other = nearkin.evaluate(wrapped(Net().eval()), music, **{**settings, "out": tmp_path / "own"})
    tables = [one.consistency.query("encoder in ('Net', 'Own')") for one in (result, other)]
    assert len(tables[0]) > 20
    columns = ["value", "ci_low", "ci_high", "n"]
    assert (
        tables[0][columns].reset_index(drop=True).equals(tables[1][columns].reset_index(drop=True))
    )
    assert nearkin.evaluate(Net(), music, **settings).path == result.path
    with pytest.raises(InputError, match=r"'Net' was .* now"):
        nearkin.evaluate(Net(1), music, **settings)
