"""Processes that end with the one that started them."""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import wait


def end_with_parent(end: Callable[[], object]) -> None:
    """Call `end` in this process, started by `multiprocessing`, when its parent is gone.

    A parent that was killed cannot end its children, whose results nobody would take, and two would work in one folder
    after it is started again.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        end()

    threading.Thread(target=watch, daemon=True).start()
