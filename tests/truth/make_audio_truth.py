"""Write loudness.json and mp3_snr.json: what ffmpeg measures on tests/support/signals.py.

Run as ``python tests/truth/make_audio_truth.py`` where an ffmpeg program is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support import signals  # noqa: E402

PAPER_KBPS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160)


def main() -> None:
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    version_line = version.stdout.splitlines()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loudness = {
            key: signals.ffmpeg_loudness(y, sr, folder)
            for key, (y, sr) in signals.loudness_signals().items()
        }
        y = signals.music()
        mp3 = {
            str(kbps): round(signals.snr_db(y, signals.ffmpeg_mp3(y, signals.SR, kbps, folder)), 4)
            for kbps in PAPER_KBPS
        }
    for file, unit, command, values in (
        ("loudness", "LUFS", "ffmpeg -i y.wav -af ebur128=metadata=1,ametadata=print", loudness),
        ("mp3_snr", "dB", "ffmpeg -i y.wav -c:a libmp3lame -b:a RATE y.mp3, and back", mp3),
    ):
        header = {
            "origin": "the ffmpeg program on the signals of tests/support/signals.py",
            "command": f"python tests/truth/make_audio_truth.py ({command})",
            "versions": version_line,
            "unit": unit,
        }
        text = json.dumps({"header": header, "values": values}, indent=1)
        (HERE / f"{file}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
