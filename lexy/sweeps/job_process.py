"""Run a job of a sweep in a process of its own, so that its memory is freed and a crash ends nothing else."""

import gc
import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from lexy.errors import Pruned, as_user_error, print_error
from lexy.processes import end_with_parent

LATE_IMPORTS = {"lexy.report.wandb_run": ["wandb.sdk.launch.inputs.internal"]}  # module → what it imports when used
GRACE_SECONDS = 30.0  # that a job has to close its records once it was asked to end


class Outcome(NamedTuple):
    """How a job ended.

    Attributes
    ----------
    state : str
        done, pruned, failed (it raised an error), interrupted (it was stopped from outside, and can be resumed) or
        no answer (it wrote no outcome).
    reason : str
        Why it is not done.
    value : float or None
        What the job returned.
    """

    state: str
    reason: str = ""
    value: Any = None


def run_in_child(
    function: str, preload: Sequence[str], config: DictConfig, time_limit: float | None, jobs_at_once: int | None
) -> Outcome:
    """Run one job in a child process and wait for it.

    The child is forked from a server that has imported what the first job needs, so a job starts at once.

    Parameters
    ----------
    function, preload
        See `lexy.sweeps.command.Command`.
    config : DictConfig
        Of the job, with its interpolations, while Hydra runs it.
    time_limit : float or None
        Minutes.
    jobs_at_once : int or None
        Number of jobs that the threads of tensor operations are divided between; -1: one thread each; None: they are
        not divided.
    """
    from hydra.core.hydra_config import HydraConfig

    multiprocessing.set_start_method("forkserver", force=True)  # a launcher's worker may have set one of its own
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_modules(function, preload, config))
    receiver, sender = context.Pipe(duplex=False)
    # Plain: a launcher's worker has classes of its own for Hydra's nodes, which cannot be pickled again.
    hydra = OmegaConf.create(OmegaConf.to_container(HydraConfig.instance().cfg, resolve=False))
    process = context.Process(target=_run_child, args=(function, config, hydra, jobs_at_once, sender))
    process.start()
    sender.close()
    try:
        if not wait([receiver, process.sentinel], None if time_limit is None else time_limit * 60):
            return Outcome("interrupted", f"took longer than sweep.time_limit={time_limit} minutes")
        outcome = _received(receiver)
        process.join(GRACE_SECONDS)
        return outcome or Outcome("interrupted", _describe_exit(process.exitcode))
    finally:
        _stop(process)


def _modules(function: str, preload: Sequence[str], config: DictConfig) -> list[str]:
    """Return what every job of a command imports, and what this one, like most of a sweep, is built of."""
    targets = _targets(OmegaConf.to_container(config, resolve=False))
    parts = sorted({target.rpartition(".")[0] for target in targets if target.startswith("lexy.")})
    late = [module for part in parts for module in LATE_IMPORTS.get(part, [])]
    return [function.rpartition(".")[0], *preload, *parts, *late]


def _targets(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        yield from [plain["_target_"]] if "_target_" in plain else []
        plain = list(plain.values())
    if isinstance(plain, list):
        yield from (target for item in plain for target in _targets(item))


def _received(receiver: Connection) -> Outcome | None:
    try:
        return receiver.recv() if receiver.poll() else None
    except EOFError:
        return None


def _stop(process: BaseProcess) -> None:
    """Leave no child running, whatever happened to the parent."""
    if process.is_alive():
        process.terminate()
        process.join(GRACE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _describe_exit(exitcode: int | None) -> str:
    if exitcode == -signal.SIGKILL:
        return "killed (SIGKILL), for example because the memory ran out"
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"ended without a result (exit status {exitcode})"


def run_here(function: str, config: DictConfig) -> Outcome:
    """Run one job in this process; an error is printed and becomes its outcome."""
    from hydra.utils import get_method

    try:
        return Outcome("done", value=get_method(function)(config))
    except Exception as error:
        shown = as_user_error(error)
        if shown is not None:
            print_error(shown)
            return Outcome("pruned" if isinstance(error, Pruned) else "failed", str(shown))
        traceback.print_exc()
        return Outcome("failed", f"{type(error).__name__}: {error}")


def _run_child(function: str, config: DictConfig, hydra: Any, jobs_at_once: int | None, sender: Connection) -> None:
    gc.freeze()  # to search what the server has imported for garbage would copy its memory, and take half a second
    end_with_parent(partial(os.kill, os.getpid(), signal.SIGTERM))
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import configure_log, setup_globals

    setup_globals()
    HydraConfig.instance().cfg = hydra
    configure_log(hydra.hydra.job_logging, hydra.hydra.verbose)
    if jobs_at_once not in (None, 1):
        import torch

        torch.set_num_threads(1 if jobs_at_once == -1 else max(1, torch.get_num_threads() // jobs_at_once))
    try:
        outcome = run_here(function, config)
    except BaseException as error:  # Ctrl-C, SIGTERM
        outcome = Outcome("interrupted", f"stopped from outside ({type(error).__name__})")
    with suppress(BrokenPipeError):  # of a parent that was killed
        sender.send(outcome)
