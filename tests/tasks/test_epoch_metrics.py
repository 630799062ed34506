import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lexy.evaluation.metrics import METRICS
from lexy.evaluation.summary import group_means
from lexy.evaluation.table import frame_rows
from lexy.tasks.epoch_metrics import EpochMetrics

NAMES = [metric.name for metric in METRICS if metric.validated]


def batches():
    generator = torch.Generator().manual_seed(0)
    found = []
    for at in range(6):
        masks = (torch.rand(2, 3, 1, 12, 12, generator=generator) > 0.6).float()
        found.append(
            {
                "frames": torch.rand(2, 3, 1, 12, 12, generator=generator),
                "masks": masks,
                "labelled": torch.rand(2, 3, generator=generator) > 0.3,
                "video": [f"Ünamed {at}\n", f"v{at}"],
                "group": [f"g{at % 3}", "g1"],
                "frame": torch.arange(3).repeat(2, 1),
            }
        )
    found[2]["masks"][0] = 0  # no sensitivity
    found[3]["labelled"][:] = False
    return found


def predicted(clip):
    return clip["frames"] > 0.5


def measured(clips):
    metric = EpochMetrics()
    for clip in clips:
        metric.update(predicted(clip), clip)
    return metric.compute()


def test_means_are_those_of_the_per_frame_table() -> None:
    table = pd.concat(frame_rows(predicted(clip), clip) for clip in batches())
    expected = group_means(table, NAMES).mean()
    found = measured(batches())
    assert list(found) == NAMES
    assert found == {name: expected[name] for name in NAMES}


def test_an_epoch_starts_anew_and_leaves_nothing_in_the_checkpoint() -> None:
    metric, (first, *_) = EpochMetrics(), batches()
    metric.update(predicted(first), first)
    once = metric.compute()
    metric.reset()
    metric.update(predicted(first), first)
    assert metric.compute() == once
    assert metric.state_dict() == {}


def test_without_a_labelled_frame_there_is_no_mean() -> None:
    assert np.isnan(list(measured([batches()[3]]).values())).all()


def one_of_two(rank: int, folder: Path) -> None:
    """Every second batch, of which the second process has one without a labelled frame."""
    place = f"file://{folder / 'meet'}"
    torch.distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
    (folder / f"{rank}.json").write_text(json.dumps(measured(batches()[rank::2])))
    torch.distributed.destroy_process_group()


def test_two_processes_have_the_digits_of_one(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(one_of_two, (tmp_path,), nprocs=2, start_method="fork")
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)] == [measured(batches())] * 2
