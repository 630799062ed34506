"""A callback that ends a job in a way of its own."""

import os
import signal
import time
from pathlib import Path

import torch
from pytorch_lightning.callbacks import Callback


class Fail(Callback):
    """What happens once, at the end of an epoch, to the job with this number; the others are left alone."""

    def __init__(self, number: int) -> None:
        self.number = number

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        marker = Path(trainer.default_root_dir) / "once"
        if marker.exists():
            return
        marker.touch()
        ways = {1: self.error, 2: self.memory, 3: self.kill, 4: self.exit, 5: self.hang, 6: self.terminate}
        ways.get(self.number, lambda: None)()

    def error(self) -> None:
        raise RuntimeError("the network took a wrong turn")

    def memory(self) -> None:
        torch.empty(2**60)

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def exit(self) -> None:
        os._exit(7)

    def hang(self) -> None:
        time.sleep(3600)

    def terminate(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


class KillWithinEpoch(Callback):
    """Kill the job once, after the second batch of its second epoch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        marker = Path(trainer.default_root_dir) / "once"
        if (trainer.current_epoch, batch_idx) == (1, 1) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Slow(Callback):
    """Epochs that take a while, so that a test can do something meanwhile."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        time.sleep(self.seconds)
