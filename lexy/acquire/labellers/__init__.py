"""Nuclear stain → instances of the nuclei: one small interface, a module for each implementation."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Labeller(Protocol):
    """Whatever finds nuclei in images of a nuclear stain."""

    def label(self, images: Sequence[NDArray[np.integer]], names: Sequence[str]) -> list[NDArray[np.int32] | str]:
        """Label the nuclei of each image.

        Parameters
        ----------
        images : sequence of ndarray of uint8 or uint16, each (H, W)
            May differ in shape.
        names : sequence of str
            The fields' names, one for each image: `<antibody>/<plate>_<well>_<number>`.

        Returns
        -------
        list of ndarray of int32, each (H, W), or str
            One for each image, in their order: instances numbered from 1, 0 = background (no nuclei: all 0). A text is
            the reason why this one image could not be labelled; the others are not affected by it.

        Raises
        ------
        UserError
            If no image can be labelled at all (no weights, no such device).
        """
        ...

    def settings(self) -> dict[str, Any]:
        """Everything but the images that decides the labels, as plain values with `class` among them.

        Equal settings give equal labels: label images are kept under them.

        Raises
        ------
        UserError
            If what they are read from (weights, a folder) is not there.
        """
        ...


def class_path(labeller: object) -> str:
    """Where the labeller's class is, for its settings."""
    return f"{type(labeller).__module__}.{type(labeller).__qualname__}"
