"""Addresses of the atlas's fluorescence images, and the names of fields and files that are made from them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lexy.acquire.hosts import NotFetched, permitted
from lexy.acquire.manifest import CHANNELS, ChannelImage

Channel = Literal["blue", "green", "red", "yellow"]
Format = Literal["jpg", "tif"]
HOSTS = ("proteinatlas.org",)

# 16-bit TIFFs lie beside the JPEGs, gzipped: images.proteinatlas.org/38585/2146_D7_42_blue.tif.gz is redirected to
# www.proteinatlas.org/download_file.php?filename=/38585/2146_D7_42_blue&format=tif.gz. Those of withdrawn antibodies
# are gone (status 400), though their JPEGs are still there. Seen in github.com/CellProfiling: HPA_Cilia_Study_Code
# (README.md), PUPS_Composite_JPG_Test (EXAMPLE_RUN.md). Whether older releases (v18.…) have them there is not known.
ENDINGS: dict[Format, str] = {"jpg": "jpg", "tif": "tif.gz"}

_COLOUR = "|".join(CHANNELS)
_PART = "[A-Za-z0-9][A-Za-z0-9-]{0,39}"
_NAME = rf"(?P<plate>{_PART})_(?P<well>{_PART})_(?P<number>[0-9]{{1,9}})(?:_(?!(?:{_COLOUR})[_.])(?P<suffix>{_PART}))?"
_FIELD = re.compile(rf"(?:.*/)?{_NAME}", re.DOTALL)
_ADDRESS = re.compile(
    r"(?P<origin>https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?P<folder>(?:/images)?)/(?P<antibody>[0-9]{1,9})/"
    rf"(?P<name>{_NAME})(?P<channels>(?:_(?:{_COLOUR}))+)\.jpg"
)


class BadAddress(Exception):
    """An address that is not used; the message is the reason, one of a few."""


@dataclass(frozen=True, slots=True)
class FieldAddress:
    """Where the images of one field are.

    Attributes
    ----------
    folder : str
        Address up to the antibody's number.
    antibody : str
        Its number, digits only.
    name : str
        `<plate>_<well>_<number>`, with `_<suffix>` where there is one.
    plate, well, number : str
        What the name says; `number` is that of the field in its well.
    channels : tuple of str
        Named in the address of the overlay, in its order.
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
        """Name of the field: safe as a path, for it holds nothing but letters, digits, '-', '_' and one '/'."""
        return f"{self.antibody}/{self.name}"

    def images(self, channels: Sequence[Channel], format: Format) -> dict[str, ChannelImage]:
        """Files and addresses of single channels.

        Parameters
        ----------
        channels : sequence of str
            Which; `yellow` has an image though overlays of three channels do not name it.
        format : str
            `jpg`, 8 bits, or `tif`, 16 bits: its address ends with `.tif.gz`, and what comes from there is gzipped.
        """
        return {
            channel: ChannelImage(
                file=f"{self.field}_{channel}.{format}",
                address=f"{self.folder}/{self.field}_{channel}.{ENDINGS[format]}",
            )
            for channel in channels
        }


def parse_address(text: str, hosts: Sequence[str] = HOSTS) -> FieldAddress:
    """Take apart the address of an overlay, such as https://images.proteinatlas.org/4109/24_H11_1_blue_red_green.jpg.

    Parameters
    ----------
    text : str
        The address.
    hosts : sequence of str
        The only hosts that are taken, with their sub-domains.

    Raises
    ------
    BadAddress
        It has another shape, holds odd characters, or leads elsewhere.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise BadAddress("address of another shape")
    if (origin := _asked(match["origin"], tuple(hosts))) is None:
        raise BadAddress("address on another host")
    return FieldAddress(
        folder=origin + match["folder"],
        antibody=match["antibody"],
        name=match["name"],
        plate=match["plate"],
        well=match["well"],
        number=match["number"],
        channels=tuple(match["channels"].removeprefix("_").split("_")),
    )


@lru_cache(1000)  # there are a few, in all releases together
def _asked(origin: str, hosts: tuple[str, ...]) -> str | None:
    """Scheme and host as they are asked, None if they are not."""
    try:
        return str(permitted(origin, hosts)).rstrip("/")
    except NotFetched:
        return None


def parse_field(field: str) -> tuple[str, str, str]:
    """Plate, well and number as the name of a field has them; empty if it is named in another way."""
    match = _FIELD.fullmatch(field)
    return (match["plate"], match["well"], match["number"]) if match else ("", "", "")
