"""Files made to do harm: code in pickles, data outside its folder, tags, bombs, lying headers.

python scripts/campaign/strange.py STAGE

Each is read the way the commands read it. Right is: refused in one line, in under 20 s and 1 GB,
and nothing ran or was read elsewhere (a canary tells). Wrong is anything else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import resource
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stage import keep

from nearkin.cli import settings
from nearkin.corpora.collect import collect
from nearkin.encoders import resolve
from nearkin.errors import NearkinError
from nearkin.gallery.vectors import read_vectors
from nearkin.maps.files import read_map
from nearkin.runs.schema import read_export, read_run_record
from nearkin.transforms.grids import grid

GIB = 2**30


class Canary:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def npy(header: str) -> bytes:
    text = header.encode() + b" " * (118 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def rows_of(n: int) -> bytes:
    """Return the header of an array of four columns."""
    return npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, 4), }}")


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def onnx_with_data(location: str) -> bytes:
    import onnx
    from onnx import TensorProto, helper

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "64"}.items():
        weights.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["audio", "w"], ["embedding"])],
        "g",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["b", 4])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", 4])],
        [weights],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(onnx.ModelProto.SerializeToString(made))


def safetensors(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


def cases(here: Path, canary: Path) -> dict[str, tuple[str, bytes, Callable[[Path], Any]]]:
    """Return every file by what it is: its name, its bytes, and who reads it."""
    pickled = pickle.dumps(Canary(canary))
    objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + pickled
    code = f"__import__('os').system('touch {canary}')"
    lying = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**60}, 4), }}")
    bomb = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**28}, 4), }}")
    zeros = zipped(**{"embeddings.npy": bomb + bytes(2**28)})
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    tags = f"!!python/object/apply:os.system ['touch {canary}']"
    manifest = here / "manifest.csv"
    manifest.write_text("path,clip_id,transformation,magnitude,status\na.wav,a,OG,0,ok\n")

    def vectors(path: Path) -> Any:
        return resolve(f"embeddings:{path}", options={"manifest": str(manifest)})

    def config(path: Path) -> Any:
        return settings.merged({}, path).resolved()

    def encoder(path: Path) -> Any:
        return resolve(str(path))

    def torchscript(path: Path) -> Any:
        return resolve(f"torchscript:{path}")

    def manifests(path: Path) -> Any:
        return collect([path])

    def gallery(path: Path) -> Any:
        return read_vectors([f"mfcc={path}"], {"mfcc": 4})

    outside = here.parent / "secret.bin"
    outside.write_bytes(bytes(64))
    linked = here / "linked.bin"
    if not linked.is_symlink():
        linked.symlink_to(outside)
    far = json.dumps({"w": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}})
    about = json.dumps({"__metadata__": {"nearkin-map": "[" * 100_000}})
    return {
        "pickle in .npy": ("a.npy", objects, vectors),
        "pickle in .npz": ("a.npz", zipped(**{"embeddings.npy": objects}), vectors),
        "code in the header of .npy": ("b.npy", npy(f"{{'descr': {code!s}}}"), vectors),
        "a bare pickle as .npy": ("c.npy", pickled, vectors),
        ".npy of 2^60 rows": ("d.npy", lying, vectors),
        ".npz of 1 GB of zeros, 260 kB": ("d.npz", zeros, vectors),
        ".npz with a way out": ("e.npz", zipped(**{"..__..__x.npy": objects}), vectors),
        ".npy of 2^60 rows, gallery": ("e.npy", lying, gallery),
        "pickle in .npy, gallery": ("f.npy", objects, gallery),
        "pickle as .parquet": ("a.parquet", pickled, vectors),
        "pickle as .pt": ("a.pt", zipped(**{"a__data.pkl": pickled}), torchscript),
        "pickle as .onnx": ("p.onnx", pickled, encoder),
        "ONNX data above its folder": ("a.onnx", onnx_with_data("../secret.bin"), encoder),
        "ONNX data at an absolute path": ("b.onnx", onnx_with_data(str(outside)), encoder),
        "ONNX data behind a link": ("c.onnx", onnx_with_data("linked.bin"), encoder),
        "ONNX data that is a device": ("d.onnx", onnx_with_data("/dev/zero"), encoder),
        "YAML tag, configuration": ("a.yaml", f"seed: {tags}".encode(), config),
        "YAML tag, grid": ("b.yaml", f"PN: {tags}".encode(), lambda p: grid(str(p))),
        "YAML of 9^9 aliases": ("c.yaml", laughs.encode(), config),
        "YAML of 9^9 aliases, grid": ("d.yaml", laughs.encode(), lambda p: grid(str(p))),
        "YAML 100,000 deep": ("e.yaml", b"[" * 100_000, config),
        "YAML of 50 MB": ("f.yaml", b"a: b\n" * 10_000_000, config),
        "JSON 100,000 deep, run": ("run.json", b"[" * 100_000, read_run_record),
        "JSON 100,000 deep, export": ("export.json", b'{"a":' * 100_000, read_export),
        "safetensors, header of 2^60 bytes": ("a.safetensors", safetensors(b"", 2**60), read_map),
        "safetensors past its end": ("b.safetensors", safetensors(far.encode()), read_map),
        "safetensors, deep metadata": ("c.safetensors", safetensors(about.encode()), read_map),
        "an empty Parquet manifest": ("g.parquet", b"PAR1" + bytes(64) + b"PAR1", manifests),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", type=Path)
    here = parser.parse_args().stage.resolve() / "strange"
    here.mkdir(parents=True, exist_ok=True)
    canary = here / "canary"
    canary.unlink(missing_ok=True)
    resource.setrlimit(resource.RLIMIT_CPU, (600, 600))
    rows, faults = {}, []
    for name, (file, content, read) in cases(here, canary).items():
        path = here / file
        path.write_bytes(content)
        begun, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            read(path)
            told = "TAKEN"
        except NearkinError as error:
            told = str(error) if "\n" not in str(error) else "SEVERAL LINES"
        except Exception as error:  # whatever it is: that is what is looked for
            told = f"TRACEBACK {type(error).__name__}: {error}"
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / GIB
        spent = time.process_time() - begun
        rows[name] = told[:160]
        wrong = told.split()[0].isupper() and told.split()[0] in ("TAKEN", "SEVERAL", "TRACEBACK")
        if wrong or canary.exists() or spent > 20 or grown > 1:
            faults.append(
                f"{name}: {told[:200]} ({spent:.1f} s, {grown:.2f} GB, {canary.exists()})"
            )
            print(faults[-1], flush=True)
        canary.unlink(missing_ok=True)
        path.unlink()
    path = keep("strange", {"cases": rows, "faults": faults})
    print(f"{len(rows)} files, {len(faults)} faults: {path}")


if __name__ == "__main__":
    main()
