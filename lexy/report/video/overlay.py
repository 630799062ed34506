"""A video with the outlines of its nuclei: painted frames, and films of them as GIF and MP4."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from lexy.errors import UserError
from lexy.files import replacing

Painted = NDArray[np.uint8]

GREYS, HUES = 32, 24  # more greys cannot be told apart under noise, and make a GIF half as large again
BLACK, WHITE, CLEAR = 0, GREYS - 1, GREYS + HUES  # places in PALETTE
GOLDEN = 0.6180339887  # turns of the colour circle from one id to the next: neighbouring ids look different
SAMPLED = 8  # frames that the display range is taken from
RANGE = 0.5, 99.8  # percentiles of them that become black and white
FINE = 700  # pixels: wider pictures have outlines wider than one pixel
BAR = 22  # height of the strip below a frame that its time is written in


def _palette() -> NDArray[np.uint8]:
    """(256, 3): a ramp of greys, the colours of ids, black."""
    colours = np.zeros((256, 3))
    colours[:GREYS] = np.linspace(0, 1, GREYS)[:, None]
    hues = np.arange(HUES) * GOLDEN % 1
    colours[GREYS : GREYS + HUES] = mpl.colors.hsv_to_rgb(np.stack([hues, np.full(HUES, 0.85), np.ones(HUES)], axis=1))
    return np.rint(colours * 255).astype(np.uint8)


PALETTE = _palette()


def colour_of(ids: NDArray[np.integer]) -> Painted:
    """Places in `PALETTE` of the colours of nuclei: the same id, the same colour, in every frame and picture."""
    return (GREYS + ids % HUES).astype(np.uint8)


@dataclass(frozen=True)
class Film:
    """A segmented video, read one frame at a time.

    Attributes
    ----------
    frame : callable
        Index → (H, W) float32, finite.
    labels : callable
        Index → (H, W) int32: 0, or the id of the nucleus.
    n_frames : int
        At least 1.
    interval : float
        Seconds between frames; NaN where unknown.
    """

    frame: Callable[[int], NDArray[np.float32]]
    labels: Callable[[int], NDArray[np.int32]]
    n_frames: int
    interval: float = float("nan")

    @cached_property
    def range(self) -> tuple[float, float]:
        """What is shown black and white: one range for the whole video, so that bleaching and exchange can be seen."""
        limits = [np.percentile(self.frame(at), RANGE) for at in self.spread(SAMPLED)]
        return float(min(low for low, _ in limits)), float(max(high for _, high in limits))

    def spread(self, count: int) -> list[int]:
        """Indices of at most `count` frames, evenly spaced from the first to the last."""
        return sorted({int(at) for at in np.linspace(0, self.n_frames - 1, min(count, self.n_frames)).round()})

    def painted(self, at: int, width: int) -> Painted:
        """A frame with outlines: (h, w) places in `PALETTE`, w near `width`; ids are colours, small frames enlarged."""
        frame, labels = _resized(np.asarray(self.frame(at)), np.asarray(self.labels(at)), width)
        low, high = self.range
        shown = np.clip((frame - low) / (high - low or 1), 0, 1)
        painted = np.rint(shown * WHITE).astype(np.uint8)
        outline = np.zeros(labels.shape, bool)
        for _ in range(max(1, round(painted.shape[1] / FINE))):
            outline |= find_boundaries(np.where(outline, 0, labels), mode="inner")
        painted[outline] = colour_of(labels[outline])
        return painted

    def stamped(self, at: int, width: int) -> Painted:
        """As `painted`, with a strip below that tells the frame and its time."""
        painted = np.pad(self.painted(at, width), ((0, BAR), (0, 0)), constant_values=BLACK)
        write(painted, [(6, painted.shape[0] - BAR / 2, self.caption(at))], size=14, anchor="lm")
        return painted

    def caption(self, at: int) -> str:
        """Time of a frame as a person reads it, or its number where the interval is unknown."""
        if np.isnan(self.interval):
            return f"frame {at}"
        seconds = at * self.interval
        minutes, rest = divmod(round(seconds), 60)
        return f"{seconds:g} s" if seconds < 60 else f"{minutes} min {rest:02} s"


def write(painted: Painted, texts: list[tuple[float, float, str]], size: float, anchor: str) -> None:
    """Write white text with a black rim into a painted frame, in place.

    Parameters
    ----------
    painted : ndarray of uint8, shape (h, w)
    texts : list of (x, y, text)
        In pixels; `anchor` of the text lies there.
    size : float
        Of the letters, in pixels.
    anchor : str
        As Pillow names it: `lm` left and middle, `mm` the middle.
    """
    height, width = painted.shape
    rims, letters = (Image.new("L", (width, height)) for _ in range(2))
    font = ImageFont.load_default(size)
    for x, y, text in texts:
        ImageDraw.Draw(rims).text((x, y), text, 255, font, anchor, stroke_width=max(1, size / 9))
        ImageDraw.Draw(letters).text((x, y), text, 255, font, anchor)
    grey = np.asarray(letters)
    rim = np.asarray(rims) > 127
    painted[rim] = BLACK
    painted[rim | (grey > 127)] = (grey[rim | (grey > 127)] / 255 * WHITE).astype(np.uint8)


def picture(painted: Painted) -> Image.Image:
    """A painted frame as a Pillow image of mode P; `CLEAR` is transparent in PNG."""
    image = Image.fromarray(painted)
    image.putpalette(PALETTE.tobytes())  # turns the mode to P
    return image


def write_gif(film: Film, path: Path, *, width: int = 512, fps: float = 8, most: int = 150) -> Path:
    """Write the film with outlines and times as a GIF that repeats.

    Pillow keeps what it writes until the end: `most` frames are what bounds the memory, and the file.

    Parameters
    ----------
    film : Film
    path : Path
        Replaced when the whole GIF is there.
    width : int
        Pixels, at most.
    fps : float
        Frames per second, above 0.
    most : int
        At least 1. Of a longer film as many frames are shown, evenly spaced; their times are written below them.

    Returns
    -------
    Path
        `path`.
    """
    with replacing(path) as temporary:
        _save(film, temporary, "GIF", width, fps, most, optimize=False)
    return path


def webp(film: Film, *, width: int = 512, fps: float = 8, most: int = 60) -> bytes:
    """The film as an animated WebP: as `write_gif` at a third of the size, for browsers alone."""
    buffer = io.BytesIO()
    _save(film, buffer, "WEBP", width, fps, most, quality=60, method=0)
    return buffer.getvalue()


def _save(film: Film, to: Path | io.BytesIO, kind: str, width: int, fps: float, most: int, **options: Any) -> None:
    pictures = (picture(film.stamped(at, width)) for at in film.spread(most))
    first, duration = next(pictures), round(1000 / fps)
    first.save(to, kind, save_all=True, append_images=pictures, duration=duration, loop=0, **options)


def has_mp4() -> bool:
    """Whether this installation can write MP4: the extra `video` brings imageio-ffmpeg."""
    return find_spec("imageio_ffmpeg") is not None


def write_mp4(film: Film, path: Path, *, width: int = 512, fps: float = 8) -> Path:
    """Write every frame of the film with outlines and times as an H.264 MP4, one frame in memory at a time.

    Parameters
    ----------
    film : Film
    path : Path
        Ends in `.mp4`; replaced when the whole film is there.
    width, fps
        As of `write_gif`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UserError
        If imageio-ffmpeg is not installed, or its ffmpeg fails.
    """
    if not has_mp4():
        raise UserError(f"{path}: MP4 needs imageio-ffmpeg. Install the extra: pip install 'lexy[video]'")
    write_frames = import_module("imageio_ffmpeg").write_frames

    frames = _even(film, width)
    first = next(frames)
    with replacing(path) as temporary:
        writer = write_frames(str(temporary), first.shape[1::-1], fps=fps, macro_block_size=2, quality=7)
        try:
            writer.send(None)
            writer.send(first)
            for frame in frames:
                writer.send(frame)
        except OSError as error:
            raise UserError(f"{path}: ffmpeg could not write it ({error})") from error
        finally:
            writer.close()
    return path


def _even(film: Film, width: int) -> Iterator[NDArray[np.uint8]]:
    """Frames (h, w, 3) with even sides, as H.264 wants them: a black row or column is added."""
    for at in range(film.n_frames):
        painted = film.stamped(at, width)
        padded = np.pad(painted, [(0, side % 2) for side in painted.shape], constant_values=BLACK)
        yield np.ascontiguousarray(PALETTE[padded])


def _resized(
    frame: NDArray[np.float32], labels: NDArray[np.int32], width: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Smaller by the mean over areas, larger by repeating pixels; labels keep their values."""
    height, wide = frame.shape
    if wide <= width:
        times = max(1, width // max(height, wide))
        return tuple(np.repeat(np.repeat(plane, times, axis=0), times, axis=1) for plane in (frame, labels))  # type: ignore[return-value]
    size = width, max(1, round(height * width / wide))
    small = Image.fromarray(np.asarray(frame, np.float32)).resize(size, Image.Resampling.BOX)
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size[::-1], frame.shape, strict=True)
    )
    return np.asarray(small), labels[np.ix_(rows, columns)]
