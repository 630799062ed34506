"""Draw the outlines of nuclei over a video: single frames, and films as GIF, WebP and MP4."""

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
BLACK, WHITE, CLEAR = 0, GREYS - 1, GREYS + HUES  # indices into PALETTE
GOLDEN = 0.6180339887  # turns of the colour circle per id, so that neighbouring ids look different
SAMPLED = 8  # frames that determine the display range
RANGE = 0.5, 99.8  # percentiles that are shown black and white
FINE = 700  # pixels: wider pictures have outlines wider than one pixel
BAR = 22  # pixels: height of the strip below a frame with its time


def _palette() -> NDArray[np.uint8]:
    """Return colours (256, 3): a ramp of greys, the colours of ids, black."""
    colours = np.zeros((256, 3))
    colours[:GREYS] = np.linspace(0, 1, GREYS)[:, None]
    hues = np.arange(HUES) * GOLDEN % 1
    colours[GREYS : GREYS + HUES] = mpl.colors.hsv_to_rgb(np.stack([hues, np.full(HUES, 0.85), np.ones(HUES)], axis=1))
    return np.rint(colours * 255).astype(np.uint8)


PALETTE = _palette()


def colour_of(ids: NDArray[np.integer]) -> Painted:
    """Return indices into `PALETTE`: each id has the same colour in every frame and picture."""
    return (GREYS + ids % HUES).astype(np.uint8)


@dataclass(frozen=True)
class Film:
    """A segmented video, read one frame at a time.

    Attributes
    ----------
    frame : callable
        Index → (H, W) float32, finite.
    labels : callable
        Index → (H, W) int32: id of the nucleus, 0 = background.
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
        """Values shown black and white: one range for the whole video, so that bleaching and exchange are visible."""
        limits = [np.percentile(self.frame(at), RANGE) for at in self.spaced_frames(SAMPLED)]
        return float(min(low for low, _ in limits)), float(max(high for _, high in limits))

    def spaced_frames(self, count: int) -> list[int]:
        """Return indices of at most `count` frames, evenly spaced from the first to the last."""
        return sorted({int(at) for at in np.linspace(0, self.n_frames - 1, min(count, self.n_frames)).round()})

    def render(self, at: int, width: int) -> Painted:
        """Draw a frame with outlines in the colours of the ids.

        Parameters
        ----------
        at : int
            Index of the frame.
        width : int
            Largest width in pixels; small frames are enlarged by an integer factor.

        Returns
        -------
        ndarray of uint8, shape (h, w)
            Indices into `PALETTE`.
        """
        frame, labels = _resized(np.asarray(self.frame(at)), np.asarray(self.labels(at)), width)
        low, high = self.range
        shown = np.clip((frame - low) / (high - low or 1), 0, 1)
        painted = np.rint(shown * WHITE).astype(np.uint8)
        outline = np.zeros(labels.shape, bool)
        for _ in range(max(1, round(painted.shape[1] / FINE))):
            outline |= find_boundaries(np.where(outline, 0, labels), mode="inner")
        painted[outline] = colour_of(labels[outline])
        return painted

    def render_with_time(self, at: int, width: int) -> Painted:
        """Draw a frame as `render` does, with a strip below that shows its time."""
        painted = np.pad(self.render(at, width), ((0, BAR), (0, 0)), constant_values=BLACK)
        write_text(painted, [(6, painted.shape[0] - BAR / 2, self.caption(at))], size=14, anchor="lm")
        return painted

    def caption(self, at: int) -> str:
        """Return the time of a frame in words, or its index if the interval is unknown."""
        if np.isnan(self.interval):
            return f"frame {at}"
        seconds = at * self.interval
        minutes, rest = divmod(round(seconds), 60)
        return f"{seconds:g} s" if seconds < 60 else f"{minutes} min {rest:02} s"


def write_text(painted: Painted, texts: list[tuple[float, float, str]], size: float, anchor: str) -> None:
    """Write white text with a black rim into a rendered frame, in place.

    Parameters
    ----------
    painted : ndarray of uint8, shape (h, w)
        Indices into `PALETTE`; changed.
    texts : list of (x, y, text)
        Position of the anchor in pixels, and the text.
    size : float
        Size of the letters, in pixels.
    anchor : str
        Anchor as Pillow names it: `lm` left and middle, `mm` the middle.
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


def as_image(painted: Painted) -> Image.Image:
    """Return a rendered frame as a Pillow image of mode P; `CLEAR` is transparent in PNG."""
    image = Image.fromarray(painted)
    image.putpalette(PALETTE.tobytes())  # turns the mode to P
    return image


def write_gif(film: Film, path: Path, *, width: int = 512, fps: float = 8, most: int = 150) -> Path:
    """Write the film with outlines and times as a GIF that repeats.

    Pillow keeps all frames in memory until the end; `most` limits memory and file size.

    Parameters
    ----------
    film : Film
    path : Path
        The GIF, written whole or not at all; returned.
    width : int
        Largest width in pixels.
    fps : float
        Frames per second, above 0.
    most : int
        Largest number of frames, at least 1; of a longer film evenly spaced ones are shown.
    """
    with replacing(path) as temporary:
        _save(film, temporary, "GIF", width, fps, most, optimize=False)
    return path


def encode_webp(film: Film, *, width: int = 512, fps: float = 8, most: int = 60) -> bytes:
    """Return the film as an animated WebP, with the options of `write_gif`: a third of the size, only for browsers."""
    buffer = io.BytesIO()
    _save(film, buffer, "WEBP", width, fps, most, quality=60, method=0)
    return buffer.getvalue()


def _save(film: Film, to: Path | io.BytesIO, kind: str, width: int, fps: float, most: int, **options: Any) -> None:
    pictures = (as_image(film.render_with_time(at, width)) for at in film.spaced_frames(most))
    first, duration = next(pictures), round(1000 / fps)
    first.save(to, kind, save_all=True, append_images=pictures, duration=duration, loop=0, **options)


def has_mp4() -> bool:
    """Return whether MP4 can be written: whether the extra `video` is installed."""
    return find_spec("imageio_ffmpeg") is not None


def write_mp4(film: Film, path: Path, *, width: int = 512, fps: float = 8) -> Path:
    """Write every frame of the film with outlines and times as an H.264 MP4, with one frame in memory at a time.

    Parameters
    ----------
    film : Film
    path : Path
        The MP4, ending in `.mp4`, written whole or not at all; returned.
    width, fps
        As of `write_gif`.

    Raises
    ------
    UserError
        If imageio-ffmpeg is not installed, or its ffmpeg fails.
    """
    if not has_mp4():
        raise UserError(f"{path}: MP4 needs imageio-ffmpeg. Install the extra: pip install 'lexy[video]'")
    write_frames = import_module("imageio_ffmpeg").write_frames

    frames = _even_sized(film, width)
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


def _even_sized(film: Film, width: int) -> Iterator[NDArray[np.uint8]]:
    """Render frames (h, w, 3) with even sides, as H.264 requires: add a black row or column."""
    for at in range(film.n_frames):
        painted = film.render_with_time(at, width)
        padded = np.pad(painted, [(0, side % 2) for side in painted.shape], constant_values=BLACK)
        yield np.ascontiguousarray(PALETTE[padded])


def _resized(
    frame: NDArray[np.float32], labels: NDArray[np.int32], width: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Shrink by the mean over areas or enlarge by repeating pixels; labels keep their values."""
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
