from types import SimpleNamespace

import pytest
import torch

from lexy.evaluation.baselines import Otsu
from lexy.evaluation.evaluate import evaluate_all
from lexy.runs.evaluation import baselines
from lexy.tasks.inference import Forward, Predictor
from lexy.tasks.starts import TrueMask

COPIES = ["copied first mask", "moved first mask"]
THRESHOLDS = ["Otsu threshold", "Li threshold"]


class Carries(Otsu):
    """Something that starts from a mask."""

    needs_mask = True


def videos(*first_labelled):
    without = [f"cell {i}" for i, known in enumerate(first_labelled) if not known]
    return SimpleNamespace(sequences=True, without_first_mask=lambda: without)


def predictor(network, *, given=True):
    start = TrueMask()
    start.given = given
    return Predictor(network, start, Forward())


def test_without_a_first_mask_there_are_no_copies_and_the_user_is_told(capsys):
    found = baselines(predictor(Otsu()), videos(True, False, False), None)
    assert list(found) == THRESHOLDS
    assert "2 videos (cell 1, ...) have no mask of frame 0" in capsys.readouterr().out
    frames = torch.rand(1, 2, 1, 16, 16)
    clip = {
        "frames": frames, "masks": (frames > 0.5).float(), "labelled": torch.tensor([[False, True]]),
        "video": ["cell 1"], "group": ["cell 1"], "frame": torch.arange(2)[None],
    }  # fmt: skip
    assert len(evaluate_all(found, [clip])["Li threshold"]) == 1


@pytest.mark.parametrize(
    ("network", "given", "labelled"),
    [(Otsu(), True, (True, True)), (Otsu(), False, (True, False)), (Carries(), True, (True, False))],
)
def test_otherwise_there_are(capsys, network, given, labelled):
    """With a predicted start no truth is needed; a network that needs the truth itself says so when it starts."""
    assert list(baselines(predictor(network, given=given), videos(*labelled), None)) == [*COPIES, *THRESHOLDS]
    assert capsys.readouterr().out == ""
