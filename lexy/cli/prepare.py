"""`lexy-prepare`: make what a dataset is read from."""

import os
import sys
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from lexy.cli.hydra_app import run_command
from lexy.errors import UserError
from lexy.sweeps.command import Command
from lexy.sweeps.jobs import SweepConfig


@dataclass
class PrepareConfig:
    """Keys of the config's top level."""

    data: Any
    paths: Any
    politeness: Any
    index: Any
    download: Any
    labeller: Any
    crops: Any
    prepare: Any
    stage: str
    shard: Any
    shards: Any
    sweep: SweepConfig


def main() -> None:
    """Entry point of the command; a first word without `=` is the stage."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own keeps some 10 MB for itself
    if len(sys.argv) > 1 and sys.argv[1].isidentifier():
        sys.argv[1] = f"stage={sys.argv[1]}"
    run_command(Command("prepare", "lexy.cli.prepare.prepare", PrepareConfig))


def prepare(config: DictConfig) -> None:
    """Run the preparation that belongs to the chosen data."""
    from lexy.config.build import build

    if config.stage != "all" and "stage" not in config.prepare:
        raise UserError(f"stage={config.stage}: this data is made in one go. Leave it out.")
    build(config.prepare, "prepare").run()


if __name__ == "__main__":
    main()
