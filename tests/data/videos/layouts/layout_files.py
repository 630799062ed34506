"""Frames and masks that tests of layouts write."""

import numpy as np


def image(value=0, shape=(6, 8)):
    return np.full(shape, value, np.uint16)


def nucleus(shape=(6, 8)):
    mask = np.zeros(shape, np.uint16)
    mask[2:4, 3:6] = 255
    return mask
