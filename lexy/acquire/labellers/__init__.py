"""Segment nuclei in the nuclear stain: one interface, and a module for each implementation."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Labeller(Protocol):
    """Interface of a method that finds nuclei in images of a nuclear stain."""

    def label(self, images: Sequence[NDArray[np.integer]], names: Sequence[str]) -> list[NDArray[np.int32] | str]:
        """Label the nuclei of each image.

        Parameters
        ----------
        images : sequence of ndarray of uint8 or uint16, each (H, W)
            May differ in shape.
        names : sequence of str
            Names of the fields, one for each image: `<antibody>/<plate>_<well>_<number>`.

        Returns
        -------
        list of ndarray of int32, each (H, W), or str
            One for each image, in their order: instances numbered from 1, 0 = background (no nuclei: all 0). A text is
            the reason why this image could not be labelled; it does not affect the others.

        Raises
        ------
        UserError
            If no image can be labelled (no weights, no such device).
        """
        ...

    def settings(self) -> dict[str, Any]:
        """Return everything but the images that decides the labels, as plain values; `class` is one of them.

        Equal settings have to give equal labels, because label images are cached by them.

        Raises
        ------
        UserError
            If the weights or the folder that they depend on do not exist.
        """
        ...


def class_path(labeller: object) -> str:
    """Return module and name of the labeller's class, for its settings."""
    return f"{type(labeller).__module__}.{type(labeller).__qualname__}"
