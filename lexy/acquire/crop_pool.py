"""A function applied to a stream of tasks in a few processes: in order, in bounded memory."""

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

FEW = 16  # tasks that are done before the processes would have started
AHEAD = 4  # tasks for each process that are submitted and not yet asked for
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def crops_of(tasks: Iterable[T], work: Callable[[T], R], workers: int) -> Iterator[R]:
    """Apply `work` to every task.

    Parameters
    ----------
    tasks : iterable
        Read as needed: at most `FEW` or `AHEAD` × `workers` tasks and results, whichever is more, are in memory.
    work : callable
        Of a module's top level, or a `partial` of one; tasks and results are picklable. Exceptions are passed on.
    workers : int
        Number of processes, with one thread each. With 1, or for up to `FEW` tasks, all is done in this process.

    Yields
    ------
    object
        What `work` gives, in the order of the tasks.

    Raises
    ------
    UserError
        If a process was killed, as systems do when memory is short.
    """
    tasks = iter(tasks)
    first = list(islice(tasks, FEW + 1)) if workers > 1 else []
    tasks = chain(first, tasks)
    if len(first) <= FEW:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare)
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


def _prepare() -> None:
    """In a new process, before it reads its first task and with that the libraries that look at these variables."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends the others
    end_with_parent(partial(os._exit, 1))
