"""Tiny models of transformers' classes, their weights random: a model and its feature extractor.

Each takes the module ``transformers``, so that nothing is imported where it is missing.
"""

from __future__ import annotations

from typing import Any

Pair = tuple[Any, Any]

SPEECH: dict[str, Any] = {
    "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64,
    "conv_dim": (16, 16, 16), "conv_kernel": (10, 8, 4), "conv_stride": (8, 8, 4),
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 3,
}  # fmt: skip
"""What a small wav2vec2, HuBERT or WavLM is made with, but for its number of layers."""


def clap(t: Any) -> Pair:
    """A CLAP of two layers at 48 kHz."""
    text = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "vocab_size": 50, "max_position_embeddings": 40,
    }  # fmt: skip
    audio = {
        "hidden_size": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1], "spec_size": 64,
        "num_attention_heads": [1, 1], "num_hidden_layers": 2, "num_mel_bins": 16,
        "window_size": 4, "num_classes": 4, "projection_dim": 12, "patch_size": 4,
        "patch_stride": [4, 4],
    }  # fmt: skip
    config = t.ClapConfig(text_config=text, audio_config=audio, projection_dim=12)
    heard = t.ClapFeatureExtractor(
        feature_size=16, sampling_rate=48_000, hop_length=480, max_length_s=2,
        truncation="rand_trunc", frequency_min=50, frequency_max=14_000,
    )  # fmt: skip
    return t.ClapModel(config), heard


def encodec(t: Any, **more: Any) -> Pair:
    """An EnCodec at 24 kHz; `more` are fields of its configuration."""
    config = t.EncodecConfig(
        num_filters=4, hidden_size=16, codebook_size=16, codebook_dim=16, num_residual_layers=1,
        upsampling_ratios=[4, 4], num_lstm_layers=1, target_bandwidths=[30.0, 60.0],
        **{"sampling_rate": 24_000, **more},
    )  # fmt: skip
    chunks = {"chunk_length_s": more.get("chunk_length_s"), "overlap": more.get("overlap")}
    heard = t.EncodecFeatureExtractor(
        feature_size=config.audio_channels, sampling_rate=config.sampling_rate, **chunks
    )
    return t.EncodecModel(config), heard
