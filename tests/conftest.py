import os

# Before anything imports a hub's client or W&B.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["OMP_NUM_THREADS"] = "1"  # two workers on two cores

from hypothesis import settings

import lexy._torchvision  # noqa: F401

settings.register_profile("suite", deadline=None)  # no test fails because the machine is busy
settings.load_profile("suite")
