"""Nearest-neighbour distances between the points of two stacks of images, for all images in one search."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class BatchedPoints:
    """The marked pixels of N images.

    Attributes
    ----------
    image : np.ndarray
        (P,) int, ascending: the image of each point.
    position : np.ndarray
        (P, 2) int: row and column.
    counts : np.ndarray
        (N,) int: points in each image.
    shape : tuple of int
        (N, H, W).
    """

    image: np.ndarray
    position: np.ndarray
    counts: np.ndarray
    shape: tuple[int, int, int]

    @classmethod
    def from_flat(cls, indices: np.ndarray, shape: tuple[int, int, int]) -> "BatchedPoints":
        """Points from sorted flat indices into an array of shape (N, H, W)."""
        image, row, column = np.unravel_index(indices, shape)
        return cls(image, np.stack([row, column], axis=1), np.bincount(image, minlength=shape[0]), shape)

    def within(self, images: np.ndarray) -> "BatchedPoints":
        """Only the points of the images where `images`, (N,) bool, is True."""
        kept = images[self.image]
        return BatchedPoints(self.image[kept], self.position[kept], np.where(images, self.counts, 0), self.shape)

    def spread(self) -> np.ndarray:
        """(P, 2) float64 coordinates on one plane, the images so far apart that nearest points share an image."""
        row, column = self.position.T
        return np.column_stack([row, column + self.image * (2.0 * (self.shape[1] + self.shape[2]))])


@dataclass(frozen=True)
class Distances:
    """Distances of one image's points after the other's: `values` (P,) in pixels, `starts` (M,) where images begin."""

    values: np.ndarray
    starts: np.ndarray

    def maximum(self) -> np.ndarray:
        """(M,) largest distance of each image."""
        return np.maximum.reduceat(self.values, self.starts) if len(self.starts) else np.empty(0)

    def split(self) -> list[np.ndarray]:
        """The distances of each of the M images."""
        return np.split(self.values, self.starts[1:]) if len(self.starts) else []


def directed_distances(first: BatchedPoints, second: BatchedPoints) -> tuple[np.ndarray, Distances, Distances]:
    """Distance from every point to the nearest one of the other set in the same image, both ways.

    Parameters
    ----------
    first, second : BatchedPoints
        Points of the same N images.

    Returns
    -------
    both : np.ndarray
        (N,) bool: images where both sets have points. Only these M images have distances.
    forth, back : Distances
        From `first` to `second`, and from `second` to `first`.
    """
    both = (first.counts > 0) & (second.counts > 0)
    sets = [points.within(both) for points in (first, second)]
    if not both.any():
        nothing = Distances(np.empty(0), np.empty(0, dtype=np.intp))
        return both, nothing, nothing
    clouds = [points.spread() for points in sets]
    found = []
    for cloud, other, points in zip(clouds, clouds[::-1], sets, strict=True):
        tree = cKDTree(other, leafsize=32, balanced_tree=False)
        starts = np.concatenate([[0], np.cumsum(points.counts[both])[:-1]])
        found.append(Distances(tree.query(cloud)[0], starts))
    return both, found[0], found[1]
