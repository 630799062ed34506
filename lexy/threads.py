"""How many threads share a tensor operation, and how they wait for the next one."""

import os


def wait_passively() -> None:
    """Let the threads of this process and its children sleep while they wait; call it before torch is imported.

    By default they spin for milliseconds, and several processes with as many threads as there are cores keep each
    other from computing. The environment that the user has set stands.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_threads(number: int | None) -> None:
    """Set how many threads share a tensor operation; None leaves it to torch: OMP_NUM_THREADS, or one for each core."""
    if number is not None:
        import torch

        torch.set_num_threads(number)
