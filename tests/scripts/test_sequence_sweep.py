import importlib.util

import pandas as pd
import pytest
import torch
from cli_runs import REPOSITORY
from torch import nn

from lexy.networks.tracknet import TrackNet
from lexy.networks.unet import UNet


@pytest.fixture(scope="module")
def sweep():
    spec = importlib.util.spec_from_file_location("sequence_sweep", REPOSITORY / "scripts" / "sequence_sweep.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Frame(UNet):
    """A million parameters."""

    def __init__(self):
        nn.Module.__init__(self)
        self.weights = nn.Parameter(torch.zeros(1_000_000))


class Carries(TrackNet):
    """Two million."""

    def __init__(self):
        nn.Module.__init__(self)
        self.weights = nn.Parameter(torch.zeros(2_000_000))


@pytest.fixture
def outputs(sweep, tmp_path, monkeypatch):
    """Two trained rows: 6 and 8 minutes of the U-Net's seeds, 10 minutes of Track-Net."""
    networks = {}
    for row, seed, minutes in ((sweep.FRAME, 0, 6), (sweep.FRAME, 1, 8), (sweep.TRACK, 0, 10)):
        (run,) = (run for run in sweep.runs(tmp_path) if (run.row, run.seed) == (row, seed))
        folder = run.folder / "sequences" / "only"
        folder.mkdir(parents=True)
        (folder / "status.json").write_text('{"state": "done"}')
        (folder / "best.ckpt").write_text(row)
        pd.DataFrame({"train/seconds": [30.0 * minutes] * 2}).to_csv(folder / "metrics.csv")
        networks[folder / "best.ckpt"] = Frame() if row == sweep.FRAME else Carries()
    monkeypatch.setattr(sweep.lexy, "load", networks.get)
    return tmp_path


def test_a_row_made_of_others_costs_what_they_cost(sweep, outputs, capsys):
    every = sweep.methods(outputs)
    table = sweep.costs(every)
    fused, both = f"fusion of U-Net and {sweep.TRACK}", f"{sweep.TRACK}, forward + backward"
    assert table.loc[[sweep.FRAME, sweep.TRACK], "minutes"].tolist() == [7, 10]
    assert table.loc[[fused, both], "minutes"].tolist() == [16, 16]  # of the seeds that they are made of
    assert table.loc[[sweep.FRAME, sweep.TRACK, fused, both], "parameters"].tolist() == [1, 2, 3, 3]
    assert table.loc["Otsu threshold"].isna().all()
    assert f"not trained yet: {sweep.BEST}, seed 0" in capsys.readouterr().out
