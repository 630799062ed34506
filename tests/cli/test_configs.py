"""Every option of every group, on its own."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from cli_runs import REPOSITORY, TINY, environment, run

from lexy.cli import evaluate, prepare, train
from lexy.cli.app import _composed, config_folder
from lexy.cli.check import check, resolved

CONF = config_folder()
OPTIONS = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml"))
OF_PREPARE = {"prepare", "index", "politeness", "download", "labeller", "crops"}
NO_ARGUMENTS = SimpleNamespace(config_dir=None, config_name=None)


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids="-".join)
def test_an_option_composes_and_fits_its_signatures(group, option):
    command, schema = ("prepare", prepare.PrepareConfig) if group in OF_PREPARE else ("train", train.TrainConfig)
    choice = f"data={option}" if group == "prepare" else f"{group}={option}"
    config, _ = _composed(command, NO_ARGUMENTS, [choice])
    check(resolved(config), schema)


def test_evaluate_composes():
    config, _ = _composed("evaluate", NO_ARGUMENTS, ["checkpoint=a.ckpt", "data=hpa"])
    check(resolved(config), evaluate.EvaluateConfig)


@pytest.mark.parametrize("command", ["train", "evaluate", "prepare"])
def test_help_explains_every_key_without_importing_torch(command, tmp_path):
    code = (
        "import sys; sys.argv = ['lexy', '--help']\n"
        f"from lexy.cli.{command} import main\n"
        "main()\n"
        "assert not {'torch', 'pandas', 'pytorch_lightning'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    keys = [line for line in done.stdout.split("Keys")[1].split("More")[0].splitlines() if line.startswith("  ")]
    assert len(keys) > 10
    assert not [line for line in keys if len(line.split(maxsplit=1)) < 2], "keys without a line of explanation"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group", ["model", "backbone", "data", "loss"])
def test_help_lists_every_option_of_a_group(group, tmp_path):
    shown = run(tmp_path, "train", "--help").stdout
    line = next(line for line in shown.splitlines() if line.strip().startswith(f"{group}="))
    for path in (CONF / group).glob("*.yaml"):
        assert path.stem in line


def test_tab_completion_knows_groups_and_options(tmp_path):
    def completed(text: str) -> str:
        done = run(
            tmp_path, "train", "-sc", "query=bash", COMP_LINE=f"lexy-train {text}", COMP_POINT=str(11 + len(text))
        )
        return done.stdout

    assert "backbone=resnet34" in completed("backbone=res")
    assert "trainer.max_epochs=" in completed("trainer.max_e")


@pytest.mark.parametrize("backbone", ["vanilla", "vgg16", "resnet34", "smp"])
def test_every_backbone_runs_one_batch_with_every_extra(backbone, tmp_path):
    sizes = [item for item in TINY if not item.startswith("backbone")]
    small = {"vanilla": "width=4", "vgg16": "bottleneck=32", "resnet34": "bottleneck=64", "smp": "width=4"}[backbone]
    extras = ["trainer.precision=bf16-mixed", "task.channels_last=true", "augmentation.blur=1", "scheduler=one_cycle"]
    done = run(tmp_path, "train", f"backbone={backbone}", f"backbone.{small}", *sizes, *extras, "debug=fast_dev_run")
    assert done.returncode == 0, done.stderr


def test_the_demo_experiment_runs(tmp_path):
    done = run(tmp_path, "train", "experiment=demo", *TINY[:4], "debug=fast_dev_run")
    assert done.returncode == 0, done.stderr
    assert "PHANTOM DATA" in done.stdout


def test_overfitting_one_batch_drives_the_loss_down(tmp_path):
    done = run(tmp_path, "train", *TINY, "debug=overfit", "trainer.max_epochs=80", "loss=dice")
    assert done.returncode == 0, done.stderr
    (log,) = tmp_path.glob("outputs/runs/*/metrics.csv")
    losses = pd.read_csv(log)["train/loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]


def test_the_wheel_holds_the_configs_and_runs_from_anywhere(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(REPOSITORY)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    work = tmp_path / "elsewhere"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "lexy.cli.train", "--help"],
        capture_output=True,
        text=True,
        cwd=work,
        env=environment(PYTHONPATH=str(tmp_path / "site")),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "backbone=vanilla" in done.stdout
    assert (tmp_path / "site" / "lexy" / "conf" / "train.yaml").is_file()
