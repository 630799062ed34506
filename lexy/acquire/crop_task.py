"""Crop one field; in a module of its own, so that the processes of the crop stage import little."""

from dataclasses import dataclass
from pathlib import Path

from lexy.acquire.fields import COMPONENT, BadImage, read_channel
from lexy.data.crops import CropResult, CropRules, crop_field
from lexy.errors import UserError
from lexy.io.label_images import read_labels


@dataclass(frozen=True)
class CropTask:
    """Files of a field: protein channel and label image."""

    protein: Path
    labels: Path


def crop_files(rules: CropRules, task: CropTask) -> CropResult | str:
    """Return the crops of one field, or the reason why it cannot be cropped."""
    try:
        protein = read_channel(task.protein, COMPONENT["green"])
        return crop_field(protein, read_labels(task.labels), rules)
    except (BadImage, UserError, ValueError) as error:
        return str(error)
