"""Track a run: write its config, status and log, and open and close its loggers, however it ends."""

import logging
import os
import secrets
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lexy.data.base import ClipData
from lexy.errors import Pruned, UserError
from lexy.files import replacing
from lexy.runs.folder import FOLDER_OF_LEADER, Status, attempt_number, is_leader
from lexy.runs.identity import commit

FOR_USERS = ("MisconfigurationException", "UsageError")  # of Lightning, and of W&B without a key


def quieten_lightning() -> None:
    """Silence Lightning's hints that do not apply here or repeat what the config says."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    messages = ["does not have many workers", "could not find the monitored key", "exists and is not empty"]
    messages += ["command is available on your system but is not used"]  # of Slurm
    messages += ["your dataloader is not resumable"]  # LastCheckpoint tells it where to begin
    for message in (*(f".*{text}.*" for text in messages), ".*LeafSpec.*is deprecated.*"):
        warnings.filterwarnings("ignore", message)


@contextmanager
def tracked_run(
    config: DictConfig, plain: dict[str, Any], folder: Path, data: ClipData, task: Any
) -> Iterator[tuple[list[Any], Status]]:
    """Write config and status of a run and yield its loggers and status; however it ends, write that and close them."""
    status = Status(folder)
    if not is_leader():
        yield [], status
        return
    write_config(folder, config, plain)
    before = status.read()
    status.update(**_facts(folder, config, data, task, before))
    os.environ[FOLDER_OF_LEADER] = str(folder)
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
        del os.environ[FOLDER_OF_LEADER]
        seconds = before.get("seconds", 0.0) + time.monotonic() - begin
        status.update(seconds=round(seconds, 1), ended=_now(), peak_memory_mb=_peak_memory())
        for logger in loggers:
            logger.finish(exit_code)


def write_config(folder: Path, config: DictConfig, plain: Mapping[str, Any]) -> None:
    """Write `resolved.yaml`, every value as it was used, and `config.yaml`, from which the run can be repeated.

    In `config.yaml` one key still follows another (`task.optimizer: ${optimizer}`), so that it can be overridden; what
    comes from outside (environment, Hydra) is resolved.
    """
    with replacing(folder / "resolved.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(dict(plain))))
    head = (
        "# The config of this run (resolved.yaml has every value as it was used). To repeat it:\n"
        f"#   lexy-train --config-dir {folder} --config-name config\n"
    )
    linked = OmegaConf.to_container(config, resolve=False)
    assert isinstance(linked, dict)
    linked |= {key: plain[key] for key in ("paths", "label")}
    values = {"defaults": ["folders", "_self_", {"override hydra/job_logging": "stdout"}], **linked}
    with replacing(folder / "config.yaml") as temporary:
        temporary.write_text(head + OmegaConf.to_yaml(OmegaConf.create(values)))


def _facts(folder: Path, config: DictConfig, data: ClipData, task: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of a run that begins, or goes on."""
    from hydra.core.hydra_config import HydraConfig

    return {
        "state": "running",
        "reason": None,
        "run": folder.name,
        "run_id": before.get("run_id", f"{folder.name}-{secrets.token_hex(3)}"),
        "attempt": attempt_number(folder),
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

    choices = HydraConfig.get().runtime.choices
    tags = {*plain["tags"], *plain["label"].split("-"), str(choices.get("training", "written-config"))}
    tags |= {"phantom-data"} if data.embedded else set()
    tags |= {"one-step"} if task.network.needs_mask and not data.sequences else set()
    values = plain | {"run_folder": str(folder), "commit": commit()}
    return build_loggers(config, folder=folder, run_id=run_id, config=values, tags=sorted(tags), job_type="train")


def build_loggers(run: DictConfig, **given: Any) -> list[Any]:
    """Build the loggers that a config names, each with what is `given` (see `lexy.report.wandb_run`)."""
    from lexy.config.build import build

    nodes = {name: each for name, each in (run.logger or {}).items() if each is not None}
    return [build(each, f"logger.{name}", **given) for name, each in nodes.items()]


@contextmanager
def _run_log(path: Path) -> Iterator[None]:
    """Write all log messages to a file too, with the traceback of an error that ends the run."""
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
    """Return the peak memory of this process, MB; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Exit on SIGTERM: Lightning handles it while it trains, this is for the evaluation after that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
