"""``hf:PATH_OR_NAME``: a Hugging Face model with its own feature extractor.

A folder, or a name that is in the local cache: nothing is downloaded. Weights are read from
safetensors only, and code that a repository brings along runs only with ``--trust``. Without
``layer`` the last hidden state is taken, of a model of sound and text its audio features, of a
codec its latents before quantisation; time is pooled. Weights of any precision are computed in
float32.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.calling.forward import ModelEncoder
from nearkin.encoders.calling.options import read_options
from nearkin.encoders.calling.tensors import checked_device, in_training
from nearkin.encoders.foreign import foreign_code
from nearkin.encoders.identity import sha256_of_files
from nearkin.encoders.kinds import checkpoints
from nearkin.encoders.kinds.codecs import is_codec, latents_of
from nearkin.encoders.protocol import EncoderError, Handling, ResolvedEncoder
from nearkin.errors import InputError
from nearkin.optional import need


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Load a Hugging Face model.

    Raises
    ------
    InputError
        If it is not there, brings pickled weights only, or is no model of sound.
    ExtraError
        If transformers or torch is not installed.
    """
    place = spec.removeprefix("hf:")
    library = need("torch", extra="hf")
    transformers = need("transformers", extra="hf")
    logging = need("transformers.utils.logging", extra="hf")
    chosen = read_options(options, handling, spec=spec, others=("trust_remote_code",))
    trust = chosen.others.get("trust_remote_code", chosen.handling.trust)
    if not isinstance(trust, bool):
        raise InputError(f"encoder '{spec}': trust_remote_code={trust!r}: must be true or false")
    device = checked_device(chosen.handling.device, spec=spec)
    checkpoints.require(spec, place)
    given = {"local_files_only": True, "trust_remote_code": trust}
    extractor = _loaded(spec, place, logging, lambda: (
        transformers.AutoFeatureExtractor.from_pretrained(place, **given)))  # fmt: skip
    model = _loaded(spec, place, logging, lambda: transformers.AutoModel.from_pretrained(
        place, use_safetensors=True, **given))  # fmt: skip
    rate = getattr(extractor, "sampling_rate", None)
    if not isinstance(rate, int):
        raise InputError(
            f"encoder '{spec}': its feature extractor {type(extractor).__name__} states no "
            "sampling_rate: it is no model of sound"
        )
    if getattr(model.config, "is_encoder_decoder", False) and hasattr(model, "get_encoder"):
        model = model.get_encoder()
    # a checkpoint in half precision is computed in single: no processor need know the other
    model = model.to(device).float().eval()
    layer = chosen.handling.layer
    if layer is not None and is_codec(model):
        raise InputError(f"encoder '{spec}': a codec has no layers to name; leave --layer out")
    forward, axis, size, taken = _forward(model, library, layered=layer is not None)

    def heard(audio: NDArray[np.float32]) -> Any:
        sounds = list(audio)
        if getattr(extractor, "feature_size", 1) == 2:  # two channels are wanted: twice the one
            sounds = [np.stack([clip, clip]) for clip in sounds]
        inputs = extractor(sounds, sampling_rate=rate, return_tensors="pt").to(device)
        with library.no_grad():
            return forward(inputs, audio.shape[1])

    encoder = ModelEncoder(
        heard,
        gradient=_gradient(extractor, forward, device),
        sample_rate=rate,
        reading=chosen.reading(time_axis=axis),
        samples=chosen.samples,
        pad=chosen.handling.pad,
        alone=device.type == "cpu",
        training=in_training(model),
    )
    if layer is not None:
        taken = "all layers" if layer == "all" else f"layer {layer}"
    return ResolvedEncoder(
        name=place.rstrip("/").split("/")[-1],
        spec=spec,
        matched=f"matched a Hugging Face model, {type(model).__name__}: {rate} Hz, "
        + (f"{size} values, " if isinstance(size, int) else "")
        + f"{taken} pooled by {chosen.handling.pool}",
        encoder=encoder,
        sha256=sha256_of_files([checkpoints.found_at(place)]),
    )


def _gradient(extractor: Any, forward: Forward, device: Any) -> Callable[[Any], Any] | None:
    """Return the model behind an extractor that does no more than scale the waveform.

    A spectrogram that an extractor computes in numpy has no gradient.
    """
    kind = type(extractor).__name__
    if kind not in ("Wav2Vec2FeatureExtractor", "EncodecFeatureExtractor", "DacFeatureExtractor"):
        return None
    if kind != "Wav2Vec2FeatureExtractor" and getattr(extractor, "feature_size", 1) != 1:
        return None

    def gradient(audio: Any) -> Any:
        heard = audio.to(device)
        if getattr(extractor, "do_normalize", False):
            mean = heard.mean(dim=1, keepdim=True)
            heard = (heard - mean) / (heard.var(dim=1, keepdim=True, correction=0) + 1e-7).sqrt()
        if kind != "Wav2Vec2FeatureExtractor":
            heard = heard[:, None]
        return forward({"input_values": heard}, audio.shape[1])

    return gradient


Forward = Callable[[Mapping[str, Any], int], Any]


def _forward(model: Any, library: Any, *, layered: bool) -> tuple[Forward, int, Any, str]:
    """Return what embeds, the axis of time in its answer, its size if known, and it in words."""
    size = getattr(model.config, "hidden_size", None)
    if is_codec(model):
        latents = latents_of(model, library)
        return (
            lambda inputs, n: latents(_taken(model.encode, inputs), n),
            2,
            None,
            "latents before quantisation",
        )
    if layered:
        hearing = getattr(model, "audio_model", model)
        return (
            lambda inputs, _: _rows_of_maps(
                hearing(**_taken(hearing.forward, inputs), output_hidden_states=True)
            ),
            1,
            size,
            "",
        )
    if hasattr(model, "get_audio_features"):

        def features(inputs: Mapping[str, Any], _: int) -> Any:
            answer = model.get_audio_features(**_taken(model.get_audio_features, inputs))
            # a tensor up to transformers 4, since 5 an output whose pooled part it is
            return answer["pooler_output"] if isinstance(answer, Mapping) else answer

        return features, 1, getattr(model.config, "projection_dim", None), "audio features"

    def last(inputs: Mapping[str, Any], _: int) -> Any:
        answer = model(**_taken(model.forward, inputs))
        if "last_hidden_state" in answer:
            return answer["last_hidden_state"]
        if "audio_codes" in answer:
            raise EncoderError(
                "returned codes, which are no embeddings, and has no quantizer to take latents "
                "from: write a ./file.py:function that returns them"
            )
        return dict(answer)

    return last, 1, size, "last hidden state"


def _rows_of_maps(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the places of a map (CLAP's states are [batch, channels, frequency, time]) in a row."""
    states = answer.get("hidden_states") or ()
    rows = tuple(x.flatten(2).transpose(1, 2) if x.ndim == 4 else x for x in states)
    return {**answer, "hidden_states": rows}


def _taken(function: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a function does not take, such as the mask that an extractor always makes."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in inputs.items() if name in names} or dict(inputs)


@contextmanager
def _without_bars(logging: Any) -> Iterator[None]:
    """Keep transformers from drawing bars while it loads; they are back afterwards."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _loaded(spec: str, place: str, logging: Any, load: Callable[[], Any]) -> Any:
    try:
        with _without_bars(logging), foreign_code():
            return load()
    except Exception as error:  # transformers raises what it likes
        text = " ".join(str(error).split())[:300]
        if "trust_remote_code" in text:
            reason = (
                f"cannot be loaded from here ({type(error).__name__}: {text}); it brings code of "
                "its own, which runs only with --trust (or --encoder-options '{\"trust\": true}')"
            )
        else:
            reason = checkpoints.missing(place) or (
                f"cannot be loaded from here ({type(error).__name__}: {text}); give a folder that "
                "model.save_pretrained wrote, or fetch it into the cache anew (hf download NAME)"
            )
        raise InputError(f"encoder '{spec}': {reason}") from error
