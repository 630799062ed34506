"""The list of metrics: how each is computed, called, printed and compared.

Everything that tells metrics apart (per-frame table, summaries, comparisons, console, pages, Markdown, W&B, validation)
reads `METRICS`. A new metric is one more entry. A float column of a per-frame table that is neither listed here nor one
of `DESCRIPTIONS` is taken for a metric of its own name, so that tables with columns of a user's own are shown whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_float_dtype

if TYPE_CHECKING:  # torch is loaded where frames are measured, not where tables are read
    from torch import Tensor

    from lexy.evaluation.table import Frames

# Float columns that describe a frame and are no metric of it.
DESCRIPTIONS = {"frame", "seed", "fold", "contrast", "tp", "fp", "fn", "tn", "nc_true", "nc_predicted"}
DESCRIPTIONS |= {"hausdorff_published"}  # averaged in the study's own way only: `published_summary`


@dataclass(frozen=True)
class Metric:
    """A number that says how good a segmentation is.

    Attributes
    ----------
    name : str
        Of its column in the per-frame table and its row in summaries.
    heading : str
        In pages and documents, without the unit.
    unit : str
        '' for a number without one.
    decimals : int
        In pages and documents.
    larger_is_better : bool
        Also says which of its values is the worst: the smallest, or the largest.
    may_be_undefined : bool
        Whether a frame may have no value (NaN). A gap in any other metric is an error.
    compute : callable, optional
        From `Frames` to its values, (N,). None: another part of the evaluation gives the column.
    validated : bool
        Whether it is also computed after each epoch, as `val/NAME`; for those that cost little.
    of_sequences : bool
        Whether only videos of several frames have it; `sequence_summary` gives it then.
    compared : bool
        Whether methods are compared by it: comparison, console, paired differences.
    markdown : tuple of str
        In which tables for documents it stands, if it is compared: 'means', 'differences'.
    """

    name: str
    heading: str
    unit: str = ""
    decimals: int = 3
    larger_is_better: bool = True
    may_be_undefined: bool = False
    compute: Callable[[Frames], Tensor | NDArray[Any]] | None = None
    validated: bool = False
    of_sequences: bool = False
    compared: bool = True
    markdown: tuple[Literal["means", "differences"], ...] = ("means", "differences")

    @property
    def title(self) -> str:
        """Heading and unit."""
        return f"{self.heading}, {self.unit}" if self.unit else self.heading

    def text(self, value: float, sign: Literal["", "+"] = "") -> str:
        """Return a value with the metric's decimals, with `sign='+'` also the sign of positive ones."""
        return f"{value:{sign}.{self.decimals}f}"


def _distance(name: str, heading: str, *, compared: bool = False) -> tuple[Metric, Metric]:
    """Return a distance between outlines in pixels, and in µm where the pixel size is known."""
    kind: dict[str, Any] = {"decimals": 2, "larger_is_better": False, "compared": compared}
    return (
        Metric(name, heading, "px", compute=lambda frames: frames.surface[name], **kind),
        Metric(
            f"{name}_um",
            heading,
            "µm",
            compute=lambda frames: frames.surface[name] * frames.pixel_size,
            may_be_undefined=True,
            **kind,
        ),
    )


# In the order of the tables.
METRICS: tuple[Metric, ...] = (
    Metric("dice_one_step", "one-step Dice", of_sequences=True, markdown=("means",)),
    Metric("dice", "Dice", compute=lambda frames: frames.overlap["dice"], validated=True),
    Metric("dice_worst_frame", "worst frame", of_sequences=True),
    Metric("dice_drop", "one-step minus free-running", larger_is_better=False, of_sequences=True, markdown=()),
    Metric("dice_first_frame", "Dice, first frame", of_sequences=True, compared=False),
    Metric("dice_last_frame", "Dice, last frame", of_sequences=True, compared=False),
    Metric("ever_below_0.7", "videos ever below 0.7", larger_is_better=False, of_sequences=True, compared=False),
    Metric("iou", "IoU", compute=lambda frames: frames.overlap["iou"], validated=True, compared=False),
    Metric(
        "sensitivity",
        "sensitivity",
        compute=lambda frames: frames.overlap["sensitivity"],
        may_be_undefined=True,
        validated=True,
        compared=False,
    ),
    Metric(
        "specificity",
        "specificity",
        compute=lambda frames: frames.overlap["specificity"],
        may_be_undefined=True,
        validated=True,
        compared=False,
    ),
    *_distance("hausdorff", "Hausdorff"),
    *_distance("hd95", "HD95", compared=True),
    *_distance("mean_surface_distance", "surface distance"),
    Metric("surface_dice", "surface Dice", compute=lambda frames: frames.surface["surface_dice"], compared=False),
    Metric(
        "nc_error",
        "N/C error",
        compute=lambda frames: (frames.nc_predicted - frames.nc_true).abs(),
        larger_is_better=False,
        may_be_undefined=True,
    ),
)


def metric(name: str) -> Metric:
    """Return the metric of this name; where the list has none, one of that heading that may be undefined."""
    for each in METRICS:
        if each.name == name:
            return each
    return Metric(name, name.replace("_", " "), may_be_undefined=True)


def in_order(names: Iterable[str]) -> list[Metric]:
    """Return the metrics of these names in the order of the list, those that it does not have at the end."""
    wanted = dict.fromkeys(names)
    known = [each for each in METRICS if each.name in wanted]
    return [*known, *(metric(name) for name in wanted if name not in {each.name for each in known})]


def table_metrics(table: pd.DataFrame) -> list[Metric]:
    """Return the metrics that are columns of a per-frame table, in the order of the list."""
    known = {each.name for each in METRICS}
    floats = {name for name in table if is_float_dtype(table[name])} - DESCRIPTIONS
    return in_order(str(name) for name in table if name in known or name in floats)


def frame_metrics(table: pd.DataFrame) -> list[str]:
    """Return the names of those that stills have as well."""
    return [each.name for each in table_metrics(table) if not each.of_sequences]
