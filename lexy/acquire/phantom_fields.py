"""Write phantom fields as image files, to try the whole preparation without data."""

from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt
from PIL import Image

from lexy.data.phantom import DIAMETER, phantom_field
from lexy.files import replacing


class WritePhantomFields:
    """Write phantom fields in the layout of Human Protein Atlas downloads: `<antibody>/<name>_{blue,green}.png`.

    Parameters
    ----------
    folder : str
        Folder of the images; made if it is missing, files of the same name are replaced.
    fields : int
        Number of fields, larger than 0.
    seed : int
        Seed of the generator; not negative.
    size : int
        Side of a field in pixels, at least 64.
    """

    def __init__(
        self,
        folder: str,
        fields: Annotated[int, Gt(0)] = 24,
        seed: Annotated[int, Ge(0)] = 0,
        size: Annotated[int, Ge(64)] = 256,
    ) -> None:
        self.folder = Path(folder)
        self.fields, self.seed, self.size = fields, seed, size

    def run(self) -> None:
        """Write the fields, four for each antibody."""
        for index in range(self.fields):
            field = phantom_field(self.seed, index, size=self.size, diameter=DIAMETER * self.size / 256)
            for channel, image in (("blue", field.nuclear), ("green", field.protein)):
                name = f"{90000 + index // 4}/{self.seed}_A{index // 4 + 1}_{index % 4 + 1}_{channel}.png"
                with replacing(self.folder / name) as temporary:
                    Image.fromarray(image).save(temporary)
