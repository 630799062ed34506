"""What is relied on of `hydra._internal`: tested with the installed version, which the pin allows."""

import logging
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from cli_runs import REPOSITORY
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from packaging.requirements import Requirement

from lexy.config.hydra_internals import (
    BASIC_SWEEPER,
    combine_sweep,
    create_hydra,
    locate,
    multirun_launcher,
    parse_arguments,
)


@pytest.fixture
def hydra(tmp_path):
    """A Hydra that finds configs in two folders."""
    for name in ("configs", "own"):
        (tmp_path / name).mkdir(parents=True)
    primary = "axis: 0\nfolder: out\nhydra:\n  sweep:\n    dir: ${folder}/${now:%f}\n    subdir: .\n"
    (tmp_path / "configs" / "main.yaml").write_text(primary)
    (tmp_path / "configs" / "shared.yaml").write_text("from: configs\n")
    (tmp_path / "own" / "shared.yaml").write_text("from: own\n")
    (tmp_path / "own" / "mine.yaml").write_text("from: own\n")
    GlobalHydra.instance().clear()
    yield create_hydra("command", tmp_path / "configs", tmp_path / "own")
    GlobalHydra.instance().clear()


def test_the_installed_hydra_is_one_that_the_pin_allows():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (pin,) = (item for item in map(Requirement, project["dependencies"]) if item.name == "hydra-core")
    assert version("hydra-core") in pin.specifier


def test_nothing_else_touches_what_is_internal():
    files = [path for path in (REPOSITORY / "lexy").rglob("*.py") if "hydra._internal" in path.read_text()]
    assert [path.name for path in files] == ["hydra_internals.py"]


def test_flags_and_overrides_are_parsed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lexy-train", "-m", "--config-dir", "mine", "a=1,2", "+b=3"])
    arguments = parse_arguments()
    assert arguments.overrides == ["a=1,2", "+b=3"]
    assert arguments.multirun is True
    assert arguments.config_dir == "mine"
    asked = ("help", "cfg", "info", "shell_completion", "hydra_help", "config_name")
    assert not any(getattr(arguments, name) for name in asked)


def test_configs_are_found_in_both_folders_and_first_in_those_of_the_command(hydra):
    for name, folder in (("shared", "configs"), ("mine", "own")):
        config = hydra.compose_config(config_name=name, overrides=[], run_mode=RunMode.RUN)
        assert config["from"] == folder
    assert config.hydra.job.name == "command"
    assert config.hydra.sweeper["_target_"] == BASIC_SWEEPER


def test_a_sweep_is_combined_in_order_with_the_last_axis_fastest():
    assert combine_sweep(["a=1,2", "b=x", "+c=range(0,2)"]) == [
        ["a=1", "b=x", "+c=0"],
        ["a=1", "b=x", "+c=1"],
        ["a=2", "b=x", "+c=0"],
        ["a=2", "b=x", "+c=1"],
    ]
    with pytest.raises(HydraException, match="INTERVAL"):
        combine_sweep(["a=interval(0,1)"])


def test_what_cannot_be_located_raises_and_is_not_logged(caplog):
    assert locate("pathlib.Path") is Path
    with caplog.at_level(logging.DEBUG), pytest.raises(ImportError):
        locate("no.such.thing")
    assert not caplog.records


def test_the_launcher_runs_jobs_with_their_numbers_and_configs(hydra, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []

    def function(config):
        hydra = HydraConfig.get()
        seen.append((hydra.job.num, hydra.mode, hydra.sweep.dir, hydra.verbose, list(hydra.overrides.task)))
        if config.axis == 3:
            raise ValueError("three")
        return config.axis * 10

    overrides = ["axis=1,2,3", "hydra.verbose=[lexy]"]
    with multirun_launcher(hydra, "main", overrides, function) as (launcher, config):
        returned = launcher.launch([["axis=1"], ["axis=2"], ["axis=3"]], initial_job_idx=5)
    folder = config.hydra.sweep.dir
    assert seen == [
        (number, RunMode.MULTIRUN, folder, ["lexy"], [f"axis={axis}"]) for number, axis in ((5, 1), (6, 2), (7, 3))
    ]
    assert [result.return_value for result in returned[:2]] == [10, 20]
    with pytest.raises(ValueError, match="three"):
        _ = returned[2].return_value
    assert config.axis == 0  # a sweep's values are its jobs' alone
    assert [path.name for path in tmp_path.joinpath(folder).parent.iterdir()] == [Path(folder).name]


CALLS = []


class Recorder:
    """A callback of Hydra's."""

    def __getattr__(self, name):
        return lambda **_: CALLS.append(name)


def test_callbacks_of_the_config_are_called_round_the_sweep(hydra, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CALLS.clear()
    overrides = [f"+hydra.callbacks.mine._target_={__name__}.Recorder"]
    with multirun_launcher(hydra, "main", overrides, lambda _: None) as (launcher, _):
        launcher.launch([["axis=1"]], initial_job_idx=0)
    assert CALLS == ["on_multirun_start", "on_job_start", "on_job_end", "on_multirun_end"]
    assert OmegaConf.has_resolver("hydra")
