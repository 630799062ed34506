"""Procedural fields that look like confocal stills of cells: for the demo and the tests, never for results.

Every field is a function of (seed, index). Its nucleus-to-cytoplasm ratio may be above, below or exactly one; in the
last case only texture, nucleoli and a faint rim tell where the nucleus is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lexy.data.field import Field

Image = NDArray[np.float32]

DIAMETER = 43.0
NO_CONTRAST = 0.3  # share of fields whose nuclei are as bright as their cytoplasm
TRIES = 200


@dataclass(frozen=True)
class _Cell:
    """One cell within its window of the field: normalised radii are 1 on the contour, 0 in the centre."""

    window: tuple[slice, slice]
    nucleus: Image
    cell: Image


def phantom_field(
    seed: int, index: int, *, size: int = 256, nuclei: tuple[int, int] = (4, 8), diameter: float = DIAMETER
) -> Field:
    """Draw one field.

    Parameters
    ----------
    seed, index : int
        The field is a function of these and of the sizes; not negative.
    size : int
        Side of the field in pixels.
    nuclei : tuple of two int
        Smallest and largest number of nuclei tried for; where they find no room, there are fewer, but at least one.
    diameter : float
        Mean diameter of a nucleus in pixels.

    Returns
    -------
    Field
        Both channels uint8 (size, size), labels int32 numbered from 1; nuclei may be cut by the border but do not
        overlap. Four consecutive fields share an antibody.
    """
    rng = np.random.default_rng([seed, index])
    cells = _place(rng, size, int(rng.integers(nuclei[0], nuclei[1] + 1)), diameter)
    scale = diameter / DIAMETER
    labels, reach = np.zeros((size, size), np.int32), np.full((size, size), np.inf, np.float32)
    owner = np.zeros((size, size), np.int32)
    for number, cell in enumerate(cells, start=1):
        labels[cell.window][(cell.nucleus < 1) & (labels[cell.window] == 0)] = number
        nearer = cell.cell < reach[cell.window]
        reach[cell.window][nearer] = cell.cell[nearer]
        owner[cell.window][nearer] = number
    nucleoli = _nucleoli(rng, cells, labels, scale)
    return Field(
        name=f"phantom-{seed}-{index}",
        nuclear=_stain(rng, labels, nucleoli, scale),
        protein=_protein(rng, labels, owner, reach, nucleoli, scale),
        labels=labels,
        antibody=f"phantom-{index // 4}",
        cell_line="phantom",
    )


def _place(rng: Generator, size: int, count: int, diameter: float) -> list[_Cell]:
    """Place cells at random, their nuclei apart."""
    cells: list[_Cell] = []
    placed: list[tuple[NDArray[np.float64], float]] = []
    for _ in range(TRIES):
        if len(cells) == count:
            break
        centre = rng.uniform(0.02, 0.98, 2) * size
        radius = diameter / 2 * np.clip(rng.normal(1, 0.12), 0.7, 1.3)
        if any(np.hypot(*(centre - other)) < 1.35 * (radius + reach) for other, reach in placed):
            continue
        placed.append((centre, radius))
        cells.append(_draw_cell(rng, size, centre, radius))
    return cells


def _draw_cell(rng: Generator, size: int, centre: NDArray[np.float64], radius: float) -> _Cell:
    extent = int(4.2 * radius)
    starts = [max(int(at) - extent, 0) for at in centre]
    stops = [min(int(at) + extent, size) for at in centre]
    rows, columns = np.ogrid[starts[0] : stops[0], starts[1] : stops[1]]
    turn = rng.uniform(0, np.pi)
    wide = radius * rng.uniform(1.9, 2.5)
    drift = rng.normal(0, 0.2 * radius, 2)  # the nucleus does not sit in the middle of the cell
    radii = []
    for mean, at, elongation, rough in ((radius, centre, 0.18, 0.02), (wide, centre + drift, 0.22, 0.09)):
        across, down = (columns - at[1]).astype(np.float32), (rows - at[0]).astype(np.float32)
        bins = np.arctan2(down, across) * (256 / (2 * np.pi))
        contour = mean * _contour(rng, turn, rng.uniform(0, elongation), rough)
        radii.append(np.hypot(across, down) / contour[bins.astype(np.int16) % 256])
    window = slice(starts[0], stops[0]), slice(starts[1], stops[1])
    return _Cell(window, radii[0], np.minimum(radii[1], 0.8 * radii[0]))


def _contour(rng: Generator, turn: float, elongation: float, rough: float) -> Image:
    """Draw the radius over 256 angles: an ellipse with a few random harmonics, mean about 1."""
    angles = np.arange(256) * (2 * np.pi / 256)
    contour: NDArray[np.float64] = 1 + elongation * np.cos(2 * (angles - turn))
    for harmonic in range(3, 7):
        contour += rough * 3 / harmonic * rng.normal() * np.cos(harmonic * angles + rng.uniform(0, 2 * np.pi))
    return contour.clip(0.6, 1.45).astype(np.float32)


def _nucleoli(rng: Generator, cells: list[_Cell], labels: NDArray[np.int32], scale: float) -> Image:
    """Draw soft spots in the nuclei, 0 to 1."""
    spots = np.zeros(labels.shape, np.float32)
    for number, cell in enumerate(cells, start=1):
        inside = np.argwhere((cell.nucleus < 0.75) & (labels[cell.window] == number))
        if not len(inside):
            continue
        rows, columns = np.ogrid[: cell.nucleus.shape[0], : cell.nucleus.shape[1]]
        for at in inside[rng.integers(len(inside), size=rng.integers(1, 5))]:
            distance = np.hypot(rows - at[0], columns - at[1])
            spot = 1 / (1 + np.exp((distance - scale * rng.uniform(1.8, 4)) * 1.6 / scale))
            spots[cell.window] = np.maximum(spots[cell.window], spot)
    return spots * (labels > 0)


def _grain(rng: Generator, shape: tuple[int, ...], sigma: float) -> Image:
    """Draw smooth noise of mean 0 and standard deviation 1."""
    noise = gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="wrap")
    standardised: Image = (noise - noise.mean()) / noise.std()
    return standardised


def _per_label(rng: Generator, labels: NDArray[np.int32], spread: float) -> Image:
    """Draw a log-normal brightness for every label, laid out as an image."""
    values: Image = np.exp(rng.normal(0, spread, labels.max() + 1)).astype(np.float32)
    return values[labels]


def _ratio(rng: Generator) -> float:
    """Draw the nucleus-to-cytoplasm ratio of a field: 1, or log-uniform up to 5 on either side."""
    if rng.random() < NO_CONTRAST:
        return 1.0
    return float(np.exp(rng.uniform(np.log(1.15), np.log(5)) * rng.choice([-1, 1])))


def _stain(rng: Generator, labels: NDArray[np.int32], nucleoli: Image, scale: float) -> NDArray[np.uint8]:
    """Draw the nuclear stain: bright nuclei with chromatin grain, dark nucleoli, hardly any background."""
    chromatin = 1 + 0.18 * _grain(rng, labels.shape, 1.3 * scale)
    image = (labels > 0) * _per_label(rng, labels, 0.25) * chromatin * (1 - 0.6 * nucleoli)
    return _expose(rng, 0.02 + image, rng.uniform(0.7, 1.3) * scale)


def _protein(
    rng: Generator,
    labels: NDArray[np.int32],
    owner: NDArray[np.int32],
    reach: Image,
    nucleoli: Image,
    scale: float,
) -> NDArray[np.uint8]:
    """Draw the protein channel: cytoplasm that thins out to the cell's edge, nucleus at the field's ratio."""
    shape = labels.shape
    thickness = np.clip(1 - np.clip(reach, 0, 2) ** rng.uniform(3, 6), 0, None) ** 0.7
    granular, coarse = _grain(rng, shape, rng.uniform(0.8, 1.5) * scale), _grain(rng, shape, 5 * scale)
    cytoplasm = thickness * np.clip(1 + rng.uniform(0.12, 0.3) * granular + 0.12 * coarse, 0.1, None)
    if rng.random() < 0.3:  # vesicles
        cytoplasm *= 1 + rng.uniform(0.5, 1.5) * (_grain(rng, shape, 1.1 * scale) > 2.2)
    fine = _grain(rng, shape, 0.9 * scale)
    nucleus = np.clip(1 + rng.uniform(0.04, 0.12) * fine + 0.06 * coarse, 0.1, None)
    nucleus *= 1 + rng.choice([-1, 1]) * rng.uniform(0.05, 0.35) * nucleoli
    inside = gaussian_filter((labels > 0).astype(np.float32), 0.7 * scale)
    rim = rng.uniform(0, 0.25) * 4 * inside * (1 - inside)
    ratio = _ratio(rng)
    spread = 0.0 if ratio == 1 else 0.06
    image = (1 - inside) * cytoplasm + inside * nucleus * ratio * _per_label(rng, labels, spread)
    image *= (1 - rim) * _per_label(rng, owner, 0.25)
    return _expose(rng, rng.uniform(0.01, 0.06) + image, rng.uniform(0.6, 1.3) * scale)


def _expose(rng: Generator, image: Image, blur: float) -> NDArray[np.uint8]:
    """Add optics and camera: blur, shot noise, read noise, 8 bits with a few saturated pixels."""
    image = gaussian_filter(image.astype(np.float32), blur)
    image /= max(float(np.quantile(image[::4, ::4], 0.998)), 1e-3)
    photons = rng.uniform(60, 300)
    shot = rng.poisson(image * photons) / photons
    noisy = shot + rng.normal(0, rng.uniform(0.002, 0.012), image.shape)
    return np.clip(noisy * rng.uniform(170, 250), 0, 255).round().astype(np.uint8)
