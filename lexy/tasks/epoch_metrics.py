"""The metrics of a validation, over all processes of a training."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
import torchmetrics
from torch import Tensor

from lexy.evaluation import metrics
from lexy.evaluation.summary import group_means
from lexy.evaluation.table import Frames


class EpochMetrics(torchmetrics.Metric):
    """Means over groups of the metrics that are `validated`, as in every other table.

    The state is the rows of a per-frame table: `values`, (N, K) float64; `labels`, a line of JSON (video, group, frame)
    for each row, as bytes, since torchmetrics gathers tensors alone.
    """

    full_state_update = False
    values: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("values", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, clip: Mapping[str, Any]) -> None:
        """Add the labelled frames of a batch of clips.

        Parameters
        ----------
        predicted : Tensor
            (B, T, 1, H, W) bool.
        clip : Mapping
            As `lexy.evaluation.table.frame_rows` takes it.
        """
        frames = Frames.of(predicted, clip)
        device = frames.predicted.device
        columns = [torch.as_tensor(each.compute(frames)) for each in metrics.METRICS if each.validated and each.compute]
        self.values.append(torch.stack([column.to(device, torch.float64) for column in columns], dim=1))
        rows = zip(*(frames.names[key] for key in ("video", "group")), frames.names["frame"].tolist(), strict=True)
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        self.labels.append(torch.tensor(list(lines.encode()), dtype=torch.uint8, device=device))

    def compute(self) -> dict[str, float]:
        """Return the mean over groups of each metric, by name; NaN without a labelled frame."""
        values, labels = (torchmetrics.utilities.dim_zero_cat(state) for state in (self.values, self.labels))
        rows = [json.loads(line) for line in bytes(labels.tolist()).decode().splitlines()]
        names = [each.name for each in metrics.METRICS if each.validated and each.compute]
        table = pd.DataFrame(values.cpu().numpy(), columns=names)
        table[["video", "group", "frame"]] = pd.DataFrame(rows, columns=["video", "group", "frame"])
        means = group_means(table, names).mean()
        return {name: float(means[name]) for name in names}
