"""How long does a loaded network take for one clip, by the layout of its convolutions in memory?

python benchmarks/inference.py [--repeats 20] [--save]

Networks with first weights are saved and loaded as a trained one is, then told to keep rows
("contiguous", torch's default) or channels beside one another (as `nearkin.networks.files.load`
leaves them). One clip of two seconds, one thread; milliseconds of CPU time, medians of repeats in
turn, so that a busy machine slows both alike; the largest difference of the outputs, as a share of
the largest output.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from machine import machine, save, versions

from nearkin.networks.files import Model, load
from nearkin.networks.files import save as save_model
from nearkin.networks.front_end import SAMPLE_RATE
from nearkin.networks.network import NetworkConfig, build
from nearkin.tasks import task

LAYOUTS = ("contiguous", "as loaded")
CASES = (("vgg", "ae"), ("vgg", "at"), ("vgg", "vs"), ("mfcc", "ae"))
TAGS = tuple(f"tag {i}" for i in range(50))


def loaded(features: str, name: str, folder: Path):
    """Return a network with first weights, from its file."""
    head = task(name).head
    labels = TAGS if head == "classes" else ()
    network = build(NetworkConfig(features, head, len(labels)), seed=0)
    path = folder / f"{features}-{name}.safetensors"
    save_model(path, Model(name, features, head, network, labels))
    return load(path).network


def cpu_ms(call) -> float:
    begun = time.process_time()
    call()
    return 1000 * (time.process_time() - begun)


def measured(features: str, name: str, folder: Path, repeats: int) -> dict[str, object]:
    clip = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 2 * SAMPLE_RATE))).float()
    networks = {layout: loaded(features, name, folder) for layout in LAYOUTS}
    networks["contiguous"].to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        outputs = {layout: network(clip) for layout, network in networks.items()}
        spent: dict[str, list[float]] = {layout: [] for layout in networks}
        for _ in range(repeats):
            for layout, network in networks.items():
                spent[layout].append(cpu_ms(lambda n=network: n(clip)))
    before, after = (outputs[layout] for layout in LAYOUTS)
    medians = {layout: round(float(np.median(times)), 1) for layout, times in spent.items()}
    return {
        "network": f"{features} {name}",
        "ms": medians,
        "times_as_fast": round(medians["contiguous"] / medians["as loaded"], 2),
        "difference": float((before - after).abs().max() / before.abs().max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cases = [measured(*case, Path(folder), options.repeats) for case in CASES]
    for case in cases:
        print(case)
    record = {
        "benchmark": "inference",
        "date": datetime.date.today().isoformat(),
        **versions(),
        "torch": version("torch"),
        "machine": machine(),
        "cases": cases,
    }
    if options.save:
        save(record)


if __name__ == "__main__":
    main()
