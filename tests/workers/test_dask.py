"""A Dask cluster gives the same bytes as one process, whatever becomes of its workers."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nearkin.errors import InputError, RunError
from nearkin.files import sha256_of
from nearkin.workers import Here, Scheduler, dask, open_workers, remote, scheduler
from support.runs import files_of, small_run
from support.units import (
    Keeps,
    Toy,
    counted_square,
    deadly_at_seven,
    lose,
    page_faults,
    slow_square,
    square,
    stuck_once_at_three,
    waits_for_the_end,
    working_folder,
)

distributed = pytest.importorskip("distributed")
SQUARES = {item: item * item for item in range(30)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes with nannies, which start another where one dies."""
    support = str(Path(__file__).parents[1])
    paths = [support, *filter(None, [os.environ.get("PYTHONPATH")])]
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=50,
        env={"PYTHONPATH": os.pathsep.join(paths)},
    ) as local:
        yield local


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    """Of two workers; a nanny whose worker is killed while it starts gives up for good."""
    with distributed.Client(cluster, set_as_default=False) as one:
        with contextlib.suppress(TimeoutError):
            one.wait_for_workers(2, timeout=60)
        lacking = 2 - len(one.scheduler_info(n_workers=-1)["workers"])
        if lacking > 0:
            cluster.scale(len(cluster.worker_spec) + lacking)
            one.wait_for_workers(2, timeout=60)
        yield one


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    (tmp_path / "encoder.txt").write_text("weights 1")
    return Toy(tmp_path)


def mapped(toy: Toy, unit: Any, where: Any, told: list[str], **more: Any) -> dict[int, int]:
    opened = open_workers(toy, workers=where, folder=toy.root / "work", tell=told.append)
    with opened as pool:
        return dict(pool.map(unit, range(30), **more))


def test_units_on_a_cluster_are_units_here(client: Any, cluster: Any, toy: Toy) -> None:
    told: list[str] = []
    assert mapped(toy, square, Scheduler(cluster.scheduler_address), told) == SQUARES
    assert told == ["Dask: 2 workers on 1 machines"]
    assert dict(Here(toy).map(square, range(30))) == SQUARES
    assert not (toy.root / "work" / dask.FOLDER).exists()
    assert mapped(toy, square, Scheduler(client), told) == SQUARES


def test_paths_are_relative_to_where_the_command_was_given(
    client: Any, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toy.root / "here").mkdir()
    monkeypatch.chdir(toy.root / "here")
    found = mapped(toy, working_folder, Scheduler(client), [])
    assert set(found.values()) == {str(toy.root / "here")}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc is told")
def test_workers_do_not_give_memory_back_after_every_array(client: Any, toy: Toy) -> None:
    found = mapped(toy, page_faults, Scheduler(client), [])
    assert min(found.values()) < 200 * 2**20 / os.sysconf("SC_PAGE_SIZE") / 10


def test_workers_that_are_killed_lose_nothing(client: Any, toy: Toy) -> None:
    told: list[str] = []
    opened = open_workers(
        toy, workers=Scheduler(client), folder=toy.root / "work", tell=told.append
    )
    found, killed = {}, set()
    with opened as pool:
        for number, (item, result) in enumerate(pool.map(slow_square, range(30))):
            found[item] = result
            if number in (3, 12):
                pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    assert found == SQUARES
    assert killed
    assert not list(toy.root.rglob("*.attempt"))


def test_what_is_finished_is_not_done_again_when_its_worker_is_killed(
    client: Any, toy: Toy
) -> None:
    opened = open_workers(toy, workers=Scheduler(client), folder=toy.root / "work")
    with opened as pool:
        made = pool.map(counted_square, range(2))
        item, _ = next(made)
        (killed,) = toy.root.glob(f"{item}.by-*")
        os.kill(int(killed.name.partition("-")[2]), signal.SIGKILL)
        assert dict([(item, item * item), *made]) == {0: 0, 1: 1}
        client.wait_for_workers(2, timeout=60)
    assert list(toy.root.glob(f"{item}.by-*")) == [killed]


def test_a_unit_that_ends_when_the_command_is_over_leaves_nothing(client: Any, toy: Toy) -> None:
    opened = open_workers(toy, workers=Scheduler(client), folder=toy.root / "work")
    with opened:
        (session,) = (toy.root / "work" / dask.FOLDER).glob("*.session")
        given = (str(session), sha256_of(session), str(session.with_name("late")))
        late = client.submit(remote.call, *given, waits_for_the_end, 5)
        while not (toy.root / "begun").exists():
            time.sleep(0.05)
    (toy.root / "over").write_text("")
    with pytest.raises(RunError, match="is gone: the command that gave this work is over"):
        late.result(timeout=60)
    assert not toy.path(5).exists()
    assert not (toy.root / "work" / dask.FOLDER).exists()


def test_a_unit_that_kills_three_workers_is_named_and_the_rest_ends(client: Any, toy: Toy) -> None:
    told: list[str] = []
    found = mapped(toy, deadly_at_seven, Scheduler(client), told, lost=lose)
    assert found == {**SQUARES, 7: None}
    (said,) = [sentence for sentence in told if sentence.startswith("'7'")]
    assert said.startswith("'7': ended 3 workers (on ")
    assert said.endswith("the last at PN 10, encoder bad")
    assert toy.path(7).read_text() == said.replace("'7'", "failed", 1)
    with pytest.raises(RunError, match="'7': ended 3 workers"):
        mapped(toy, deadly_at_seven, Scheduler(client), told)


def test_a_cluster_without_workers_is_not_waited_for_for_ever(toy: Toy) -> None:
    told: list[str] = []
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as local,
        distributed.Client(local, set_as_default=False) as one,
    ):
        where = Scheduler(one, alone_s=1.0)
        opened = open_workers(toy, workers=where, folder=toy.root / "work", tell=told.append)
        with opened as pool:
            made = pool.map(slow_square, range(30))
            found = dict([next(made)])
            local.scale(0)
            with pytest.raises(RunError, match="all Dask workers were lost, and none came in 1 s"):
                found.update(made)
    assert found.items() <= SQUARES.items()
    assert told[1:] == ["Dask: no worker is left; another is waited for"]


def test_a_worker_that_stands_still_is_given_up(client: Any, toy: Toy) -> None:
    told: list[str] = []
    assert mapped(toy, stuck_once_at_three, Scheduler(client, slow_s=4.0), told) == SQUARES
    assert [s for s in told if "has stood still for 4 s with '3'" in s]


def test_the_same_command_again_finds_what_changed_in_between(
    client: Any, cluster: Any, tmp_path: Path
) -> None:
    """Workers that live on had the encoder and the noise of the first time, and were refused."""
    for weights in ("weights 1", "weights 2"):
        (tmp_path / "encoder.txt").write_text(weights)
        assert mapped(Keeps(tmp_path), square, Scheduler(cluster.scheduler_address), []) == SQUARES


def test_workers_with_other_versions_or_encoders_are_refused(
    client: Any, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = remote.facts()
    monkeypatch.setattr(dask, "facts", lambda: {**here, "numba": "0.1"})
    with pytest.raises(InputError, match=r"worker tcp://\S+ on \S+: has numba \S+ \(here 0.1\)"):
        mapped(toy, square, Scheduler(client), [])
    monkeypatch.setattr(dask, "facts", lambda: here)

    class Other(Toy):
        """What is read here, and what a worker reads, are not the same."""

        def identity(self) -> str:
            return f"weights of process {os.getpid()}"

    with pytest.raises(InputError, match="has other encoders or other noise"):
        mapped(Other(toy.root), square, Scheduler(client), [])


def test_a_folder_that_workers_do_not_see_is_refused(
    client: Any, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "look", unseen)
    with pytest.raises(InputError, match=r"does not see \S+cluster; command and workers"):
        mapped(toy, square, Scheduler(client), [])


def test_a_scheduler_that_is_lost_before_the_first_unit_is_told_in_a_sentence(toy: Toy) -> None:
    class Gone:
        """A client whose scheduler is killed while its workers are looked at."""

        def nthreads(self) -> dict[str, int]:
            return {"tcp://worker": 1}

        def run(self, *_: Any, **__: Any) -> None:
            raise distributed.comm.CommClosedError("closed")

    with pytest.raises(
        RunError, match=r"the Dask scheduler was lost \(CommClosedError\); start it"
    ):
        mapped(toy, square, Scheduler(Gone()), [])
    assert not (toy.root / "work" / dask.FOLDER).exists()


def test_transports_of_other_packages_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package names them as entry points; its addresses need hold no port."""
    from importlib.metadata import EntryPoint

    from distributed.comm import registry

    made = {
        "mpi": EntryPoint("mpi", f"{__name__}:Transport", "distributed.comm.backends"),
        "gone": EntryPoint("gone", "no_such_module:Transport", "distributed.comm.backends"),
    }
    monkeypatch.setattr(registry, "backends", dict(registry.backends))
    monkeypatch.setattr(registry, "_entry_points", lambda *, name, group: [made[name]])
    scheduler.require_address("mpi://rank-0", "--scheduler mpi://rank-0")
    with pytest.raises(InputError, match="must be like tcp://host:8786"):
        scheduler.require_address("mpi://", "--scheduler mpi://")
    with pytest.raises(InputError, match=r"'gone' cannot be loaded \(ModuleNotFoundError: No mod"):
        scheduler.require_address("gone://rank-0", "--scheduler gone://rank-0")


class Transport:
    """What another package brings."""


def unseen(path: str, token: str) -> dict[str, Any]:
    return remote.look(f"{path} elsewhere", token)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:9", "cannot be reached"),
        ("file:nowhere.json", "there is no such file"),
        ("somewhere", "must be like tcp://host:8786"),
        ("tcp://", "must be like tcp://host:8786"),
        ("tcp://host", "must be like tcp://host:8786"),
        ("elsewhere://host:8786", "must be like tcp://host:8786"),
        ("inproc://127.0.0.1/12/1", "within one process, and no other can reach it"),
        ("tls://127.0.0.1:9", "needs certificates"),
    ],
)
def test_a_scheduler_that_is_not_there(
    address: str, said: str, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_CONNECT_S", 1.0)
    with pytest.raises(InputError, match=said):
        mapped(toy, square, Scheduler(address), [])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"address": 5}',
        b'{"address": "here"}',
        b"\xff\xfe",
        b"[" * 99_999,
    ],
)
def test_what_is_no_schedulers_file(content: bytes, toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(InputError, match="holds no address of a scheduler"):
        mapped(toy, square, Scheduler(f"file:{tmp_path / 's.json'}"), [])


def test_a_run_on_a_cluster_has_the_bytes_of_one_here(
    client: Any, music: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    small_run(music, here, encoders=("mfcc",))
    told = small_run(music, there, encoders=("mfcc",), workers=Scheduler(client))
    assert any(sentence.startswith("Dask: 2 workers") for sentence in told)
    tables = {n: c for n, c in files_of(here).items() if n != "run.json"}
    assert {n: c for n, c in files_of(there).items() if n != "run.json"} == tables
