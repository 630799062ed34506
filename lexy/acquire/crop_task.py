"""What a process of the crop stage does; a module of its own, so that such a process imports nothing else."""

from dataclasses import dataclass
from pathlib import Path

from lexy.acquire.fields import COMPONENT, BadImage, read_channel
from lexy.data.crops import CropResult, CropRules, crop_field
from lexy.errors import UserError
from lexy.io.label_images import read_labels


@dataclass(frozen=True)
class CropTask:
    """Protein channel and label image of a field."""

    protein: Path
    labels: Path


def crop_files(rules: CropRules, task: CropTask) -> CropResult | str:
    """Crops of one field, or what is wrong with it."""
    try:
        protein = read_channel(task.protein, COMPONENT["green"])
        return crop_field(protein, read_labels(task.labels), rules)
    except (BadImage, UserError, ValueError) as error:
        return str(error)
