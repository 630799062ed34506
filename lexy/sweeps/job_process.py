"""A job of a sweep in a process of its own: whatever it does to memory, or to itself, ends with it."""

import gc
import importlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from lexy.processes import end_with_parent

PRELOADED = {
    "train": ["lexy.cli.train", "lexy.runs.evaluation"],
    "evaluate": ["lexy.cli.evaluate", "lexy.runs.evaluation"],
}
LATE = {"lexy.report.wandb_run": ["wandb.sdk.launch.inputs.internal"]}  # module → what it imports when it is used
GRACE = 30.0  # seconds that a job has to close its records once it was asked to end


class Outcome(NamedTuple):
    """How a job ended.

    Attributes
    ----------
    state : str
        done, pruned, failed (it raised an error) or interrupted (it was stopped from outside, and can be resumed).
    reason : str
        Why it is not done.
    value : float or None
        What the job returned.
    """

    state: str
    reason: str = ""
    value: Any = None


def run_alone(command: str, config: DictConfig, time_limit: float | None, jobs_at_once: int | None) -> Outcome:
    """Run one job of a command in a child process and wait for it.

    The child is forked from a server that has imported what the first job needs, so a job starts at once.

    Parameters
    ----------
    command : str
        `train`, `evaluate` or `prepare`: function of that name in the module of that name.
    config : DictConfig
        Of the job, with its interpolations, while Hydra runs it.
    time_limit : float or None
        Minutes.
    jobs_at_once : int or None
        Between so many the threads of tensor operations are divided; -1: one thread each; None: they are not.
    """
    from hydra.core.hydra_config import HydraConfig

    multiprocessing.set_start_method("forkserver", force=True)  # a launcher's worker may have set one of its own
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_modules(command, config))
    receiver, sender = context.Pipe(duplex=False)
    # Plain: a launcher's worker has classes of its own for Hydra's nodes, which cannot be pickled again.
    hydra = OmegaConf.create(OmegaConf.to_container(HydraConfig.instance().cfg, resolve=False))
    process = context.Process(target=_child, args=(command, config, hydra, jobs_at_once, sender))
    process.start()
    sender.close()
    try:
        if not wait([receiver, process.sentinel], None if time_limit is None else time_limit * 60):
            return Outcome("interrupted", f"took longer than sweep.time_limit={time_limit} minutes")
        outcome = _answer(receiver)
        process.join(GRACE)
        return outcome or Outcome("interrupted", _death(process.exitcode))
    finally:
        _end(process)


def _modules(command: str, config: DictConfig) -> list[str]:
    """What every job of a command imports, and what this one is built of, as the others of a sweep mostly are."""
    targets = _targets(OmegaConf.to_container(config, resolve=False))
    parts = sorted({target.rpartition(".")[0] for target in targets if target.startswith("lexy.")})
    return [*PRELOADED.get(command, []), *parts, *(late for part in parts for late in LATE.get(part, []))]


def _targets(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        yield from [plain["_target_"]] if "_target_" in plain else []
        plain = list(plain.values())
    if isinstance(plain, list):
        yield from (target for item in plain for target in _targets(item))


def _answer(receiver: Connection) -> Outcome | None:
    try:
        return receiver.recv() if receiver.poll() else None
    except EOFError:
        return None


def _end(process: Any) -> None:
    """Whatever happens to the parent, no child goes on."""
    if process.is_alive():
        process.terminate()
        process.join(GRACE)
    if process.is_alive():
        process.kill()
        process.join()


def _death(exitcode: int | None) -> str:
    if exitcode == -signal.SIGKILL:
        return "killed (SIGKILL): by the system for want of memory, or by somebody"
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"ended without an answer (exit status {exitcode})"


def attempt(command: str, config: DictConfig) -> Outcome:
    """Run one job here; an error becomes its outcome, once the user has been told."""
    from lexy.cli.hydra_app import print_error
    from lexy.errors import Pruned, UserError
    from lexy.files import written_nowhere

    try:
        task = getattr(importlib.import_module(f"lexy.cli.{command}"), command)
        return Outcome("done", value=task(config))
    except Exception as error:
        told = error if isinstance(error, UserError) else written_nowhere(error)
        if told is not None:
            print_error(told)
            return Outcome("pruned" if isinstance(error, Pruned) else "failed", str(told))
        traceback.print_exc()
        return Outcome("failed", f"{type(error).__name__}: {error}")


def _child(command: str, config: DictConfig, hydra: Any, jobs_at_once: int | None, sender: Connection) -> None:
    gc.freeze()  # to search what the server has imported for garbage would copy its memory, and take half a second
    end_with_parent(partial(os.kill, os.getpid(), signal.SIGTERM))
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import configure_log, setup_globals

    from lexy.config.compose import initialise

    setup_globals()
    HydraConfig.instance().cfg = hydra
    sources = HydraConfig.get().runtime.config_sources
    initialise(command, next((source.path for source in sources if source.provider == "command-line"), None))
    configure_log(hydra.hydra.job_logging, hydra.hydra.verbose)
    if jobs_at_once not in (None, 1):
        import torch

        torch.set_num_threads(1 if jobs_at_once == -1 else max(1, torch.get_num_threads() // jobs_at_once))
    try:
        outcome = attempt(command, config)
    except BaseException as error:  # Ctrl-C, SIGTERM
        outcome = Outcome("interrupted", f"stopped from outside ({type(error).__name__})")
    with suppress(BrokenPipeError):  # of a parent that was killed
        sender.send(outcome)
