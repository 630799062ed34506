from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from lexy.data.nucleus_size import ENOUGH, evenly, nucleus_diameter
from lexy.data.stills import Batches, HPAStills, PhantomStills, StillClips
from lexy.data.store import Stills
from lexy.errors import UserError


@pytest.fixture(scope="module")
def phantom():
    return PhantomStills(fields=10, size=64, crop_size=32, batch_size=4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_batch_is_a_clip_of_one_frame_in_the_unit_range(dtype):
    top = np.iinfo(dtype).max
    images = np.array([[[0, top], [top // 5, 0]]] * 3, dtype)
    masks = np.array([[[0, 1], [0, 0]]] * 3, np.uint8)
    table = pd.DataFrame({"crop": ["a#1", "a#2", "b#1"], "field": ["a", "a", "b"]})
    clip = StillClips(Stills(torch.from_numpy(images), torch.from_numpy(masks), table, {}))[[2, 0]]
    assert clip["frames"].shape == clip["masks"].shape == (2, 1, 1, 2, 2)
    torch.testing.assert_close(clip["frames"][0, 0, 0], torch.tensor([[0.0, 1.0], [0.2, 0.0]]), atol=1e-4, rtol=0)
    assert clip["masks"].unique().tolist() == [0, 1]
    assert clip["labelled"].all()
    assert (clip["video"], clip["group"]) == (["b#1", "a#1"], ["b", "a"])


def test_order_is_a_function_of_seed_and_epoch():
    batches = Batches(range(10), 4, seed=3)
    first = list(batches)
    torch.rand(3)
    assert list(batches) == first
    batches.set_epoch(1)
    second = list(batches)
    assert second != first
    assert sorted(chain.from_iterable(second)) == list(range(10))
    assert [len(batch) for batch in second] == [4, 4, 2]
    assert list(chain.from_iterable(Batches(range(10), 4))) == list(range(10))


def test_an_interrupted_epoch_goes_on_with_the_batches_that_are_left():
    batches = Batches(range(10), 4, seed=3)
    every = list(batches)
    batches.done = 2
    assert list(batches) == every[2:]
    assert list(batches) == every  # the next epoch is whole again


def test_splits_are_whole_and_by_field(phantom):
    rows = [set(phantom.rows(split)) for split in ("train", "val", "test")]
    assert sum(len(part) for part in rows) == len(set.union(*rows)) == len(phantom.stills.table)
    fields = [set(phantom.stills.table["field"].iloc[list(part)]) for part in rows]
    assert sum(len(part) for part in fields) == len(set.union(*fields)) == 10


def test_every_field_is_tested_in_one_fold_and_never_chosen_by_there():
    tested, all_fields = [], set()
    for fold in range(5):
        data = PhantomStills(fields=10, size=64, crop_size=32, fold=fold)
        field = data.stills.table["field"]
        test, val = (set(field.iloc[data.rows(split)]) for split in ("test", "val"))
        assert not test & val
        assert not test & set(field.iloc[data.rows("train")])
        tested += sorted(test)
        all_fields |= set(field)
    assert sorted(tested) == sorted(all_fields)


def test_the_phantom_is_known_by_its_settings():
    same, other = PhantomStills(fields=10, batch_size=2), PhantomStills(fields=11)
    assert same.fingerprint() == PhantomStills(fields=10, fold=1, seed=5).fingerprint() != other.fingerprint()
    assert PhantomStills.embedded
    assert not HPAStills.embedded


def test_a_missing_store_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="lexy-prepare"):
        HPAStills(str(tmp_path / "gone")).fingerprint()


def test_a_fold_too_many_is_refused():
    with pytest.raises(UserError, match="numbered from 0 to 4"):
        PhantomStills(fields=10, size=64, crop_size=32, fold=5).rows("test")


def test_a_checkpoint_is_told_how_large_nuclei_are(phantom):
    told = phantom.describe()
    masks = phantom.stills.masks.numpy()[phantom.rows("train")] > 0
    assert told["nucleus_diameter"] == nucleus_diameter(masks)
    assert (told["crop_size"], told["pixel_size"]) == ([32, 32], None)


def test_the_diameter_is_that_of_a_disc_and_counts_whole_nuclei():
    masks = np.zeros((2, 20, 20), bool)
    masks[0, 2:6, 2:6] = masks[0, 8:14, 8:14] = True  # 16 and 36 px
    masks[1, 5:13, 5:13] = True  # 64 px
    masks[1, 16:, :18] = True  # cut by the border
    assert nucleus_diameter(masks) == pytest.approx(2 * np.sqrt(36 / np.pi))
    assert nucleus_diameter(masks[:, 15:]) == pytest.approx(2 * np.sqrt(72 / np.pi))  # nothing whole
    assert nucleus_diameter(np.zeros((3, 4, 4), bool)) is None


def test_no_more_masks_are_looked_at_than_needed():
    assert evenly(3).tolist() == [0, 1, 2]
    many = evenly(100_000)
    assert (len(many), many[0], many[-1]) == (ENOUGH, 0, 99_999)
