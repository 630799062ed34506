"""A field of view: the nuclear stain and the protein channel of one place on the slide."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Field:
    """One field of view.

    Attributes
    ----------
    name : str
        Unique within its source; splits go by it.
    nuclear, protein : ndarray of uint8 or uint16, shape (H, W)
        Nuclear stain and protein channel, raw grey values.
    labels : ndarray of int32, shape (H, W), or None
        Instances of the nuclei (0 = background), where they are known.
    antibody, cell_line : str
        Where known, else empty.
    """

    name: str
    nuclear: NDArray[np.integer[Any]]
    protein: NDArray[np.integer[Any]]
    labels: NDArray[np.int32] | None = None
    antibody: str = ""
    cell_line: str = ""
