"""Exact transformations of sound: one frozen record each, one verb (paper, section 3.2).

``TRANSFORMATIONS`` names them; listing it imports nothing. A transformation knows nothing of
clips, loudness or encoders: signal in, signal out.
"""

from __future__ import annotations

from nearkin.transforms.axis import Axis
from nearkin.transforms.codec import MP3
from nearkin.transforms.codecs import AAC, AMR, GSM, Opus, Vorbis
from nearkin.transforms.dynamics import (
    Clipping,
    Compression,
    Gain,
    Offset,
    Polarity,
    Saturation,
    Tremolo,
)
from nearkin.transforms.filters import AllPass, BandHole, HighPass, LowPass, Tilt
from nearkin.transforms.identity import Identity
from nearkin.transforms.interference import Crackle, Hum, OtherMusic
from nearkin.transforms.noise import EnvironmentalNoise, PinkNoise
from nearkin.transforms.noise_library import NoiseLibrary
from nearkin.transforms.protocol import Transformation, Transformed
from nearkin.transforms.resynthesis import GriffinLim
from nearkin.transforms.room import Echo, Freeverb, Reverberation
from nearkin.transforms.sampling import Aliasing, BitDepth, Resampling
from nearkin.transforms.stretch import PitchShift, TempoShift
from nearkin.transforms.table import TRANSFORMATIONS, transformation, transformation_class
from nearkin.transforms.timing import PacketLoss, Reversal, Speed, TimeMask, TimeOffset, Wow

__all__ = [
    "AAC",
    "AMR",
    "GSM",
    "MP3",
    "TRANSFORMATIONS",
    "Aliasing",
    "AllPass",
    "Axis",
    "BandHole",
    "BitDepth",
    "Clipping",
    "Compression",
    "Crackle",
    "Echo",
    "EnvironmentalNoise",
    "Freeverb",
    "Gain",
    "GriffinLim",
    "HighPass",
    "Hum",
    "Identity",
    "LowPass",
    "NoiseLibrary",
    "Offset",
    "Opus",
    "OtherMusic",
    "PacketLoss",
    "PinkNoise",
    "PitchShift",
    "Polarity",
    "Resampling",
    "Reverberation",
    "Reversal",
    "Saturation",
    "Speed",
    "TempoShift",
    "Tilt",
    "TimeMask",
    "TimeOffset",
    "Transformation",
    "Transformed",
    "Tremolo",
    "Vorbis",
    "Wow",
    "transformation",
    "transformation_class",
]
