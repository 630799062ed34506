"""Runs that start from another run's weights."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from cli_runs import TINY

from lexy.checkpoint import open_trained, read, trained_on, weights
from lexy.cli import train
from lexy.config.compose import composed
from lexy.errors import UserError
from lexy.runs.evaluation import check_not_trained_on
from lexy.runs.pretrained import load_pretrained

NETWORK = ["backbone.width=4", "backbone.depth=2", "backbone.normalization=batch", "trainer.max_epochs=1"]
STILLS = [*TINY, *NETWORK, "data.fields=10", "name=stills"]
CLIPS = ["data=synthetic", "data.stills.fields=10", "data.stills.size=64", "data.stills.crop_size=32", "name=clips"]
CLIPS += [*NETWORK, "data.protocol.frames=4", "data.protocol.interval=200", "data.clips_per_epoch=8", "model=tracknet"]
CLIPS += ["trainer.enable_progress_bar=false", "start=truth", "task.rates={backbone.stages:0}", "resume=auto"]


def only(folder):
    (found,) = folder.iterdir()
    return found


def lexy_train(work, *arguments):
    """The command in this process, which has torch already: its exit status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(work)
        patch.setattr(sys, "argv", ["lexy-train", *arguments])
        with pytest.raises(SystemExit) as ended:
            train.main()
    return ended.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Working folder, a U-Net of stills, the arguments of a Track-Net that starts from it, its folder and report."""
    work = tmp_path_factory.mktemp("pretrained")
    status, _, mistakes = lexy_train(work, *STILLS)
    assert status == 0, mistakes
    unet = only(work / "outputs" / "stills") / "best.ckpt"
    arguments = [*CLIPS, f"pretrained={unet}", f"frame_network={unet}"]
    status, printed, mistakes = lexy_train(work, *arguments)
    assert status == 0, mistakes
    return work, unet, arguments, only(work / "outputs" / "clips"), printed


def test_what_became_of_every_tensor_is_told(chain):
    _, unet, _, folder, printed = chain
    table = pd.read_csv(folder / "pretrained.csv", keep_default_na=False).set_index("tensor")
    assert table.index.tolist() == list(weights(read(folder / "best.ckpt")))
    assert table.loc["backbone.stages.0.0.weight"].tolist() == ["widened", "4 × 1 × 3 × 3", "4 × 2 × 3 × 3"]
    assert table["how"].value_counts().to_dict() == {"loaded": len(table) - 1, "widened": 1}
    assert f"pretrained={unet}: {len(table)} tensors: 1 widened, {len(table) - 1} loaded" in printed
    log = (folder / "run.log").read_text()
    assert all(name in log for name in table.index)


def test_what_is_frozen_still_has_the_weights_and_statistics_that_it_came_with(chain):
    _, unet, _, folder, _ = chain
    before, after = weights(read(unet)), weights(read(folder / "last.ckpt"))
    frozen = [name for name in before if name.startswith("backbone.stages.")]
    frozen.remove("backbone.stages.0.0.weight")
    assert any(name.endswith("running_var") for name in frozen)
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert torch.count_nonzero(after["backbone.stages.0.0.weight"][:, 1]) == 0
    assert not torch.equal(before["backbone.head.weight"], after["backbone.head.weight"])


def test_the_checkpoint_knows_what_came_before_and_carries_its_start(chain):
    _, unet, _, folder, _ = chain
    trained = open_trained(folder / "best.ckpt")
    assert torch.equal(trained.frame_network.backbone.head.weight, weights(read(unet))["backbone.head.weight"])
    assert trained.crop_size == (32, 32)
    assert 4 < trained.nucleus_diameter < 32
    assert trained.pixel_size is None
    (stills,) = trained_on(unet)
    assert trained_on(folder / "best.ckpt")[1:] == [stills, stills]  # as a start of the weights, and of the clips


class Other:
    """Data whose test cells only the first checkpoint of a chain has seen."""

    def __init__(self, groups, contents=()):
        self.test, self.frames = set(groups), set(contents)

    def groups(self, split):
        return self.test

    def contents(self, split):
        return self.frames


def test_nobody_is_tested_on_what_came_before(chain, tmp_path):
    _, unet, _, _, _ = chain
    checkpoint = torch.load(unet, weights_only=True)
    checkpoint["lexy"]["data"] = {"name": "lexy", "fold": 1, "groups": ["C01"], "before": trained_on(unet)}
    checkpoint["lexy"]["data"] |= {"contents": ["0123abcd"]}
    torch.save(checkpoint, tmp_path / "later.ckpt")
    check_not_trained_on([str(tmp_path / "later.ckpt")], Other(["C02"], ["other"]))
    with pytest.raises(UserError, match=r"0123abcd, .*: no test"):
        check_not_trained_on([str(tmp_path / "later.ckpt")], Other(["another name"], ["0123abcd"]))
    for cell in ("C01", trained_on(unet)[0]["groups"][0]):
        with pytest.raises(UserError, match=rf"{cell}, .*later\.ckpt, or of what it started from: no test"):
            check_not_trained_on([str(tmp_path / "later.ckpt")], Other([cell]))


def test_a_start_that_saw_the_test_fields_or_fits_nothing_is_refused(chain, tmp_path):
    unet = chain[1]
    for change, message in (("data.fold=1", "no test"), ("backbone.width=6", "Give the backbone that it was trained")):
        status, _, mistake = lexy_train(tmp_path, *STILLS, f"pretrained={unet}", change)
        assert status == 1
        assert message in mistake
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_has_the_weights_of_its_last_checkpoint(chain):
    work, unet, arguments, folder, _ = chain
    moved = unet.with_name("moved.ckpt")  # the same weights elsewhere are the same run
    moved.write_bytes(unet.read_bytes())
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    for name in ("best.ckpt", "pretrained.csv"):
        (folder / name).unlink()
    done, printed, mistakes = lexy_train(work, *(item.replace(str(unet), str(moved)) for item in arguments))
    assert done == 0, mistakes
    assert only(work / "outputs" / "clips") == folder
    assert "pretrained=" not in printed
    assert not (folder / "pretrained.csv").exists()
    best, last = (weights(read(folder / f"{name}.ckpt")) for name in ("best", "last"))
    assert all(torch.equal(best[name], last[name]) for name in last)


def test_the_published_experiment_does_not_start_from_scratch_unasked():
    given = SimpleNamespace(config_dir=None, config_name=None)
    config, _ = composed("train", given, ["experiment=lexy_pretrained"])
    with pytest.raises(UserError, match=r"Give a checkpoint of lexy-train: pretrained=FOLDER/best\.ckpt"):
        load_pretrained(None, config.pretrained)
