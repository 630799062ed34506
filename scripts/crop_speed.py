"""Measure cropping of large fields, with a plain loop and with LEXY: seconds and peak memory with workers, as JSON.

    python scripts/crop_speed.py FOLDER --fields 200 --how ours

`benchmark.py` runs it, each measurement in a process of its own. FOLDER holds the fields; where it is missing, eight
phantom fields are drawn first, which are then read again and again under other names.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.transform import resize

from lexy.acquire.fields import COMPONENT, read_channel
from lexy.acquire.process_pool import map_in_processes
from lexy.data.crop_arrays import CropArrays
from lexy.data.crops import CropResult, CropRules, crop_field
from lexy.data.phantom import DIAMETER, phantom_field

DISTINCT, SIDE, WORKERS = 8, 2048, 2


class Task(NamedTuple):
    """The two images of a field."""

    protein: Path
    labels: Path


def draw_fields(folder: Path, distinct: int = DISTINCT, side: int = SIDE) -> None:
    """Write phantom fields, as JPEG like the atlas, with their labels as 16-bit PNG."""
    folder.mkdir(parents=True)
    for index in range(distinct):
        field = phantom_field(0, index, size=side, diameter=DIAMETER * side / 256)
        assert field.labels is not None
        Image.fromarray(field.protein).save(folder / f"{index}_green.jpg", quality=90)
        Image.fromarray(field.labels.astype(np.uint16)).save(folder / f"{index}_labels.png", compress_level=1)


def link_fields(folder: Path, names: Path, count: int) -> list[Task]:
    """Return the fields in `folder`, repeated under different names, as `count` fields."""
    drawn = sorted(folder.glob("*_green.jpg"))
    tasks = []
    for at in range(count):
        protein = drawn[at % len(drawn)]
        tasks.append(Task(names / f"{at}_green.jpg", names / f"{at}_labels.png"))
        tasks[-1].protein.symlink_to(protein.resolve())
        tasks[-1].labels.symlink_to(protein.resolve().with_name(protein.name.replace("_green.jpg", "_labels.png")))
    return tasks


def without_small(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove connected pieces of fewer than 100 pixels."""
    pieces = label(mask)
    return mask & (np.bincount(pieces.ravel()) >= 100)[pieces]


def plain(tasks: list[Task], output: Path) -> int:
    """Crop field after field with scikit-image; keep everything as floats and save it at the end."""
    images, masks, contrasts = [], [], []
    for task in tasks:
        protein = np.asarray(Image.open(task.protein)).astype(np.float32)
        protein = resize(protein, (256, 256), order=1, anti_aliasing=True, preserve_range=True)
        nuclei = resize(
            np.asarray(Image.open(task.labels)), (256, 256), order=0, anti_aliasing=False, preserve_range=True
        )
        nuclei = nuclei * without_small(nuclei > 0)
        for region in regionprops(nuclei.astype(int)):
            top, left, bottom, right = region.bbox
            if top == 0 or left == 0 or bottom == 256 or right == 256:
                continue
            row, column = (min(max(int(at) - 64, 0), 128) for at in region.centroid)
            image = protein[row : row + 128, column : column + 128]
            image = image / image.max()
            mask = without_small(nuclei[row : row + 128, column : column + 128] > 0)
            ring = binary_dilation(mask, np.ones((9, 9))) & ~mask & (image > threshold_otsu(image))
            contrasts.append(image[mask].mean() - image[ring].mean())
            images.append(image)
            masks.append(mask.astype(np.float32))
    np.savez(output / "crops.npz", images=np.array(images), masks=np.array(masks), contrasts=np.array(contrasts))
    return len(images)


def crop(task: Task) -> CropResult:
    """Crop one field in a worker process."""
    protein: NDArray[np.integer] = read_channel(task.protein, COMPONENT["green"])
    with Image.open(task.labels) as labels:
        return crop_field(protein, np.asarray(labels), CropRules())


def ours(tasks: list[Task], output: Path) -> int:
    """Crop with the project's code, including the start of the processes."""
    arrays, count = CropArrays(output / "crops.zarr"), 0
    for result in map_in_processes(tasks, crop, WORKERS):
        arrays.append(result.images, result.masks)
        count += len(result.rows)
    arrays.flush()
    return count


def peak_memory() -> float:
    """Return the peak MB of this process, plus that of the largest child for each worker (Linux)."""
    status = Path("/proc/self/status").read_text()  # getrusage would include the memory of the parent before exec
    own = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    return (own + WORKERS * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the drawn fields are, or shall be")
    parser.add_argument("--fields", type=int, default=200, help="number of fields; 0: draw only (default 200)")
    parser.add_argument("--how", choices=("plain", "ours"), default="ours", help="which of the two (default ours)")
    arguments = parser.parse_args()
    if not arguments.folder.exists():
        draw_fields(arguments.folder)
    if not arguments.fields:
        return
    with tempfile.TemporaryDirectory() as scratch:
        tasks = link_fields(arguments.folder, Path(scratch), arguments.fields)
        begin = time.perf_counter()
        crops = {"plain": plain, "ours": ours}[arguments.how](tasks, Path(scratch))
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "crops": crops, "peak_mb": peak_memory()}))


if __name__ == "__main__":
    main()
