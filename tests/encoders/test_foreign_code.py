"""What foreign code and foreign files may not do: end the program, move it, read or write files."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import RATE, tune
from nearkin.cli import app
from nearkin.encoders import Key, embed, resolve
from nearkin.encoders.foreign import foreign_code
from nearkin.errors import InputError
from nearkin.workers import open_workers

KEYS = [Key(f"clip{i}", "OG", 0.0) for i in range(2)]

BODY = """
class Encoder:
    sample_rate = 22050
    embedding_size = 4
    def embed(self, audio):
        {embed}
        return audio[:, :4]
"""
PARSER = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--gain", type=float, default=1.0{required})
arguments = parser.parse_args()
"""


def written(path: Path, *parts: str, embed: str = "") -> str:
    path.write_text("\n".join([*parts, BODY.format(embed=embed)]))
    return f"{path}:Encoder"


@pytest.fixture(scope="module")
def clips() -> Any:
    return np.stack([tune(seed, seconds=2) for seed in range(2)])


# -- exits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending", ["import sys\nsys.exit()", "import sys\nsys.exit(0)", "quit()", "raise SystemExit(3)",
               PARSER.format(required=", required=True")]
)  # fmt: skip
def test_an_exit_on_import_is_an_error_of_the_encoder(
    ending: str, tmp_path: Path, music: Path
) -> None:
    spec = written(tmp_path / "leaves.py", ending)
    with pytest.raises(InputError, match=r"SystemExit while importing it: it calls exit\("):
        resolve(spec)
    with pytest.raises(InputError, match="SystemExit"):
        resolve(spec)  # what failed is not kept as imported
    for command in (["check", spec], ["run", str(music), "--encoder", spec]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2, command
        assert "under if __name__ == '__main__':" in done.stderr
        assert "nearkin: error" not in done.stderr, "argparse must not speak as nearkin"


def test_arguments_are_not_the_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: Any
) -> None:
    """A script that reads arguments on import gets none, instead of nearkin's own."""
    monkeypatch.setattr(sys, "argv", ["nearkin", "check", "--sample-rate", "8000"])
    found = resolve(written(tmp_path / "parses.py", PARSER.format(required="")))
    assert np.array_equal(embed(found, clips, KEYS).vectors, clips[:, :4])
    assert sys.argv == ["nearkin", "check", "--sample-rate", "8000"]


@pytest.mark.parametrize(
    "place", ["__init__", "embed", "embed for some clips"],
)  # fmt: skip
def test_an_exit_later_is_an_error_too(place: str, tmp_path: Path, clips: Any) -> None:
    path = tmp_path / f"later{len(place)}.py"
    if place == "__init__":
        written(path, "import sys")
        path.write_text(path.read_text() + "    def __init__(self):\n        sys.exit(1)\n")
        with pytest.raises(InputError, match=r"SystemExit while constructing it: it calls exit\(1"):
            resolve(f"{path}:Encoder")
        return
    condition = "True" if place == "embed" else "(audio[:, 0] > 0.5).any()"
    spec = written(path, "import sys", embed=f"if {condition}: sys.exit(1)")
    done = CliRunner().invoke(app, ["check", spec])
    if place == "embed":
        assert done.exit_code == 1
        assert "unfit to be tested" in done.stderr
        assert "raised SystemExit: it calls exit(1)" in done.stderr
        return
    audio = clips.copy()
    audio[1, 0] = 0.9
    status = embed(resolve(spec), audio, KEYS).status
    assert status[0] == "ok"
    assert status[1].startswith("raised SystemExit: it calls exit(1)")


def test_an_exit_in_a_property(tmp_path: Path) -> None:
    path = tmp_path / "lazy.py"
    text = "import sys\n\nclass Lazy:\n    embedding_size = 4\n    def embed(self, audio): ...\n"
    path.write_text(text + "    @property\n    def sample_rate(self):\n        sys.exit(2)\n")
    with pytest.raises(InputError, match=r"lazy.py:Lazy': it calls exit\(2\)"):
        resolve(f"{path}:Lazy")


def test_an_exit_in_a_hear_module(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "hear_leaves.py"
    path.write_text(
        "import sys\n"
        "def load_model(model_file_path=''):\n    sys.exit('no weights')\n"
        "def get_scene_embeddings(audio, model): ...\n"
    )
    with pytest.raises(InputError, match=r"load_model\(\) raised SystemExit: it calls exit\('no"):
        resolve(f"hear:{path}")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell without job control starts what runs in its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


SIGNAL = "os.kill(os.getpid(), signal.SIGINT); time.sleep(10)"
HANDLED = "signal.signal(signal.SIGINT, handler); " + SIGNAL
IMPORTS = """
import os, signal, time
def handler(number, frame):
    raise KeyboardInterrupt
def converted():
    try:
        time.sleep(10)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("put away")
async def told_by_a_signal():
    import asyncio
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(10)
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    "how", [SIGNAL, HANDLED, "os.kill(os.getpid(), signal.SIGINT); converted()",
            "import _thread; _thread.interrupt_main(); time.sleep(10)",
            "import asyncio; asyncio.run(told_by_a_signal())"]
)  # fmt: skip
def test_an_interruption_by_a_signal_is_the_users(how: str, tmp_path: Path, clips: Any) -> None:
    found = resolve(written(tmp_path / "waits.py", IMPORTS, embed=how))
    with pytest.raises(KeyboardInterrupt):
        embed(found, clips, KEYS)


def test_an_interruption_that_nobody_sent_is_the_encoders(tmp_path: Path, clips: Any) -> None:
    raising = "raise KeyboardInterrupt('enough')"
    spec = written(tmp_path / "interrupts.py", embed=f"if (audio[:, 0] > 0.5).any(): {raising}")
    audio = clips.copy()
    audio[1, 0] = 0.9
    said = "raised KeyboardInterrupt: it raises KeyboardInterrupt: enough, which is no Exception"
    status = embed(resolve(spec), audio, KEYS).status
    assert status[0] == "ok"
    assert status[1].startswith(said)
    with pytest.raises(InputError, match="KeyboardInterrupt while importing it: it raises"):
        resolve(written(tmp_path / "imports.py", "raise KeyboardInterrupt"))
    with open_workers(spec, workers=2) as workers:
        ((_, told),) = workers.map(_embedded, [audio])
    assert told == status


def _embedded(spec: str, audio: Any) -> tuple[str, ...]:
    return embed(resolve(spec), audio, KEYS).status


# -- the working directory -------------------------------------------------------------------------


def test_the_working_directory_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, music: Path
) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    monkeypatch.chdir(home)
    move = f"os.chdir({str(away)!r})"
    written(home / "moves.py", "import os", move, embed=move)
    (home / "g.yaml").write_text("{PN: [30]}")
    done = CliRunner().invoke(
        app,
        ["run", str(music), "--encoder", "./moves.py:Encoder", "--grid", "g.yaml", "--workers", "1",
         "--references", "untrained", "--out", "here"],
    )  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert Path.cwd() == home
    assert (home / "here" / "report.html").is_file()
    assert not list(away.iterdir())


def test_a_directory_that_is_gone_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with foreign_code():
        pass
    with pytest.raises(OSError, match="No such file"):
        os.getcwd()  # noqa: PTH109


# -- TorchScript -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_torchscript_runs_only_where_it_is_trusted(tmp_path: Path, music: Path) -> None:
    """`torch.from_file` with ``shared`` makes a file of the size asked for, wherever it is told."""
    torch = pytest.importorskip("torch")
    mark = tmp_path / "mark"
    source = (
        "def forward(self, audio):\n"
        f"    zeros = torch.from_file({str(mark)!r}, True, 8)\n"
        "    return audio[:, :4] + zeros.sum()\n"
    )
    module = torch.jit.ScriptModule()
    module.define(source)
    path = tmp_path / "evil.pt"
    module.save(str(path))
    for words in (["check", f"torchscript:{path}"],
                  ["run", str(music), "--encoder", f"torchscript:{path}"],
                  ["check", str(path), "--trust"]):  # fmt: skip
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2
        assert "code" in done.stderr
        assert "--trust" in done.stderr
        assert "ONNX" in done.stderr
        assert not mark.exists()
    for wrong in ("yes", 1, "false"):
        with pytest.raises(InputError, match="must be true or false"):
            resolve(f"torchscript:{path}", options={"trust": wrong})
    done = CliRunner().invoke(app, ["check", f"torchscript:{path}", "--trust"])
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert mark.stat().st_size == 32, "what the first part of this test holds off"


# -- ONNX with weights in other files --------------------------------------------------------------


def outside(path: Path, location: str, *, where: str = "initializer") -> Path:
    """Write a graph that adds four numbers from another file to the first four samples."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=1)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Slice", ["x", "zero", "four", "one"], ["part"]),
        helper.make_node("Add", ["part", "w"], ["y"]),
    ]
    held = [
        helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value])
        for name, value in (("zero", 0), ("four", 4), ("one", 1))  # from, to, axis
    ]
    if where == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    else:
        held.append(tensor)
    made = helper.make_graph(
        nodes,
        "outside",
        [helper.make_tensor_value_info("x", 1, ["b", "t"])],
        [helper.make_tensor_value_info("y", 1, ["b", 4])],
        held,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def test_onnx_weights_beside_it_count_in_its_hash(tmp_path: Path, clips: Any) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    path = outside(tmp_path / "a.onnx", "weights.bin")
    first = resolve(str(path))
    assert np.array_equal(
        embed(first, clips, KEYS).vectors, clips[:, :4] + np.arange(4, dtype="f4")
    )
    assert len(first.sha256) == 64
    assert first.sha256 != hashlib.sha256(path.read_bytes()).hexdigest()
    weights.write_bytes(np.ones(4, dtype=np.float32).tobytes())
    assert resolve(str(path)).sha256 != first.sha256


def test_onnx_weights_under_links_as_a_cache_keeps_them(tmp_path: Path, clips: Any) -> None:
    """The hub's cache: links in a snapshot, both files side by side among the blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    outside(blobs / "one", "model.onnx_data")
    (blobs / "two").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (snapshot / "model.onnx").symlink_to("../../blobs/one")
    (snapshot / "model.onnx_data").symlink_to("../../blobs/two")
    found = resolve(str(snapshot / "model.onnx"))
    truth = clips[:, :4] + np.arange(4, dtype=np.float32)
    assert np.array_equal(embed(found, clips, KEYS).vectors, truth)


@pytest.mark.parametrize("where", ["initializer", "constant"])
@pytest.mark.parametrize("location", ["../secret.bin", "sub/../../secret.bin", "link.bin", "{abs}"])
def test_onnx_weights_outside_its_folder_are_refused(
    location: str, where: str, tmp_path: Path
) -> None:
    home = tmp_path / "model"
    home.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (home / "link.bin").symlink_to("../secret.bin")
    named = location.format(abs=secret)
    path = outside(home / "a.onnx", named, where=where)
    with pytest.raises(InputError, match=r"outside its own folder, which is not read"):
        resolve(str(path))
    path = outside(home / "b.onnx", "nowhere.bin", where=where)
    with pytest.raises(InputError, match="no such file beside it"):
        resolve(str(path))


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x3a\xff\xff\xff\xff\x0f", b"\x80" * 40])
def test_onnx_that_is_no_protobuf(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="onnxruntime cannot open it"):
        resolve(str(path))


# -- what an encoder is made of --------------------------------------------------------------------


def test_weights_given_by_path_count_in_the_hash(tmp_path: Path) -> None:
    spec = written(tmp_path / "weighted.py")
    path = tmp_path / "weighted.py"
    path.write_text(path.read_text() + "    def __init__(self, checkpoint=None):\n        pass\n")
    alone = resolve(spec).sha256
    assert alone == hashlib.sha256(path.read_bytes()).hexdigest()
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")
    first = resolve(spec, options={"checkpoint": str(weights)}).sha256
    weights.write_bytes(b"two")
    second = resolve(spec, options={"checkpoint": str(weights)}).sha256
    assert len({alone, first, second}) == 3
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "shard.bin").write_bytes(b"one")
    first = resolve(spec, options={"checkpoint": str(folder)}).sha256
    (folder / "deep" / "shard.bin").write_bytes(b"two")
    assert resolve(spec, options={"checkpoint": str(folder)}).sha256 != first
    assert resolve(spec, options={"checkpoint": "."}).sha256 == alone
    assert resolve(spec, options={"checkpoint": "a\0b"}).sha256 == alone
    assert resolve(spec, options={"checkpoint": "x" * 5000}).sha256 == alone


def test_an_installed_modules_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "installed_encoder.py")
    monkeypatch.syspath_prepend(tmp_path)
    found = resolve("installed_encoder:Encoder")
    source = (tmp_path / "installed_encoder.py").read_bytes()
    assert found.sha256 == hashlib.sha256(source).hexdigest()
    assert found.sample_rate == RATE


# -- standard streams ------------------------------------------------------------------------------


@pytest.mark.parametrize("closing", ["sys.stdout.close()", "sys.stdout.detach()"])
def test_a_command_still_answers_where_an_encoder_closes_the_standard_output(
    closing: str, tmp_path: Path
) -> None:
    spec = written(tmp_path / "closes.py", "import sys", embed=closing)
    command = [sys.executable, "-m", "nearkin", "check", spec]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 1), done.stderr  # fit or unfit, but no fault of nearkin's own
    assert "to be tested" in done.stdout
    assert "Traceback" not in done.stderr


class Tee:
    """What programs put in the place of standard output to keep a log: it has no more than this."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def test_a_stream_that_cannot_say_whether_it_is_closed_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tee = Tee()
    monkeypatch.setattr(sys, "stdout", tee)
    with foreign_code():
        pass
    assert sys.stdout is tee


def test_a_stream_that_was_closed_before_stays_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be another file's by now, into which text would go."""
    closed = (tmp_path / "log.txt").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    with foreign_code():
        pass
    assert sys.stdout is closed


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "is empty; write"), (" ", "is empty"), ("\t\n", "is empty"), ("\ud800", "is no UTF-8")],
)
def test_an_encoder_without_a_fit_name_is_refused_before_the_work(name: str, said: str) -> None:
    class Nameless:
        sample_rate = RATE
        embedding_size = 4
        encoder_name = name

        def embed(self, audio: Any) -> Any:
            return audio[:, :4]

    with pytest.raises(InputError, match=f"encoder_name.*{said}"):
        resolve(Nameless())


@pytest.mark.parametrize("spec", ["./model:embed", "models/own:Encoder", "/models/own:Encoder"])
def test_a_path_without_py_is_told_how_a_file_is_named(spec: str) -> None:
    place, _, attribute = spec.partition(":")
    with pytest.raises(InputError, match=rf"write {place}\.py:{attribute} for a file"):
        resolve(spec)
