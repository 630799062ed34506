"""Apply a function to a stream of tasks in several processes, in order and in bounded memory."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from lexy.errors import UserError
from lexy.processes import end_with_parent

T = TypeVar("T")
R = TypeVar("R")

FEW = 16  # tasks that take less time than starting processes
AHEAD = 4  # submitted tasks for each process
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def map_in_processes(tasks: Iterable[T], work: Callable[[T], R], workers: int) -> Iterator[R]:
    """Apply `work` to every task.

    Parameters
    ----------
    tasks : iterable
        Read as needed: at most max(`FEW`, `AHEAD` × `workers`) tasks and results are in memory.
    work : callable
        A function at the top level of a module, or a `partial` of one; tasks and results are picklable. Exceptions are
        passed on.
    workers : int
        Number of processes, with one thread each. With 1, or for up to `FEW` tasks, this process does
        everything.

    Yields
    ------
    object
        Results in the order of the tasks.

    Raises
    ------
    UserError
        If a process was killed, as operating systems do when memory is short.
    """
    tasks = iter(tasks)
    first = list(islice(tasks, FEW + 1)) if workers > 1 else []
    tasks = chain(first, tasks)
    if len(first) <= FEW:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _initialise)
    running: deque[Future[R]] = deque()
    try:
        for task in tasks:
            running.append(pool.submit(work, task))
            if len(running) == AHEAD * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            f"one of the workers={workers} processes was killed, which systems do when memory is short. Run the same "
            "command again with fewer workers or more memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _initialise() -> None:
    """Set up a new process before it unpickles a task and so imports the libraries that read these variables."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the others
    end_with_parent(partial(os._exit, 1))
