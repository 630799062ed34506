"""Label images of single fields: TIFF of 16 bits, deflated, which reads several times faster than PNG."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lexy.errors import UserError
from lexy.files import replacing
from lexy.io.frames import open_single

MOST = int(np.iinfo(np.uint16).max)


def write_labels(path: Path, labels: NDArray[np.integer[Any]]) -> None:
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


def read_labels(path: Path) -> NDArray[np.integer[Any]]:
    """Read the labels (H, W) of a file with one plane, as they are.

    Raises
    ------
    UserError
        If it cannot be read, has several planes or colours, or holds other values than integers of up to 32 bits.
    """
    with closing(open_single(path)) as file:
        labels = file.frame(0)
    if labels.dtype.kind not in "iu" or labels.dtype.itemsize > 4:
        raise UserError(f"{path}: not 8-, 16- or 32-bit integers ({labels.dtype}), so no labels")
    return labels
