import pytest
from cli_runs import FAKE_KEY, TINY, run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run with W&B offline: (working folder, run folder, what it printed)."""
    work = tmp_path_factory.mktemp("work")
    done = run(work, "train", *TINY, "logger=wandb", WANDB_API_KEY=FAKE_KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (work / "outputs" / "runs").iterdir()
    return work, folder, done.stdout
