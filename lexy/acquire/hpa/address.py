"""Parse addresses of the atlas's fluorescence images, and derive the names of fields and files from them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lexy.acquire.download.hosts import FetchError, allowed_url
from lexy.acquire.manifest import CHANNELS, FIELD_NAME, Channel, ChannelImage

Format = Literal["jpg", "tif"]
HOSTS = ("proteinatlas.org",)

# 16-bit TIFFs lie beside the JPEGs, gzipped: images.proteinatlas.org/38585/2146_D7_42_blue.tif.gz is redirected to
# www.proteinatlas.org/download_file.php?filename=/38585/2146_D7_42_blue&format=tif.gz. Those of withdrawn antibodies
# are gone (status 400), though their JPEGs are still there. Seen in github.com/CellProfiling: HPA_Cilia_Study_Code
# (README.md), PUPS_Composite_JPG_Test (EXAMPLE_RUN.md). Whether older releases (v18.…) have them there is not known.
ENDINGS: dict[Format, str] = {"jpg": "jpg", "tif": "tif.gz"}

_COLOUR = "|".join(CHANNELS)
_ADDRESS = re.compile(
    r"(?P<origin>https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?P<folder>(?:/images)?)/(?P<antibody>[0-9]{1,9})/"
    rf"(?P<name>{FIELD_NAME})(?P<channels>(?:_(?:{_COLOUR}))+)\.jpg"
)


class UnusableImage(Exception):
    """An image that is not used; the message is the reason, one of a few texts."""


@dataclass(frozen=True, slots=True)
class FieldAddress:
    """Addresses of the images of one field.

    Attributes
    ----------
    folder : str
        Address up to the number of the antibody.
    antibody : str
        Number of the antibody, digits only.
    name : str
        `<plate>_<well>_<number>`, with `_<suffix>` where there is one.
    plate, well, number : str
        Parts of the name; `number` is the field's number in its well.
    channels : tuple of str
        Channels in the address of the overlay, in its order.
    """

    folder: str
    antibody: str
    name: str
    plate: str
    well: str
    number: str
    channels: tuple[str, ...]

    @property
    def field(self) -> str:
        """Name of the field, safe as a path: it holds only letters, digits, '-', '_' and one '/'."""
        return f"{self.antibody}/{self.name}"

    def images(self, channels: Sequence[Channel], format: Format) -> dict[str, ChannelImage]:
        """Return files and addresses of single channels.

        Parameters
        ----------
        channels : sequence of str
            Channels; `yellow` has an image although overlays of three channels do not name it.
        format : str
            `jpg`, 8 bits, or `tif`, 16 bits: its address ends with `.tif.gz`, and the download is gzipped.

        Returns
        -------
        dict of str to ChannelImage
            By channel.
        """
        return {
            channel: ChannelImage(
                file=f"{self.field}_{channel}.{format}",
                address=f"{self.folder}/{self.field}_{channel}.{ENDINGS[format]}",
            )
            for channel in channels
        }


def parse_address(text: str, hosts: Sequence[str] = HOSTS) -> FieldAddress:
    """Parse the address of an overlay, such as https://images.proteinatlas.org/4109/24_H11_1_blue_red_green.jpg.

    Parameters
    ----------
    text : str
        The address.
    hosts : sequence of str
        The accepted hosts, with their sub-domains.

    Raises
    ------
    UnusableImage
        If it has another shape, holds other characters, or is on another host.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise UnusableImage("address of another shape")
    if (origin := _allowed_origin(match["origin"], tuple(hosts))) is None:
        raise UnusableImage("address on another host")
    return FieldAddress(
        folder=origin + match["folder"],
        antibody=match["antibody"],
        name=match["name"],
        plate=match["plate"],
        well=match["well"],
        number=match["number"],
        channels=tuple(match["channels"].removeprefix("_").split("_")),
    )


@lru_cache(1000)  # all releases together have a few origins
def _allowed_origin(origin: str, hosts: tuple[str, ...]) -> str | None:
    """Return scheme and host as they are requested; None if the host is not accepted."""
    try:
        return str(allowed_url(origin, hosts)).rstrip("/")
    except FetchError:
        return None
