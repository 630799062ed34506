"""What is written down of a run while it goes on, however it ends."""

import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from lexy.data.base import ClipData
from lexy.errors import Pruned, UserError
from lexy.runs.identity import Status, attempt_of, attempts, commit

FOLDER_OF_RANK_0 = "LEXY_RUN_FOLDER"
FOR_USERS = ("MisconfigurationException", "UsageError")  # of Lightning, and of W&B without a key
PATIENCE = 300.0  # seconds that the others wait for the first process of a Slurm job


def is_leader() -> bool:
    """Whether this process keeps the records: of several that train one network together, the first does."""
    ranks = ["LOCAL_RANK"]  # set by Lightning for those that it starts
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        ranks = ["SLURM_PROCID"]
    return all(os.environ.get(rank, "0") == "0" for rank in ranks)


def folder_of_leader(parent: Path, digits: str) -> Path:
    """The folder that the first of these processes has made.

    Raises
    ------
    UserError
        It has made none.
    """
    if FOLDER_OF_RANK_0 in os.environ:  # the first one started this one
        return Path(os.environ[FOLDER_OF_RANK_0])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for folder in reversed(attempts(parent, digits)):
            if Status(folder).read().get("slurm_job") == os.environ["SLURM_JOB_ID"]:
                return folder
        time.sleep(0.2)
    raise UserError(f"{parent}: the first process of Slurm job {os.environ['SLURM_JOB_ID']} has made no folder here.")


@contextmanager
def recorded(
    config: DictConfig, plain: dict[str, Any], folder: Path, data: ClipData, task: Any
) -> Iterator[tuple[list[Any], Status]]:
    """Write down what runs and open its loggers; however it ends, say so in its status and close them."""
    status = Status(folder)
    if not is_leader():
        yield [], status
        return
    from lexy.runs.evaluation import write_config

    write_config(folder, config, plain)
    before = status.read()
    status.update(**_facts(folder, config, data, task, before))
    os.environ[FOLDER_OF_RANK_0] = str(folder)
    loggers: list[Any] = []
    begin, exit_code = time.monotonic(), 1
    try:
        with _run_log(folder / "run.log"), _sigterm_as_exit():
            loggers += _loggers(config, plain, folder, data, task, status.read()["run_id"])
            yield loggers, status
        exit_code = 0
    except Exception as error:
        status.update(state="pruned" if isinstance(error, Pruned) else "failed", reason=_reason(error))
        if type(error).__name__ in FOR_USERS:
            raise UserError(str(error)) from error
        raise
    except BaseException as error:  # Ctrl-C, SIGTERM
        status.update(state="interrupted", reason=type(error).__name__)
        print(f"interrupted: resume=auto goes on from {folder / 'last.ckpt'}")
        raise SystemExit(1) from error  # Lightning's own SystemExit on SIGTERM would say that all went well
    finally:
        del os.environ[FOLDER_OF_RANK_0]
        seconds = before.get("seconds", 0.0) + time.monotonic() - begin
        status.update(seconds=round(seconds, 1), ended=_now(), peak_memory_mb=_peak_memory())
        for logger in loggers:
            logger.finish(exit_code)


def _facts(folder: Path, config: DictConfig, data: ClipData, task: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a run that begins, or goes on."""
    from hydra.core.hydra_config import HydraConfig

    return {
        "state": "running",
        "reason": None,
        "run": folder.name,
        "run_id": before.get("run_id", f"{folder.name}-{secrets.token_hex(3)}"),
        "attempt": attempt_of(folder),
        "data": {"name": data.name, "fingerprint": data.fingerprint(), "fold": data.fold, "embedded": data.embedded},
        "commit": commit(),
        "overrides": list(HydraConfig.get().overrides.task),
        "started": before.get("started", _now()),
        "parameters": sum(parameter.numel() for parameter in task.network.parameters()),
        "max_epochs": config.trainer.get("max_epochs"),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def _loggers(
    config: DictConfig, plain: dict[str, Any], folder: Path, data: ClipData, task: Any, run_id: str
) -> list[Any]:
    from hydra.core.hydra_config import HydraConfig

    from lexy.networks.propagation import needs_mask

    choices = HydraConfig.get().runtime.choices
    tags = {*plain["tags"], *plain["label"].split("-"), str(choices.get("training", "written-config"))}
    tags |= {"phantom-data"} if data.embedded else set()
    tags |= {"one-step"} if needs_mask(task.network) and not data.sequences else set()
    values = plain | {"run_folder": str(folder), "commit": commit()}
    return loggers_of(config, folder=folder, run_id=run_id, config=values, tags=sorted(tags), job_type="train")


def loggers_of(run: DictConfig, **given: Any) -> list[Any]:
    """The loggers that a config names, each built with what is `given` (see `lexy.report.wandb_run`)."""
    from lexy.config.build import build

    nodes = {name: each for name, each in (run.logger or {}).items() if each is not None}
    return [build(each, f"logger.{name}", **given) for name, each in nodes.items()]


@contextmanager
def _run_log(path: Path) -> Iterator[None]:
    """Everything that is logged goes to a file too, with the traceback of what ends the run."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    except Exception:
        logging.getLogger("lexy").exception("the run failed")
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _peak_memory() -> float | None:
    """Largest memory that this process has had, MB; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Lightning handles SIGTERM while it trains; this is for the evaluation after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
