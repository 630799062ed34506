"""Child processes that do not outlive their parent."""

import multiprocessing
import os
import signal
from multiprocessing.connection import wait
from threading import Thread


def terminate_with_parent() -> None:
    """Send this process SIGTERM as soon as the parent that started it by `multiprocessing` has ended.

    A killed parent cannot end its children; without this they would go on working in its folders.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_terminate_after, args=(parent.sentinel,), daemon=True).start()


def _terminate_after(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
