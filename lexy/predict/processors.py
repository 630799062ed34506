"""Where networks compute: on the cores of a CPU, or on an accelerator."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from lexy.errors import UserError

CPU_CHUNK = 2**16  # pixels: they should stay in the cache
ACCELERATOR_CHUNK = 2**21  # pixels: some GB for a network with 64 channels at full size


@dataclass(frozen=True)
class Processor:
    """How chunks of tiles are computed.

    Attributes
    ----------
    device : torch.device
    chunk : int
        Pixels of the tiles that go through a network together.
    at_once : int
        Chunks that are computed side by side.
    memory_format : torch.memory_format
        The faster one here.
    map : callable
        As the built-in `map`: calls a function with each chunk, and returns its results in order.
    """

    device: torch.device
    chunk: int
    at_once: int
    memory_format: torch.memory_format
    map: Callable[..., Iterable[Any]]


def cpu() -> Processor:
    """Return a processor that computes chunks side by side, each by one thread.

    Threads that share every single operation wait for each other after each of them, which is many times slower as soon
    as anything else runs on the machine.
    """
    threads = torch.get_num_threads()
    workers = ThreadPoolExecutor(threads, "tiles", torch.set_num_threads, (1,))
    # Channels last are a quarter faster.
    return Processor(torch.device("cpu"), CPU_CHUNK, threads, torch.channels_last, workers.map)


def accelerator(device: torch.device) -> Processor:
    """Return a processor that computes one large chunk after the other."""
    return Processor(device, ACCELERATOR_CHUNK, 1, torch.contiguous_format, _precise_map)


def processor_of(name: str) -> Processor:
    """Return the processor that a user names.

    Parameters
    ----------
    name : {'auto', 'cpu', 'cuda', 'mps'}
        'auto' is the first of CUDA, MPS and the CPU that is there.

    Raises
    ------
    UserError
        There is no such device.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    chosen = there[0] if name == "auto" else name
    if chosen not in there:
        raise UserError(f"--device {name}: there is no such device here. Give auto, or one of: {', '.join(there)}.")
    return cpu() if chosen == "cpu" else accelerator(torch.device(chosen))


def _precise_map(function: Callable[..., Any], *chunks: Iterable[Any]) -> Iterator[Any]:
    """Call a function with each chunk, without the short mantissa (TF32) that cuDNN takes for convolutions."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield from map(function, *chunks)
