"""Small stores of random crops, for tests of whoever writes or reads one."""

from collections import Counter
from pathlib import Path

import numpy as np

from lexy.data.crops import CropResult
from lexy.data.store_writer import StoreWriter


def field_of(name: str, count: int = 3, dtype: type = np.uint8, seed: int = 0) -> tuple[CropResult, str, str, str]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, np.iinfo(dtype).max, (count, 8, 8), endpoint=True).astype(dtype)
    masks = rng.integers(0, 2, (count, 8, 8)).astype(np.uint8)
    rows = [{"nucleus": n + 1, "row": 3.5, "column": 4.5, "area": 30, "contrast": np.nan} for n in range(count)]
    return CropResult(images, masks, rows, Counter()), name, f"500{name}", "U2OS"


def fill(path: Path, fields: int = 6, count: int = 3) -> list[CropResult]:
    added = [field_of(f"f{at}", count, seed=at) for at in range(fields)]
    with StoreWriter(path) as writer:
        for field in added:
            writer.add(*field)
        writer.finish(seed=4, settings={"a": 1}, source="s", counts={"failed": 2})
    return [result for result, *_ in added]
