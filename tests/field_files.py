"""Small fields as files with a manifest, and a labeller that needs no time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lexy.acquire.manifest import ChannelImage, FieldEntry
from lexy.files import sha256


class Bright:
    """Everything brighter than a level is one nucleus; counts its calls."""

    def __init__(self, level: int = 150) -> None:
        self.level, self.seen = level, list[str]()

    def label(self, images: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray | str]:
        self.seen += names
        return [(image > self.level).astype(np.int32) for image in images]

    def settings(self) -> dict[str, Any]:
        return {"class": "Bright", "level": self.level}


def write_fields(folder: Path, count: int = 5, size: int = 64) -> list[FieldEntry]:
    """Fields `5000n/1_A1_n`: a dim background with a bright square, in both channels."""
    rng = np.random.default_rng(0)
    entries = []
    for at in range(count):
        name = f"{50000 + at // 2}/1_A1_{at}"
        image = rng.integers(0, 90, (size, size)).astype(np.uint8)
        image[20:45, 20:45] = 200 + at
        images = {}
        for channel in ("blue", "green"):
            path = folder / f"{name}_{channel}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            images[channel] = ChannelImage(f"{name}_{channel}.png", sha256=sha256(path))
        entries.append(FieldEntry(field=name, images=images, antibody=name[:5], cell_line="U2OS"))
    return entries
