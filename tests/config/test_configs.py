"""Every option of every group, on its own."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from cli_runs import REPOSITORY, TINY, environment, run, run_forked

from lexy.cli import evaluate, prepare, train
from lexy.config.check import check, resolved
from lexy.config.compose import composed, config_folder
from lexy.errors import UserError

CONF = config_folder()
OPTIONS = sorted((str(path.parent.relative_to(CONF)), path.stem) for path in CONF.rglob("*/*.yaml"))
OF_PREPARE = {"prepare", "index", "politeness", "download", "labeller", "crops"}
NO_ARGUMENTS = SimpleNamespace(config_dir=None, config_name=None)


# What an option needs beside it, and where it is chosen if not by the name of its folder.
BESIDE = {
    "start": ["frame_network=b.ckpt"],
    "data/stills": ["data=synthetic"],
    "data/protocol": ["data=synthetic"],
    "experiment": ["pretrained=a.ckpt"],
    "data/layout": ["data=lexy"],
    "data/preparation": ["data=lexy"],
    "direction": ["checkpoint=a.ckpt", "frame_network=b.ckpt"],
    "of trained networks": ["checkpoint=a.ckpt", "frame_network=b.ckpt"],
}
CHOSEN_AT = {"prepare": "data", "prepare/unread": "data", "mask_noise": "mask_noise@start.noise"}
OF_EVALUATE = {"direction", "of trained networks"}


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=["=".join(item) for item in OPTIONS])
def test_an_option_composes_and_fits_its_signatures(group, option):
    choice = f"{CHOSEN_AT.get(group, group)}={option}"
    if (group, option) in {("model", "fusion"), ("model", "trained")}:
        group = "of trained networks"
    command, schema = "train", train.TrainConfig
    if group.split("/")[0] in OF_PREPARE:
        command, schema = "prepare", prepare.PrepareConfig
    elif group in OF_EVALUATE:
        command, schema = "evaluate", evaluate.EvaluateConfig
    if (group, option) == ("launcher", "ray"):
        pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="its launcher is an extra of 420 MB")
    config, _ = composed(command, NO_ARGUMENTS, [*BESIDE.get(group, []), choice])
    check(resolved(config), schema)


def test_a_node_that_may_be_left_out_can_be_null_but_not_a_word():
    for noise in ("null", "loud"):
        config, _ = composed("train", NO_ARGUMENTS, ["data=synthetic", "training=unrolled", f"training.noise={noise}"])
        if noise == "null":
            check(resolved(config), train.TrainConfig)
        else:
            with pytest.raises(UserError, match=r"training\.noise='loud'"):
                check(resolved(config), train.TrainConfig)


def test_an_option_for_another_command_says_so():
    config, _ = composed("train", NO_ARGUMENTS, ["model=fusion"])
    with pytest.raises(UserError, match="may be one for another command"):
        resolved(config)


def test_evaluate_composes():
    config, _ = composed("evaluate", NO_ARGUMENTS, ["checkpoint=a.ckpt", "data=hpa"])
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


@pytest.mark.parametrize("backbone", ["vanilla", "vgg16", "resnet34", "smp", "monai"])
def test_every_backbone_runs_one_batch_with_every_extra(backbone, tmp_path):
    sizes = [item for item in TINY if not item.startswith("backbone")]
    widths = {"vgg16": "bottleneck=32", "resnet34": "bottleneck=64", "monai": "arguments={features: [4,4,4,4,4,4]}"}
    small = widths.get(backbone, "width=4")
    extras = ["trainer.precision=bf16-mixed", "task.channels_last=true", "augmentation.blur=1", "scheduler=one_cycle"]
    done = run_forked(
        tmp_path, "train", f"backbone={backbone}", f"backbone.{small}", *sizes, *extras, "debug=fast_dev_run"
    )
    assert done.returncode == 0, done.stderr


def test_the_demo_experiment_runs(tmp_path):
    done = run_forked(tmp_path, "train", "experiment=demo", *TINY[:4], "debug=fast_dev_run")
    assert done.returncode == 0, done.stderr
    assert "PHANTOM DATA" in done.stdout


def test_overfitting_one_batch_drives_the_loss_down(tmp_path):
    done = run_forked(tmp_path, "train", *TINY, "debug=overfit", "trainer.max_epochs=80", "loss=dice")
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
