"""Files of frames by their names: which they are, in which order, and whether one is missing or there twice."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from lexy.errors import UserError
from lexy.io.readers import SUFFIXES

LITTER = {"Thumbs.db", "desktop.ini"}  # what systems leave in folders, beside names that begin with a dot

Key = TypeVar("Key")


def frame_files(folder: Path) -> list[Path]:
    """Return the files of a folder of frames, in order.

    Raises
    ------
    UserError
        If there is nothing in it, a subfolder or a file that is no image.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.name not in LITTER and not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise UserError(f"{folder}: an empty folder (zero frames); give a video file, or a folder of frames")
    if foreign := [path.name for path in found if path.is_dir() or path.suffix.lower() not in SUFFIXES]:
        raise UserError(
            f"{folder}: holds what is no frame ({_some(foreign)}); "
            f"move it elsewhere, or give the frames alone, as '{folder}/*.tif'"
        )
    return in_order(found)


def in_order(files: Sequence[Path]) -> list[Path]:
    """Sort frames by the one number that differs between their names.

    Raises
    ------
    UserError
        If names differ in anything else than one number, or a number is missing or there twice.
    """
    if len(files) == 1:
        return list(files)
    texts = Counter(re.sub(r"\d+", "#", str(path)) for path in files)
    usual = texts.most_common(1)[0][0]
    if odd := [path.name for path in files if re.sub(r"\d+", "#", str(path)) != usual]:
        raise UserError(
            f"{files[0].parent}: frames must differ by their number alone, but {_some(odd)} is named otherwise than "
            f"the rest ({Path(usual).name}); give a pattern that fits the frames alone"
        )
    numbers = np.array([[int(digits) for digits in re.findall(r"\d+", str(path))] for path in files], object)
    differ = [at for at in range(numbers.shape[1]) if len(set(numbers[:, at])) > 1]
    if len(differ) > 1:
        raise UserError(
            f"{files[0].parent}: {len(differ)} numbers differ between the frames' names (as in {files[0].name} "
            f"and {files[-1].name}); give a pattern that fits one channel and position, as '{_pattern(files[0])}'"
        )
    place = differ[0] if differ else -1
    keyed = ((int(number[place]), path) for path, number in zip(files, numbers, strict=True))
    by_number = unique(keyed, lambda number: f"frame {number}")
    check_no_gap(by_number, str(files[0].parent))
    return [by_number[number] for number in sorted(by_number)]


def unique(files: Iterable[tuple[Key, Path]], describe: Callable[[Key], str]) -> dict[Key, Path]:
    """Return files by key.

    Raises
    ------
    UserError
        If two have the same key, which `describe` puts into words.
    """
    found: dict[Key, Path] = {}
    for key, path in files:
        if key in found:
            raise UserError(f"{path}: {describe(key)} is there twice, also as {found[key].name}; remove or rename one")
        found[key] = path
    return found


def check_no_gap(files: Mapping[int, Path], place: str) -> None:
    """Raise UserError, which begins with `place`, if a frame is missing between the first number and the last."""
    numbers = sorted(files)
    for before, after in pairwise(numbers):
        if after != before + 1:
            missing = numbers[-1] - numbers[0] + 1 - len(numbers)
            raise UserError(
                f"{place}: frame {before + 1} is missing after {files[before].name} ({missing} missing in all); "
                "add it, or number the frames without a gap"
            )


def _pattern(path: Path) -> str:
    """Return the name of a file with its last number open."""
    return re.sub(r"\d+(?=\D*$)", "*", path.name)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
