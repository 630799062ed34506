"""Compare labellers on images whose nuclei are known: pairs NAME_image.EXT and NAME_labels.EXT in one folder.

    python scripts/compare_labellers.py FOLDER --labeller classical --labeller classical,diameter=30 --output OUT
    python scripts/compare_labellers.py FOLDER --labeller cellpose,model=PATH --labeller stored,folder=FOLDER2

A labeller is the name of a config in conf/labeller, and settings of it that shall be others. Prints precision, recall
and F1 at IoU 0.5 and 0.75 and the Dice of the foregrounds, for each image and their mean, and writes OUT/scores.csv and
the image with the lowest F1 at 0.5 of each labeller as OUT/worst_N_LABELLER.png.
"""

import argparse
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Column, Table
from scipy import ndimage
from skimage.segmentation import find_boundaries

from lexy.acquire.fields import COMPONENT, BadImage, read_channel
from lexy.acquire.labellers import Labeller
from lexy.acquire.labellers.stored import Stored
from lexy.config.build import build
from lexy.config.check import check
from lexy.config.compose import config_folder
from lexy.errors import UserError
from lexy.evaluation.instances import instance_scores
from lexy.files import replacing

COLOURS = {"truth": (0.0, 0.8, 1.0), "prediction": (1.0, 0.5, 0.0)}
Images = Mapping[str, tuple[NDArray[np.integer], NDArray[np.int32]]]


def read_images(folder: Path) -> Images:
    """Read images and their true instances, by name.

    Raises
    ------
    UserError
        There is none, or one that cannot be used.
    """
    paths = sorted(folder.glob("*_image.*"))
    if not paths:
        raise UserError(f"{folder}: no NAME_image.EXT there, with NAME_labels.EXT beside it (png, tif, tiff).")
    images = {}
    for path in paths:
        name = path.stem.removesuffix("_image")
        try:
            image = read_channel(path, COMPONENT["blue"])
        except BadImage as bad:
            raise UserError(f"{path}: {bad}.") from bad
        (truth,) = Stored(str(folder)).label([image], [name])
        if isinstance(truth, str):
            raise UserError(f"{path}: {truth}.")
        images[name] = image, truth
    return images


def make_labeller(text: str) -> Labeller:
    """Build the labeller that `NAME,SETTING=VALUE,…` describes.

    Raises
    ------
    UserError
        There is no such labeller or setting.
    """
    name, *settings = re.split(r",(?=\w+=)", text)
    overrides = [f"labeller={name}", *(f"labeller.{setting}" for setting in settings)]
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            node = compose("prepare", overrides).labeller
        check({"labeller": OmegaConf.to_container(node, resolve=True)}, lambda labeller: None)
    except HydraException as error:
        raise UserError(f"--labeller {text}: {' '.join(str(error).split())}") from error
    labeller: Labeller = build(node, "labeller")
    return labeller


def compare(images: Images, labellers: Mapping[str, Labeller], output: Path | None) -> pd.DataFrame:
    """Return one row for each labeller and image, and their means.

    Parameters
    ----------
    images : mapping
        From `read_images`.
    labellers : mapping
        By the name they are listed under.
    output : Path or None
        Where pictures are written.

    Raises
    ------
    UserError
        An image could not be labelled.
    """
    rows: list[dict[str, Any]] = []
    for number, (text, labeller) in enumerate(labellers.items(), start=1):
        found: dict[str, NDArray[np.int32]] = {}
        for name, (image, truth) in images.items():
            start = time.perf_counter()
            (labels,) = labeller.label([image], [name])
            seconds = time.perf_counter() - start
            if isinstance(labels, str):
                raise UserError(f"--labeller {text}: {name}: {labels}.")
            found[name] = labels
            rows.append({"labeller": text, "image": name, **instance_scores(truth, labels), "seconds": seconds})
        own = pd.DataFrame(rows[-len(images) :])
        rows.append({"labeller": text, "image": "mean", **own.drop(columns=["labeller", "image"]).mean()})
        if output is not None:
            worst = own.sort_values(["f1_50", "f1_75", "image"]).iloc[0]
            file = output / f"worst_{number}_{Path(text.partition(',')[0]).name}.png"
            title = f"{text}: {worst['image']}, F1 {worst['f1_50']:.3f} at IoU 0.5"
            draw(*images[worst["image"]], found[worst["image"]], title, file)
    return pd.DataFrame(rows)


def draw(
    image: NDArray[np.integer], truth: NDArray[np.int32], labels: NDArray[np.int32], title: str, file: Path
) -> None:
    """Draw the image (log brightness) alone and with the outlines of truth and prediction; write it as PNG."""
    grey = np.log1p(np.clip(image - np.quantile(image, 0.01), 0, None))
    shown = np.repeat((grey / (grey.max() or 1))[..., None], 3, axis=2)
    outlined = shown.copy()
    width = 1 + max(image.shape) // 600
    for name, instances in (("truth", truth), ("prediction", labels)):
        outlined[ndimage.maximum_filter(find_boundaries(instances, mode="inner"), width)] = COLOURS[name]
    figure = Figure(figsize=(14, 0.6 + 7 * image.shape[0] / image.shape[1]), layout="constrained")
    for axes, picture in zip(figure.subplots(1, 2), (shown, outlined), strict=True):
        axes.imshow(picture, interpolation="antialiased")
        axes.axis("off")
    lines = [Line2D([], [], color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=2)
    figure.suptitle(title)
    with replacing(file) as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds NAME_image.EXT and NAME_labels.EXT")
    parser.add_argument("--labeller", action="append", required=True, help="NAME or NAME,SETTING=VALUE,…; repeatable")
    parser.add_argument("--output", type=Path, help="folder for scores.csv and the pictures")
    arguments = parser.parse_args()
    try:
        labellers = {text: make_labeller(text) for text in arguments.labeller}
        table = compare(read_images(arguments.folder), labellers, arguments.output)
    except UserError as error:
        parser.exit(1, f"error: {error}\n")
    show(table)
    if arguments.output:
        with replacing(arguments.output / "scores.csv") as temporary:
            table.to_csv(temporary, index=False)


def show(table: pd.DataFrame) -> None:
    """Print the scores, with - for undefined ones."""
    printed = Table(*(Column(name, overflow="fold") for name in table.columns))
    for row in table.to_dict("records"):
        values = row.values()
        cells = [value if isinstance(value, str) else "-" if np.isnan(value) else f"{value:.3g}" for value in values]
        printed.add_row(*cells, end_section=row["image"] == "mean")
    Console(highlight=False).print(printed)


if __name__ == "__main__":
    main()
