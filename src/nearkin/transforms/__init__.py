"""Exact transformations of sound: one frozen record each, one verb (paper, section 3.2).

``TRANSFORMATIONS`` names them; listing it imports nothing. A transformation knows nothing of
clips, loudness or encoders: signal in, signal out.
"""

from __future__ import annotations

from nearkin.transforms.axis import Axis
from nearkin.transforms.codec import MP3
from nearkin.transforms.filters import LowPass
from nearkin.transforms.identity import Identity
from nearkin.transforms.noise import EnvironmentalNoise, PinkNoise
from nearkin.transforms.noise_library import NoiseLibrary
from nearkin.transforms.protocol import Transformation, Transformed
from nearkin.transforms.stretch import PitchShift, TempoShift
from nearkin.transforms.table import TRANSFORMATIONS, transformation, transformation_class

__all__ = [
    "MP3",
    "TRANSFORMATIONS",
    "Axis",
    "EnvironmentalNoise",
    "Identity",
    "LowPass",
    "NoiseLibrary",
    "PinkNoise",
    "PitchShift",
    "TempoShift",
    "Transformation",
    "Transformed",
    "transformation",
    "transformation_class",
]
