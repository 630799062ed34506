"""Segment nuclei with Cellpose: 3.x (small networks, one for nuclei) or 4.x (Cellpose-SAM), whichever is installed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential
from skimage.transform import resize

from lexy.acquire.labellers import class_path
from lexy.acquire.labellers.weights import (
    check_path,
    find_size_weights,
    find_weights,
    first_line,
    read_keys,
    read_size_weights,
)
from lexy.errors import UserError
from lexy.files import sha256


@dataclass(frozen=True)
class Cellpose:
    """Cellpose's network and its conversion of flows to nuclei. Cellpose and its weights are not part of LEXY.

    Parameters
    ----------
    model : str or None
        Name of a published model (its weights are downloaded when first needed) or path of a weights file; None:
        `nuclei` with Cellpose 3, the standard model with Cellpose 4.
    diameter : float or None
        Diameter of the nuclei in pixels of the images after `size`, larger than 0. None: Cellpose 3 estimates it for
        each image, which needs a second file of weights; Cellpose 4 does not need it.
    flow_threshold : float
        Nuclei whose flows differ by more than this from the flows of their shape are dropped (0 or more; 0: none).
    cellprob_threshold : float
        Lowest value of a pixel that belongs to a nucleus; lower: more and larger nuclei.
    batch_size : int
        Tiles in a batch of the network. Has no influence on the nuclei.
    device : str
        `cpu`, `cuda`, `cuda:1`, `mps`.
    size : int or None
        Side in pixels of the square that images are first resized to, without smoothing; the labels are resized back by
        nearest neighbour. None: no resizing.

    Raises
    ------
    UserError
        If Cellpose is not installed or the weights file does not exist.
    """

    model: str | None = None
    diameter: Annotated[float, Gt(0)] | None = None
    flow_threshold: Annotated[float, Ge(0)] = 0.4
    cellprob_threshold: float = 0.0
    batch_size: Annotated[int, Gt(0)] = 8
    device: str = "cpu"
    size: Annotated[int, Gt(0)] | None = None

    def __post_init__(self) -> None:
        if find_spec("cellpose") is None:
            raise UserError(
                'Cellpose is not installed. Add it: pip install "lexy[cellpose3]" (has the nuclei model) or, in an '
                'environment without it, pip install "lexy[cellpose4]" (Cellpose-SAM, wants a GPU).'
            )
        if self.model is not None:
            check_path(self.model)

    def label(self, images: Sequence[NDArray[np.integer]], names: Sequence[str]) -> list[NDArray[np.int32] | str]:
        """Label the nuclei of each image, as `Labeller.label` describes."""
        import torch

        resized = [image if self.size is None else _resize_image(image, self.size) for image in images]
        try:
            masks, *_ = self._network.eval(
                resized,
                batch_size=self.batch_size,
                diameter=self._diameters(resized),
                flow_threshold=self.flow_threshold,
                cellprob_threshold=self.cellprob_threshold,
            )
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"labeller.device={self.device}: not enough memory. Give a smaller labeller.batch_size (it is "
                f"{self.batch_size}) or labeller.size."
            ) from error
        return [_resize_labels(mask, image.shape) for mask, image in zip(masks, images, strict=True)]

    def settings(self) -> dict[str, Any]:
        """Return what decides the labels; weights by content and by file name, which Cellpose also reads."""
        values = {name: value for name, value in asdict(self).items() if name not in ("batch_size", "device")}
        size_weights = self._size_weights
        return {
            **values,
            "class": class_path(self),
            "cellpose": version("cellpose"),
            "model": self._weights.name,
            "weights": sha256(self._weights),
            "size_weights": size_weights and sha256(size_weights),
        }

    @cached_property
    def _weights(self) -> Path:
        return find_weights(self.model, _models(), version("cellpose"))

    @cached_property
    def _size_weights(self) -> Path | None:
        if self.diameter is not None or not hasattr(_models(), "SizeModel"):
            return None
        return find_size_weights(self._weights, _models(), version("cellpose"))

    @cached_property
    def _network(self) -> Any:
        device = _device(self.device)
        keys = read_keys(self._weights)
        try:
            network = _models().CellposeModel(pretrained_model=str(self._weights), device=device)
        except Exception as error:  # weights of another version: assertions, missing keys, shapes
            raise self._wrong_version(first_line(error)) from error
        # Cellpose silently leaves random what the file does not have (the oldest files have no diameters).
        missing = [key for key in network.net.state_dict() if not key.startswith("diam_") and key not in keys]
        if missing:
            raise self._wrong_version(f"no {missing[0]}")
        return network

    def _wrong_version(self, reason: str) -> UserError:
        return UserError(
            f"{self._weights}: not a network of Cellpose {version('cellpose')} ({reason}). "
            "Name weights of this version, or install the other one."
        )

    @cached_property
    def _size_model(self) -> Any:
        if self._size_weights is None:
            return None
        values = read_size_weights(self._size_weights)
        model = _models().SizeModel(self._network)  # given the name of the file, it would unpickle it
        model.params, model.diam_mean = values, float(values["diam_mean"])
        return model

    def _diameters(self, images: list[NDArray[Any]]) -> list[float] | float | None:
        if self._size_model is None:
            return self.diameter
        diameters: list[float] = self._size_model.eval(images, batch_size=self.batch_size)[0]
        return diameters


def _models() -> ModuleType:
    """Import Cellpose's models; nothing else in LEXY imports Cellpose."""

    return import_module("cellpose.models")


def _device(name: str) -> Any:
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"labeller.device={name}: no such device here ({first_line(error)}). Give cpu, cuda, mps."
        ) from error
    return device


def _resize_image(image: NDArray[np.integer], size: int) -> NDArray[np.float32]:
    return resize(image.astype(np.float32), (size, size), anti_aliasing=False, preserve_range=True)


def _resize_labels(mask: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Resize labels by nearest neighbour and renumber them, because a nucleus may vanish where they shrink."""
    rows, columns = ((np.arange(new) + 0.5) * old / new for new, old in zip(shape, mask.shape, strict=True))
    labels = mask[np.ix_(rows.astype(int), columns.astype(int))]
    return relabel_sequential(labels.astype(np.int64))[0].astype(np.int32)
