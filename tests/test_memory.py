"""The memory that may be used, against what the system says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearkin.memory import usable_memory

MACHINE = usable_memory(Path("/nowhere"))


def test_a_machine_knows_its_memory() -> None:
    """Linux says the same in kilobytes."""
    told = Path("/proc/meminfo")
    if not told.is_file():
        assert MACHINE is None or MACHINE > 0
        return
    kilobytes = int(told.read_text().split("MemTotal:")[1].split()[0])
    assert pytest.approx(1024 * kilobytes, rel=0.05) == MACHINE


@pytest.mark.parametrize(
    ("group", "files", "bytes_"),
    [
        # a job of SLURM, under version 2: its step has no limit of its own
        (
            "0::/system.slice/slurmstepd.scope/job_7/step_0\n",
            {
                "system.slice/slurmstepd.scope/job_7/step_0/memory.max": "max",
                "system.slice/slurmstepd.scope/job_7/memory.max": "4000000000",
                "system.slice/memory.max": "max",
            },
            4_000_000_000,
        ),
        # the same under version 1, where each resource has its own tree
        (
            "11:cpuset:/\n4:hugetlb,memory:/slurm/uid_1/job_7\n0::/\n",
            {
                "memory/slurm/uid_1/job_7/memory.limit_in_bytes": "3000000000",
                "memory/slurm/memory.limit_in_bytes": "9223372036854771712",
            },
            3_000_000_000,
        ),
        # containers: their own group at the top, under their own name or the host's
        ("0::/\n", {"memory.max": "2000000000\n"}, 2_000_000_000),
        (
            "4:memory:/docker/0a1b\n",
            {"memory/memory.limit_in_bytes": "1000000000"},
            1_000_000_000,
        ),
        # names may hold what no line or text does
        ("0::/a\udcff\u2028b\n", {"a\udcff\u2028b/memory.max": "1000000000"}, 1_000_000_000),
        # nothing that limits
        ("0::/user.slice\n", {"user.slice/memory.max": "max"}, None),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("5:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "1000"}, None),
    ],
)
def test_a_limit_of_a_job_or_container_counts(
    group: str, files: dict[str, str], bytes_: int | None, tmp_path: Path
) -> None:
    written = {"proc/self/cgroup": group} | {f"sys/fs/cgroup/{n}": t for n, t in files.items()}
    for name, text in written.items():
        path = tmp_path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            pytest.skip("this file system takes no such names")
        path.write_bytes(os.fsencode(text))
    least = bytes_ if MACHINE is None else min(MACHINE, bytes_ or MACHINE)
    assert usable_memory(tmp_path) == least
