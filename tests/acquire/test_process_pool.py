import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cli_runs import environment
from threadpoolctl import threadpool_info

from lexy.acquire.process_pool import AHEAD, FEW, map_in_processes
from lexy.errors import UserError

MANY = 3 * FEW


def shout(times: int, task: str) -> str:
    return task.upper() * times


def own_process(_: int) -> int:
    return os.getpid()


def fail_at_five(task: int) -> int:
    return 10 // (task - 5)


def die_at_five(task: int) -> int:
    if task == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def threads(_: int) -> set[int]:
    import numpy  # noqa: F401

    return {library["num_threads"] for library in threadpool_info()}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, MANY])
def test_results_come_in_the_order_of_the_tasks(workers: int, count: int) -> None:
    tasks = [f"task {at} " for at in range(count)]
    assert list(map_in_processes(tasks, partial(shout, 2), workers)) == [2 * task.upper() for task in tasks]


def test_processes_are_started_where_they_pay() -> None:
    assert set(map_in_processes(range(FEW), own_process, 2)) == {os.getpid()}
    others = set(map_in_processes(range(MANY), own_process, 2))
    assert len(others) in (1, 2)
    assert os.getpid() not in others


def test_each_process_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert set().union(*map_in_processes(range(MANY), threads, 2)) == {1}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bounded_number_of_tasks_is_in_flight(workers: int) -> None:
    taken = 0

    def tasks() -> Iterator[str]:
        nonlocal taken
        for at in range(500):
            taken += 1
            yield str(at)

    for given, _ in enumerate(map_in_processes(tasks(), partial(shout, 1), workers)):
        assert taken - given <= (1 if workers == 1 else max(FEW + 1, AHEAD * workers))
    assert taken == 500


@pytest.mark.parametrize("workers", [1, 2])
def test_exceptions_are_passed_on(workers: int) -> None:
    results = map_in_processes(range(MANY), fail_at_five, workers)
    assert [next(results) for _ in range(5)] == [-2, -3, -4, -5, -10]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_killed_process_is_reported() -> None:
    with pytest.raises(UserError, match=r"workers=2 processes was killed.*fewer workers"):
        list(map_in_processes(range(MANY), die_at_five, 2))


def sign(folder: Path, _: int) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(0.1)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C reaches parent and workers alike, SIGKILL the parent only."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.path.insert(0, 'tests/acquire'); sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from functools import partial\n"
        "from test_process_pool import map_in_processes, sign\n"
        f"list(map_in_processes(range(10_000), partial(sign, Path({str(tmp_path)!r})), 2))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(workers := [int(path.name) for path in tmp_path.iterdir()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    os.killpg(parent.pid, how) if how == signal.SIGINT else parent.kill()
    errors = parent.communicate(timeout=60)[1]
    assert parent.returncode in (-how, 128 + how, 1)
    assert errors.count("Traceback") == (how == signal.SIGINT)
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
