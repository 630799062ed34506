"""`lexy-prepare`: make what a dataset is read from."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from lexy.cli.app import run_command


@dataclass
class PrepareConfig:
    """Keys of the config's top level."""

    data: Any
    paths: Any
    labeller: Any
    crops: Any
    prepare: Any


def main() -> None:
    """Entry point of the command."""
    run_command("prepare", prepare, PrepareConfig)


def prepare(config: DictConfig) -> None:
    """Run the preparation that belongs to the chosen data."""
    from lexy.cli.build import build

    build(config.prepare, "prepare").run()


if __name__ == "__main__":
    main()
