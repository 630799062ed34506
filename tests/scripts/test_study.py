"""The study's chain, with nothing trained."""

import json
import sys
from itertools import chain
from types import SimpleNamespace

import pandas as pd
import pytest
from cli_runs import REPOSITORY
from hydra.utils import instantiate

from lexy.cli.train import TrainConfig
from lexy.config.check import check, resolved
from lexy.config.compose import composed, sweep_jobs
from lexy.networks.transfer import transfer

FOLDS, CELLS = 3, 6


@pytest.fixture(scope="module")
def scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "scripts")
        import runs
        import study
    return SimpleNamespace(runs=runs, study=study)


@pytest.fixture(scope="module")
def done(scripts, tmp_path_factory):
    """The jobs of the chain by name, each with its config, and the folder of what they left behind."""
    seen, outputs = {}, tmp_path_factory.mktemp("study")

    def trained(overrides, _, count=1):
        overrides, multirun = [item for item in overrides if item != "-m"], "-m" in overrides
        every = sweep_jobs(overrides) if multirun else [list(overrides)]
        assert len(every) == count
        configs = [composed("train", SimpleNamespace(config_dir=None, config_name=None), job)[0] for job in every]
        folders = []
        for fold, config in enumerate(configs):
            check(resolved(config), TrainConfig)
            folders.append(outputs / config.name / str(fold))
            folders[-1].mkdir(parents=True)
            rows = [
                {"run": f"{config.name}{fold}", "data": "lexy", "method": "copied first mask", "frame": frame}
                | {"group": f"C{cell}", "video": f"C{cell}", "hd95": 4.0, "hd95_um": 2.0, "nc_error": 0.1}
                | {"missed": False, "dice": (0.9 if "pretrained" in config.name else 0.8) - frame / 10}
                for cell in range(fold, CELLS, count)
                for frame in (1, 2)
            ]
            for name in ("frames", "baselines"):
                pd.DataFrame(rows).to_parquet(folders[-1] / f"test_{name}.parquet")
        seen[configs[0].name] = configs
        return folders

    arguments = ["--store", "store", "--videos", "videos", "--outputs", str(outputs), "--folds", str(FOLDS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts.study, "trained", trained)
        patch.setattr(sys, "argv", ["study.py", *arguments, "seed=7"])
        scripts.study.main()
    return seen, outputs


def test_the_chain_goes_from_stills_over_sequences_to_videos_twice(done):
    calls, outputs = done
    names = ["unet", "tracknet", "siamnet", "movenet"]
    runs = {name: [f"clips_{name}", f"videos_{name}_scratch", f"videos_{name}_pretrained"] for name in names}
    assert list(calls) == ["stills", *chain.from_iterable(runs.values())]
    for three in runs.values():
        (clips,), scratch, pretrained = (calls[run] for run in three)
        assert clips.pretrained == str(outputs / "stills" / "0" / "best.ckpt")
        assert [config.pretrained for config in scratch] == [None] * FOLDS
        assert [config.pretrained for config in pretrained] == [str(outputs / clips.name / "0" / "best.ckpt")] * FOLDS
        assert [config.data.fold for config in pretrained] == [0, 1, 2]
    assert {config.seed for configs in calls.values() for config in configs} == {7}
    table = pd.read_csv(outputs / "study.csv", index_col="method")
    rows = [f"{name}, {kind}" for name in names for kind in ("scratch", "pretrained")]
    assert table.index.tolist() == ["copied first mask", *rows]
    assert table.loc["unet, scratch", "dice"] == pytest.approx(0.65)
    assert table.loc["unet, scratch", "dice_difference"] == pytest.approx(0.1)  # the last row is better by that
    assert table.loc["movenet, pretrained", "dice_worst_frame"] == pytest.approx(0.7)
    assert table["groups"].tolist() == [CELLS] * 9


def test_each_network_of_the_chain_takes_over_the_weights_of_the_one_before(done):
    calls, _ = done

    def network(name):
        config = calls[name][0]
        return instantiate(config.model, _convert_="all")

    stills = network("stills").state_dict()
    for name in ("unet", "tracknet", "siamnet", "movenet"):
        clips = network(f"clips_{name}")
        how = [moved.how for moved in transfer(clips, stills)]
        assert how.count("loaded") + how.count("widened") == len(stills)
        videos = network(f"videos_{name}_pretrained")
        assert {moved.how for moved in transfer(videos, clips.state_dict())} == {"loaded"}


def test_only_finished_runs_of_one_setting_are_taken(scripts, monkeypatch, tmp_path):
    for name, state in (("a", "done"), ("b", "failed"), ("c", "done")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        (tmp_path / "mine" / name / "status.json").write_text(json.dumps({"state": state}))
    returned = SimpleNamespace(returncode=0)
    monkeypatch.setattr(scripts.runs.subprocess, "run", lambda *_, **__: returned)
    found = scripts.runs.trained(["-m", "name=mine"], tmp_path, count=2)
    assert [folder.name for folder in found] == ["a", "c"]
    with pytest.raises(SystemExit, match="2 finished runs instead of 1"):
        scripts.runs.trained(["name=mine"], tmp_path)
    returned.returncode = 3
    with pytest.raises(SystemExit, match="3"):
        scripts.runs.trained(["name=mine"], tmp_path)
