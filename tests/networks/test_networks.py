"""Networks: Table 1 to the letter, librosa's spectrogram, closed forms of the decoder's steps."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from nearkin.audio.features import mfcc_statistics
from nearkin.errors import InputError

torch = pytest.importorskip("torch")

from nearkin.networks.encoders import CHANNELS  # noqa: E402
from nearkin.networks.front_end import FrontEnd  # noqa: E402
from nearkin.networks.heads import unpooled  # noqa: E402
from nearkin.networks.network import NetworkConfig, build  # noqa: E402

AE, AT = NetworkConfig("vgg", "decoder"), NetworkConfig("vgg", "classes", 50)
VS = NetworkConfig("vgg", "mask")

TABLE_1 = [  # channels x frames x bins after each convolution and each pooling
    (16, 128, 512),
    (16, 64, 256),
    (32, 64, 256),
    (32, 32, 128),
    (64, 32, 128),
    (64, 16, 64),
    (128, 16, 64),
    (128, 8, 32),
    (256, 8, 32),
    (256, 4, 16),
    (256, 4, 16),
    (256, 2, 8),
    (256, 2, 8),
    (256, 1, 4),
]


def music(seconds: float = 2.0, batch: int = 2) -> np.ndarray:
    """Chords with overtones and a little noise: loud and quiet bins in one signal."""
    rng = np.random.default_rng(7)
    t = np.arange(int(seconds * 22_050)) / 22_050
    clips = []
    for number in range(batch):
        f = 110 * 2 ** (np.array([0, 4, 7, 12]) / 12) * (1 + number / 7)
        tones = sum(
            np.sin(2 * np.pi * k * f[:, None] * t) * np.exp(-t * k) / k**2 for k in range(1, 9)
        )
        clips.append(0.1 * tones.sum(axis=0) + 1e-4 * rng.standard_normal(len(t)))
    return np.array(clips, np.float32)


def test_table_1() -> None:
    network = build(AT, seed=0).eval()
    seen: list[tuple[int, ...]] = []
    encoder = network.encoder
    for block in encoder.blocks:
        block.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape[1:])))
    encoded = encoder.encode(torch.zeros(1, 128, 512))
    pooled = [(c, *size) for c, size in zip(CHANNELS, encoded.sizes[1:], strict=True)]
    walked = [shape for pair in zip(seen, pooled, strict=True) for shape in pair]
    assert walked == TABLE_1
    assert encoded.z.shape == (1, 256)
    assert network.head(encoded).shape == (1, 50)


def test_number_of_weights_is_that_of_table_1() -> None:
    kernels = sum(9 * a * b for a, b in zip((1, 16, 32, 64, 128, 256, 256), CHANNELS, strict=True))
    biases_and_norms = 3 * sum(CHANNELS)
    connected = 256 * 256 + 3 * 256
    weights = sum(p.numel() for p in build(AT, seed=0).encoder.parameters())
    assert weights == kernels + biases_and_norms + connected


@pytest.mark.parametrize("samples", [32_512, 44_100, 50_001])
@pytest.mark.parametrize("config", [AE, AT, VS, NetworkConfig("mfcc", "decoder")], ids=str)
def test_any_length_from_128_frames(config: NetworkConfig, samples: int) -> None:
    network = build(config, seed=0).eval()
    with torch.no_grad():
        out = network(torch.from_numpy(music(3)[:, :samples].copy()))
    frames = 1 + samples // 256
    assert out.shape == ((2, 50) if config.head == "classes" else (2, frames, 513))


def test_shorter_is_refused() -> None:
    network = build(AT, seed=0).eval()
    for call in (network, network.embed):
        with pytest.raises(InputError, match=r"32511 samples: must have at least 32512 .*1\.47 s"):
            call(torch.zeros(1, 32_511))


def test_front_end_is_librosas_to_a_thousandth_of_a_decibel() -> None:
    front = FrontEnd()
    clips = music()
    ours = front.decibels(torch.from_numpy(clips)).numpy()
    for clip, found in zip(clips, ours, strict=True):
        power = np.abs(librosa.stft(clip, n_fft=1024, hop_length=256)) ** 2
        assert np.abs(found - librosa.power_to_db(power).T).max() < 1e-3


def test_decibels_are_floored_below_each_clips_own_maximum() -> None:
    quiet, loud = music()[0] * 1e-3, music()[1]
    front = FrontEnd()
    together = front.decibels(torch.from_numpy(np.stack([quiet, loud])))
    alone = front.decibels(torch.from_numpy(quiet[None]))
    assert torch.equal(together[0], alone[0])
    assert float(alone.max() - alone.min()) <= 80.0


def test_inverse_of_the_spectrum_is_the_signal() -> None:
    front = FrontEnd()
    audio = torch.from_numpy(music())
    back = front.istft(front.stft(audio), samples=audio.shape[1])
    assert float((back - audio).abs().max()) < 1e-5


def test_mfcc_encoder_is_the_mfcc_encoder() -> None:
    encoder = build(NetworkConfig("mfcc", "classes", 3), seed=0).encoder
    clips = music()
    ours = encoder.statistics(torch.from_numpy(clips)).numpy()
    want = np.stack([mfcc_statistics(clip, sr=22_050) for clip in clips])
    assert np.abs(ours - want).max() < 1e-3


def test_standardisation_is_stored_and_applied() -> None:
    network = build(AE, seed=0)
    audio = torch.from_numpy(music())
    plain = network.front.decibels(audio)
    mean, std = plain.mean(dim=(0, 1)), plain.std(dim=(0, 1))
    std[0] = 0.0
    network.standardise(mean.tolist(), std.tolist())
    found = network.front(audio)
    assert float(found.mean(dim=(0, 1)).abs().max()) < 1e-4
    assert torch.isfinite(found).all()
    assert float(network.state_dict()["encoder.front.std"][0]) == 1.0


def test_unpooling_repeats_a_value_over_its_window() -> None:
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    repeated = unpooled(image, (5, 7))[0, 0]
    for frame in range(5):
        for bin_ in range(7):
            want = image[0, 0, min(frame // 2, 1), min(bin_ // 2, 2)]
            assert repeated[frame, bin_] == want


def test_decoder_sees_nothing_but_the_latent_vector() -> None:
    network = build(AE, seed=0).eval()
    with torch.no_grad():
        encoded = network.encoder(torch.from_numpy(music()))
        one = network.head(encoded)
        blind = encoded._replace(skips=[torch.zeros_like(skip) for skip in encoded.skips])
        assert torch.equal(one, network.head(blind))


def test_separation_has_skips_and_a_mask() -> None:
    network = build(VS, seed=0).eval()
    with torch.no_grad():
        encoded = network.encoder(torch.from_numpy(music()))
        mask = network.head(encoded)
        blind = encoded._replace(skips=[torch.zeros_like(skip) for skip in encoded.skips])
        assert not torch.equal(mask, network.head(blind))
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1
    plain = build(NetworkConfig("mfcc", "mask"), seed=0)
    assert not plain.head.skips


def test_seeds() -> None:
    state = torch.random.get_rng_state()
    one, two, other = build(VS, seed=3), build(VS, seed=3), build(VS, seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [network.state_dict() for network in (one, two, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["head.last.weight"], weights[2]["head.last.weight"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (("vvg", "mask"), "features='vvg'"),
        (("vgg", "tags"), "head='tags'"),
        (("vgg", "classes"), "n_outputs=0"),
        (("vgg", "mask", 3), "n_outputs=3"),
    ],
)
def test_what_is_no_network(fields: tuple[object, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        NetworkConfig(*fields)  # type: ignore[arg-type]
