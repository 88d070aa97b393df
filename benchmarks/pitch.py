"""How exact is a pitch shift, and what does it cost the onsets?

Four ways to shift by the same engine: the stretcher's own transposition; resampling first, then
the time stretch; the stretch first, then resampling; and nearkin's, which chooses by direction.
Table 1: steady tones of 55 to 880 Hz, at every shift of the paper's grid: cents off, worst over
the tones' fundamentals. Table 2: recordings (with names of files or a folder): correlation of the
onset strength with the original's, and of the constant-Q spectrum with the original's moved by
the shift; the median over recordings. Where pedalboard is installed, Rubber Band R2 (the paper's
engine) stands beside them.

    python benchmarks/pitch.py                       # tones
    python benchmarks/pitch.py FOLDER_OR_FILE...     # tones and recordings
    python benchmarks/pitch.py FOLDER --save
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import time
from datetime import date
from pathlib import Path

import librosa
import numpy as np
import python_stretch
import soxr
from machine import machine, save

from nearkin.audio import SAMPLE_RATE as SR
from nearkin.audio import read, sound_files, sound_info
from nearkin.transforms import PitchShift
from nearkin.transforms.grids import grid

TONES_HZ = (55, 82.4, 110, 165, 220, 330, 440, 660, 880)
SHIFTS = grid("paper").magnitudes("PS")
MUSIC_SHIFTS = (-12, -6, -1, -0.25, 0.25, 1, 6, 12)
SECONDS = 8.0


def stretch(y, ratio, semitones=0.0):
    engine = python_stretch.Signalsmith.Stretch(0)
    engine.preset(1, float(SR))
    engine.setTimeFactor(ratio)
    if semitones:
        engine.setTransposeSemitones(semitones)
    return engine.process(np.ascontiguousarray(y[None]))[0]


def resample(y, factor):
    """Play faster and higher by a factor."""
    return soxr.resample(y, factor, 1.0, quality="HQ")


def fitted(y, n):
    return np.pad(y, (0, max(0, n - len(y))))[:n]


def transposed(y, s):
    return fitted(stretch(y, 1.0, s), len(y))


def resampled_first(y, s):
    factor = 2 ** (s / 12)
    return fitted(stretch(resample(y, factor), 1 / factor), len(y))


def stretched_first(y, s):
    factor = 2 ** (s / 12)
    return fitted(resample(stretch(y, 1 / factor), factor), len(y))


def nearkins(y, s):
    return PitchShift(s)(y, sr=SR)


def rubber_band(y, s):
    return PitchShift(s, engine="rubberband")(y, sr=SR)


WAYS = {
    "transposition": transposed,
    "resample first": resampled_first,
    "stretch first": stretched_first,
    "nearkin": nearkins,
}
if importlib.util.find_spec("pedalboard"):
    WAYS["rubber band R2"] = rubber_band


def tone(hz):
    """A sine above a noise floor of -80 dB, without which Rubber Band misfires."""
    t = np.arange(round(SECONDS * SR)) / SR
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * hz * t) + 3e-5 * noise).astype(np.float32)


def cents_off(y, expected_hz):
    """The spectral peak within two semitones of what it should be, by a parabola of logarithms."""
    n, size = 5 * SR, 1 << 21
    middle = y[(len(y) - n) // 2 :][:n] * np.blackman(n)
    spectrum = np.abs(np.fft.rfft(middle, size))
    low, high = (round(expected_hz * 2 ** (k / 6) * size / SR) for k in (-1, 1))
    k = low + int(np.argmax(spectrum[low : high + 1]))
    a, b, c = np.log(spectrum[k - 1 : k + 2])
    found = (k + 0.5 * (a - c) / (a - 2 * b + c)) * SR / size
    return 1200 * np.log2(found / expected_hz)


def tone_table():
    rows = {}
    for name, way in WAYS.items():
        for s in SHIFTS:
            heard = [hz for hz in TONES_HZ if 20 < hz * 2 ** (s / 12) < 0.45 * SR]
            off = [abs(cents_off(way(tone(hz), s), hz * 2 ** (s / 12))) for hz in heard]
            rows.setdefault(name, {})[s] = (float(np.median(off)), float(max(off)))
    return rows


def correlation(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def onset_correlation(y, z):
    return correlation(
        librosa.onset.onset_strength(y=y, sr=SR), librosa.onset.onset_strength(y=z, sr=SR)
    )


def constant_q_correlation(y, z, s):
    """Of the levels (dB) of a constant-Q spectrum, 4 bins a semitone, moved by the shift."""
    settings = {"sr": SR, "fmin": 65.4, "n_bins": 4 * 72, "bins_per_octave": 48}
    a, b = (librosa.amplitude_to_db(np.abs(librosa.cqt(x, **settings)), ref=np.max) for x in (y, z))
    moved = round(4 * s)
    return correlation(
        a[max(0, -moved) : len(a) - max(0, moved)], b[max(0, moved) : len(b) + min(0, moved)]
    )


def music_table(files):
    excerpts = []
    for file in files:
        middle = max(0.0, (sound_info(file).duration_s - SECONDS) / 2)
        y = read(file, start_s=middle, duration_s=SECONDS)
        if np.std(y) > 1e-3:
            excerpts.append(y)
    rows = {}
    for name, way in WAYS.items():
        for s in MUSIC_SHIFTS:
            start = time.process_time()
            made = [way(y, s) for y in excerpts]
            spent = (time.process_time() - start) / len(excerpts)
            onsets = [onset_correlation(y, z) for y, z in zip(excerpts, made, strict=True)]
            spectra = [constant_q_correlation(y, z, s) for y, z in zip(excerpts, made, strict=True)]
            rows.setdefault(name, {})[s] = (
                float(np.median(onsets)),
                float(np.median(spectra)),
                spent / SECONDS,
            )
    return rows, len(excerpts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", nargs="*", type=Path)
    parser.add_argument("--at-most", type=int, default=24, help="recordings")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/DATE-...")
    args = parser.parse_args()
    line = {"benchmark": "pitch", "date": date.today().isoformat(), "machine": machine()}

    tones = tone_table()
    print("Tones, cents off: median / worst")
    print(f"{'semitones':>10}" + "".join(f"{name:>18}" for name in WAYS))
    for s in SHIFTS:
        cells = (f"{tones[name][s][0]:8.2f} /{tones[name][s][1]:6.2f}" for name in WAYS)
        print(f"{s:10g}" + "".join(f"{cell:>18}" for cell in cells))
    line["tones_cents_median_worst"] = {
        name: {f"{s:g}": [round(v, 3) for v in pair] for s, pair in row.items()}
        for name, row in tones.items()
    }

    found = [
        file
        for path in args.music
        for file in (sound_files(path).files if path.is_dir() else [path])
    ]
    step = max(1, len(found) // args.at_most)
    if found:
        music, count = music_table(found[::step][: args.at_most])
        print(f"\n{count} recordings of {SECONDS:g} s, medians: onset strength / constant-Q levels")
        print(f"{'semitones':>10}" + "".join(f"{name:>18}" for name in WAYS))
        for s in MUSIC_SHIFTS:
            cells = (f"{music[name][s][0]:.3f} / {music[name][s][1]:.3f}" for name in WAYS)
            print(f"{s:10g}" + "".join(f"{cell:>18}" for cell in cells))
        costs = {name: np.mean([row[s][2] for s in MUSIC_SHIFTS]) for name, row in music.items()}
        print("CPU s / s  " + "".join(f"{cost:>18.4f}" for cost in costs.values()))
        line["recordings"] = count
        line["onsets_constant_q_cost"] = {
            name: {f"{s:g}": [round(v, 4) for v in triple] for s, triple in row.items()}
            for name, row in music.items()
        }
    packages = ("nearkin", "python-stretch", "soxr", "librosa", "numpy")
    packages += ("pedalboard",) if "rubber band R2" in WAYS else ()
    line["versions"] = {name: importlib.metadata.version(name) for name in packages}
    print(json.dumps(line))
    if args.save:
        save(line)


if __name__ == "__main__":
    main()
