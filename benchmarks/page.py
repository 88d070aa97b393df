"""How large is the report, what does it play, and how soon does a browser show it?

    python benchmarks/page.py [RUN] [--repeats 9] [--save]

RUN is a finished run; call it where the run was called, so that its music is found. Without one a
made-up run of 100 clips, 8 encoders and the paper's grid is drawn, its sounds noise of an MP3's
size. Every page (without sounds; with the default; with 10 MB) is opened in headless Chromium from
a local server, interleaved; it tells when the first content was painted and when the explorer was
drawn, in milliseconds from the start of the navigation. Medians; one JSON line with machine and
browser. Needs Chromium.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.server
import itertools
import json
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from machine import machine, save

import nearkin
from nearkin.listening import budget_of, sounds_of_page
from nearkin.report.data import ReportData
from nearkin.report.page import build
from nearkin.results.lost_queries import lost_queries, worth_hearing
from nearkin.transforms.magnitudes import Point

PAGES = ("none", "worst", "10MB")
MP3_BYTES = 16_762
"""Of two seconds at the rate of the players."""
SPY = """<script>
const told = {};
new PerformanceObserver(list => { for (const one of list.getEntries())
  if (one.name === 'first-contentful-paint') told.paint = one.startTime; })
  .observe({type: 'paint', buffered: true});
const wait = setInterval(() => {
  if (document.getElementById('explore')?.dataset.drawn) told.drawn ??= performance.now();
  if (told.paint && (told.drawn || performance.now() > 60000)) {
    clearInterval(wait); fetch('/told', {method: 'POST', body: JSON.stringify(told)}); }
}, 20);
</script>"""


def of_run(folder: Path) -> tuple[ReportData, dict[str, str]]:
    """Return a run's data, and its page with every choice of sounds."""
    result = nearkin.load(folder)
    data = result.report_data()
    pages = {}
    for which in PAGES:
        sounds, told = sounds_of_page(
            result.folder, result.run, result.clips, result.queries, which=which, keep=False
        )
        pages[which] = build(dataclasses.replace(data, sounds=sounds, silence=told))
    return data, pages


def made_up() -> tuple[ReportData, dict[str, str]]:
    """Return the data of a made-up run, and its page with as many sounds as each choice takes."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.fabricated import fabricate

    four = tuple((f"encoder_{i}", "") for i in range(4))
    shown = ("mfcc", "logmel-projection", "constant", "chroma")
    data = fabricate(tested=four, references=shown, n=100, audio_bytes=MP3_BYTES)
    wanted = worth_hearing(lost_queries(data.queries), first=[name for name, _ in four])
    noise = np.random.default_rng(0)
    one = 4 * -(-MP3_BYTES // 3)
    pages = {}
    for which in PAGES:
        sounds = {}
        for clip, code, magnitude in wanted:
            for name in ((clip, Point(code, magnitude)), (clip, None)):
                if one * (len(sounds) + 1) <= (budget_of(which) or 0):
                    sounds.setdefault(name, noise.bytes(MP3_BYTES))
        pages[which] = build(dataclasses.replace(data, sounds=sounds))
    return data, pages


class Server(http.server.ThreadingHTTPServer):
    """Serves pages by name, and takes what they tell."""

    def __init__(self, pages: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        spied = {name: text.replace("<head>", "<head>" + SPY, 1) for name, text in pages.items()}
        self.pages = {f"/{name}": text.encode() for name, text in spied.items()}
        self.told: queue.Queue[dict[str, float]] = queue.Queue()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        text = self.server.pages.get(self.path)
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text or b"")

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def opened(browser: str, server: Server, name: str) -> dict[str, float]:
    """Open a page in a fresh browser; return what it told."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        given = "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync "
        given += "--disable-background-networking --disable-component-update "
        given += f"--window-size=1400,900 --remote-debugging-port=0 --user-data-dir={profile}"
        address = f"http://127.0.0.1:{server.server_address[1]}/{name}"
        process = subprocess.Popen([browser, *given.split(), address], stderr=subprocess.DEVNULL)
        try:
            return server.told.get(timeout=120)
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        raise SystemExit("no Chromium: install one; the page is opened in it")
    begun = time.process_time()
    data, pages = made_up() if given.run is None else of_run(given.run)
    built = time.process_time() - begun
    server = Server(pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    times: dict[str, list[dict[str, float]]] = {name: [] for name in pages}
    for _, name in itertools.product(range(given.repeats), pages):
        times[name].append(opened(browser, server, name))
    server.shutdown()
    rows = [
        {
            "sounds": name,
            "megabytes": round(len(text.encode()) / 1e6, 2),
            "players": text.count("data:audio/mpeg"),
            "first_paint_ms": round(statistics.median(one["paint"] for one in times[name])),
            "explorer_drawn_ms": round(
                statistics.median(one.get("drawn", float("nan")) for one in times[name])
            ),
        }
        for name, text in pages.items()
    ]
    version = subprocess.run([browser, "--version"], capture_output=True, text=True, check=True)
    record = {
        "benchmark": "page",
        "date": time.strftime("%Y-%m-%d"),
        "run": "made up" if given.run is None else "a finished run",
        "clips": int((data.clips["status"] == "ok").sum()),
        "encoders": len(data.run["encoders"]),
        "points": len(data.run["grid"]["points"]),
        "repeats": given.repeats,
        "pages": rows,
        "cpu_s_to_build_all": round(built, 1),
        "browser": version.stdout.strip(),
        "nearkin": metadata.version("nearkin"),
        "machine": machine(),
    }
    print(json.dumps(record))
    if given.save:
        save(record)


if __name__ == "__main__":
    main()
