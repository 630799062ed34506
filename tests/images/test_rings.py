import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation

from lexy.images.filters import dilate_box, dilate_disc, ring
from lexy.images.rings import background, box_ring, label_rings

MASKS = arrays(bool, (14, 17), elements=st.sampled_from([False, False, False, False, True]))


@given(mask=MASKS, inner=st.sampled_from([0.0, 1.0, 2.0, 2.5]), width=st.sampled_from([1.0, 2.3, 4.0]))
def test_rings_of_labels_and_of_batches_are_the_same_pixels(mask, inner, width):
    masks = torch.from_numpy(mask)[None]
    assert np.array_equal(
        label_rings(mask.astype(int), inner, inner + width) > 0, ring(masks, inner, inner + width, dilate_disc)[0]
    )
    assert np.array_equal(box_ring(mask, 3), ring(masks[None].float(), 0, 3, dilate_box)[0, 0] > 0)
    assert np.array_equal(box_ring(mask, 3), binary_dilation(mask, np.ones((7, 7))) & ~mask)


def test_a_pixel_of_a_ring_belongs_to_the_nearest_nucleus():
    labels = np.zeros((5, 12), int)
    labels[2, 2], labels[2, 9] = 4, 7
    assert label_rings(labels, 1, 4)[2].tolist() == [4, 0, 0, 0, 4, 4, 7, 7, 0, 0, 0, 7]
    assert not label_rings(np.zeros((3, 3), int), 1, 4).any()


def test_the_background_is_the_first_percentile():
    assert background(np.arange(201.0).reshape(3, 67)) == 2
