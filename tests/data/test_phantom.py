import numpy as np
from scipy import ndimage

from lexy.data.crops import CropRules, crop_field
from lexy.data.phantom import phantom_field

FIELDS = [phantom_field(3, index) for index in range(24)]


def ring_and_nucleus(index: int) -> tuple[np.ndarray, np.ndarray]:
    field = FIELDS[index]
    nuclei = ndimage.binary_erosion(field.labels > 0, iterations=4)
    around = ndimage.binary_dilation(field.labels > 0, iterations=6) & ~ndimage.binary_dilation(field.labels > 0)
    return field.protein[around].astype(float), field.protein[nuclei].astype(float)


def test_a_field_is_a_function_of_seed_and_index() -> None:
    for other in (phantom_field(3, 5), FIELDS[5]):
        np.testing.assert_array_equal(other.protein, FIELDS[5].protein)
        np.testing.assert_array_equal(other.nuclear, FIELDS[5].nuclear)
        np.testing.assert_array_equal(other.labels, FIELDS[5].labels)
    assert not np.array_equal(phantom_field(4, 5).protein, FIELDS[5].protein)
    assert not np.array_equal(FIELDS[4].protein, FIELDS[5].protein)
    assert len({field.name for field in FIELDS}) == 24


def test_nuclei_are_whole_bright_in_the_stain_and_of_the_asked_size() -> None:
    diameters = []
    for field in FIELDS:
        assert field.labels is not None
        assert (field.protein.dtype, field.nuclear.dtype, field.labels.dtype) == (np.uint8, np.uint8, np.int32)
        assert 1 <= field.labels.max() <= 8
        for number in range(1, field.labels.max() + 1):
            assert ndimage.label(field.labels == number)[1] == 1
        assert field.nuclear[field.labels > 0].mean() > 5 * field.nuclear[field.labels == 0].mean()
        inner = np.setdiff1d(field.labels, np.concatenate([field.labels[[0, -1]].ravel(), field.labels[:, 0]]))
        diameters += [2 * np.sqrt((field.labels == number).sum() / np.pi) for number in inner if number]
    assert 38 < np.mean(diameters) < 48


def test_contrast_is_none_positive_and_negative() -> None:
    ratios = []
    for index in range(24):
        around, nuclei = ring_and_nucleus(index)
        ratios.append(nuclei.mean() / around.mean())
    assert sum(ratio > 1.3 for ratio in ratios) >= 4
    assert sum(ratio < 0.75 for ratio in ratios) >= 4
    assert sum(0.87 < ratio < 1.15 for ratio in ratios) >= 4


def test_without_contrast_texture_still_differs() -> None:
    cues = []
    for index in range(24):
        around, nuclei = ring_and_nucleus(index)
        if 0.87 < nuclei.mean() / around.mean() < 1.15:
            cues.append(nuclei.std() / around.std())
    assert np.mean(cues) < 0.95


def test_fields_give_crops_by_the_published_rules() -> None:
    assert sum(len(crop_field(field.protein, field.labels, CropRules()).rows) for field in FIELDS) > 3 * len(FIELDS)


def test_other_sizes() -> None:
    field = phantom_field(0, 0, size=96, nuclei=(2, 3), diameter=16)
    assert field.protein.shape == field.nuclear.shape == (96, 96)
    assert field.labels is not None
    assert field.labels.max() in (2, 3)
