import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from cli_runs import REPOSITORY, environment

from lexy.cli.train import TrainConfig
from lexy.config.check import check, resolved
from lexy.config.compose import composed
from lexy.report import wandb_run


def test_the_workspace_is_built_without_sending_anything():
    call = [sys.executable, str(REPOSITORY / "scripts" / "wandb_workspace.py"), "team/lexy"]
    done = subprocess.run(call, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    layout = json.loads(done.stdout)
    assert layout["entity"] == "team"
    text = json.dumps(layout)
    for key in ("test/dice/mean", "test/dice/low", "val/dice", "panels/clips", "panels/curves"):
        assert key in text
    assert "log_results" in dir(wandb_run.WandbRun)


def test_an_agent_builds_a_command_that_composes():
    sweep = yaml.safe_load((REPOSITORY / "scripts" / "wandb_sweep.yaml").read_text())
    values = {key: node["values"][0] if "values" in node else node["min"] for key, node in sweep["parameters"].items()}
    words = []
    for word in sweep["command"]:
        words += [f"{key}={value}" for key, value in values.items()] if word == "${args_no_hyphens}" else [word]
    assert words[:2] == ["${env}", "lexy-train"]
    config, choices = composed("train", SimpleNamespace(config_dir=None, config_name=None), words[2:])
    check(resolved(config), TrainConfig)
    assert config.optimizer.lr == pytest.approx(1e-4)
    assert choices["loss"] == "dice"
    assert config.logger.wandb.offline is False
    assert sweep["metric"]["name"] == "val/dice"
