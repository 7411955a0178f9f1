import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from analysis.findings.workers import InThisProcess, num_processes, worker_processes


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """One pool, which takes seconds to load what it draws with."""
    with worker_processes() as pool:
        yield pool


def test_both_kinds_give_the_same_results(processes: Executor) -> None:
    for workers in (InThisProcess(), processes):
        futures: list[Future[int]] = [workers.submit(pow, 2, power) for power in range(4)]
        assert [future.result() for future in futures] == [1, 2, 4, 8]


def test_an_error_arrives_where_the_result_is_asked_for(processes: Executor) -> None:
    future = processes.submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result()
    with pytest.raises(ValueError, match="invalid literal"):
        InThisProcess().submit(int, "x")


@pytest.mark.parametrize(("cores", "num"), [(1, 1), (2, 1), (3, 2), (64, 2)])
def test_a_core_is_left_to_the_one_that_asks(
    monkeypatch: pytest.MonkeyPatch, cores: int, num: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert num_processes() == num


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    """Not one is left behind: they would wait for work for ever."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from analysis.findings.workers import worker_processes\n"
        "if __name__ == '__main__':\n"
        "    pool = worker_processes()\n"
        "    asked = [pool.submit(os.getpid) for _ in range(20)]\n"
        "    print(*{future.result() for future in asked}, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert workers
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)
