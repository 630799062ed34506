"""A user's mistake ends in one message that names the key, before any folder is made."""

import sys

import pytest

from lexy.cli import evaluate, prepare, train

MISTAKES = [
    ("train", ["modl=unet"], ["modl is not a key", "Did you mean model?"]),
    ("train", ["trainer.max_epoch=3"], ["trainer.max_epoch", "Did you mean max_epochs?"]),
    ("train", ["model=unett"], ["model/unett", "unet"]),
    ("train", ["bakbone=vanilla"], ["bakbone", "Did you mean backbone?"]),
    ("train", ["+foo=1"], ["foo is not a setting", "Valid:"]),
    ("train", ["+loss.smoth=2"], ["loss.smoth", "Did you mean smooth?"]),
    ("train", ["trainer.max_epochs=abc"], ["trainer.max_epochs='abc'", "valid integer"]),
    ("train", ["backbone.width='16'"], ["backbone.width='16'", "valid integer"]),
    ("train", ["backbone.width=-3"], ["backbone.width=-3", "greater than 0"]),
    ("train", ["augmentation.flip=2"], ["augmentation.flip=2", "less than or equal to 1"]),
    ("train", ["backbone.normalization=layer"], ["backbone.normalization='layer'", "'none', 'batch' or 'group'"]),
    ("train", ["optimizer.lr=fast"], ["optimizer.lr='fast'"]),
    ("train", ["optimizer.lr=-1"], ["optimizer: Invalid learning rate"]),
    ("train", ["callbacks=null"], ["callbacks"]),
    ("train", ["-m", "loss=dice,,bce"], ["loss=dice,,bce"]),
    ("train", ["-m", "trainer=ddp", "trainer.accelerator=cpu", "seed=0,1"], ["trainer.strategy=ddp with -m"]),
    ("train", ["-m", "hydra.sweeper.max_batch_size=2", "seed=0,1"], ["hydra.sweeper", "on the command line"]),
    ("train", ["hydra.mode=MULTIRUN"], ["hydra.mode=MULTIRUN", "-m"]),
    ("train", ["search=learning"], ["search=", "Give -m too"]),
    ("train", ["resume=maybe"], ["resume='maybe'", "'never' or 'auto'"]),
    ("train", ["seed=-1"], ["seed=-1"]),
    ("train", ["threads=0"], ["threads=0", "greater than or equal to 1"]),
    ("train", ["trainer.precision=fast"], ["trainer.precision='fast'", "'auto'"]),
    ("train", ["backbone=smp", "backbone.encoder=resnet35"], ["encoder='resnet35'", "resnet34"]),
    ("train", ["backbone=resnet34", "backbone.weights=gone.pth"], ["gone.pth", "no such file"]),
    ("train", ["model._target_=os.system"], ["model"]),
    ("train", ["model._target_=no.such.Network"], ["model._target_", "cannot be imported"]),
    ("train", ["data=hpa"], ["outputs/data/hpa", "lexy-prepare"]),
    ("train", ["data.fold=9", "data.fields=5", "data.size=64", "data.crop_size=32"], ["data.fold=9", "5 folds"]),
    ("train", ["seed=${nothing}"], ["seed", "nothing"]),
    ("train", ["-m", "loss=dice,bse"], ["loss/bse", "dice"]),
    ("train", ["-m", "backbone.width=4,many"], ["backbone.width='many'"]),
    ("train", ["--config-dir", "nowhere"], ["nowhere", "no such folder"]),
    ("train", ["start=unet"], ["give frame_network=CHECKPOINT"]),
    ("train", ["pretrained=gone.ckpt"], ["pretrained=gone.ckpt", "no such file"]),
    ("train", ["task.rates={backbone:0}"], ["task.rates", "freezes the whole network"]),
    ("train", ["task.rates={stages:0.1}"], ["begins with 'stages'", "backbone.stages.0.0"]),
    ("train", ["task.rates={backbone:slow}"], ["task.rates", "'slow'", "valid number"]),
    ("evaluate", [], ["checkpoint has no value", "checkpoint=VALUE"]),
    ("evaluate", ["checkpoint=gone.ckpt"], ["gone.ckpt", "no such file"]),
    ("evaluate", ["checkpoint=gone.ckpt", "split=all"], ["split='all'", "'train', 'val' or 'test'"]),
    ("prepare", ["crops.min_area=big"], ["min_area='big'"]),
    ("prepare", ["labeller=cellpos"], ["labeller/cellpos", "classical"]),
    ("prepare", ["index=folder", "paths.fields=nowhere"], ["nowhere"]),
    ("prepare", ["labeller=cellpose", "labeller.model=gone/net"], ["gone/net"]),
]


@pytest.mark.parametrize(
    ("command", "arguments", "expected"), MISTAKES, ids=[" ".join([c, *a]) for c, a, _ in MISTAKES]
)
def test_mistake(command, arguments, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sys, "argv", [f"lexy-{command}", *arguments])
    with pytest.raises(SystemExit) as ended:
        {"train": train, "evaluate": evaluate, "prepare": prepare}[command].main()
    message = capsys.readouterr().err
    assert ended.value.code == 1
    for part in expected:
        assert part in message
    assert message.count("error:") == 1
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_the_traceback_is_there_for_who_asks(tmp_path, monkeypatch):
    from lexy.errors import UserError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["lexy-train", "modl=unet"])
    with pytest.raises(UserError):
        train.main()


def test_a_secret_of_the_environment_is_not_written_down(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_API_KEY", "do-not-tell-1234")
    monkeypatch.setattr(sys, "argv", ["lexy-train", "tags=['${oc.env:MY_API_KEY}']"])
    with pytest.raises(SystemExit):
        train.main()
    printed = "".join(capsys.readouterr())
    assert "tags[0] holds the value of the environment variable MY_API_KEY" in printed
    assert "do-not-tell" not in printed
    assert list(tmp_path.iterdir()) == []
