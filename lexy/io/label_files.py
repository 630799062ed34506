"""Label images on disk: TIFF of 16 bits, deflated, which reads several times faster than PNG."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.files import replacing

MOST = int(np.iinfo(np.uint16).max)


def write_labels(path: Path, labels: NDArray[np.integer]) -> None:
    """Write instances (H, W), whole or not at all.

    Raises
    ------
    ValueError
        If there are more than a label image holds.
    """
    if (most := int(labels.max())) > MOST:
        raise ValueError(f"{most} instances, more than a label image holds ({MOST})")
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, labels.astype(np.uint16), compression="zlib")


def read_labels(path: Path) -> NDArray[np.uint16]:
    """Read what `write_labels` wrote: (H, W)."""
    return np.asarray(tifffile.imread(path))
