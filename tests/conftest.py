import os

# Before anything imports a hub's client or W&B.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["OMP_NUM_THREADS"] = "1"  # two workers on two cores

import pytest
from cli_runs import FAKE_KEY, TINY, run
from hypothesis import settings

import lexy  # noqa: F401  before any test imports torchvision, or what needs it

settings.register_profile("suite", deadline=None)  # no test fails because the machine is busy
settings.load_profile("suite")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run with W&B offline: (working folder, run folder, what it printed)."""
    work = tmp_path_factory.mktemp("work")
    done = run(work, "train", *TINY, "logger=wandb", WANDB_API_KEY=FAKE_KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (work / "outputs" / "runs").iterdir()
    return work, folder, done.stdout
