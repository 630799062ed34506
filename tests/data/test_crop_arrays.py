from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.data import crop_arrays
from lexy.data.crop_arrays import CropArrays, read_arrays, read_crops

Piece = tuple[np.ndarray, np.ndarray]


def piece(count: int, dtype: type = np.uint8, size: int = 4, seed: int = 0) -> Piece:
    rng = np.random.default_rng([seed, count])
    images = rng.integers(0, np.iinfo(dtype).max, (count, size, size), endpoint=True).astype(dtype)
    return images, rng.integers(0, 2, (count, size, size)).astype(np.uint8)


def write(path: Path, pieces: list[Piece]) -> None:
    arrays = CropArrays(path)
    for images, masks in pieces:
        arrays.append(images, masks)
    arrays.flush()


def files(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def shards(path: Path, name: str = "images") -> int:
    return sum(1 for file in (path / name / "c").rglob("*") if file.is_file())


pieces = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from([np.uint8, np.uint8, np.uint16])), min_size=1, max_size=6
)


@settings(max_examples=15)
@given(pieces, st.integers(0, 10))
def test_written_in_pieces_or_merged_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[int, type]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    given = [piece(count, dtype, seed=at) for at, (count, dtype) in enumerate(kinds)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crop_arrays, "CHUNK", 2)
        patch.setattr(crop_arrays, "SHARD", 6)
        write(folder / "whole", given)
        merged = CropArrays(folder / "merged")
        for at, part in enumerate((given[:cut], given[cut:])):
            if part:
                write(folder / f"part{at}", part)
                merged.append_from(folder / f"part{at}")
        merged.flush()
    images, masks = read_arrays(folder / "whole")
    wide = any(dtype == np.uint16 for _, dtype in kinds)
    assert images.dtype == (np.uint16 if wide else np.uint8)
    expected = [part.astype(np.uint16) * 257 if wide and part.dtype == np.uint8 else part for part, _ in given]
    np.testing.assert_array_equal(images, np.concatenate(expected))
    np.testing.assert_array_equal(masks, np.concatenate([part for _, part in given]))
    assert shards(folder / "whole") == shards(folder / "whole", "masks") == -(-len(images) // 6)
    assert files(folder / "merged") == files(folder / "whole")


def test_only_whole_shards_are_written_before_the_end(tmp_path: Path) -> None:
    arrays = CropArrays(tmp_path / "crops.zarr")
    for _ in range(64):
        arrays.append(*piece(63, size=2))
    assert shards(tmp_path / "crops.zarr") == shards(tmp_path / "crops.zarr", "masks") == 1
    assert len(read_arrays(tmp_path / "crops.zarr")[0]) == 2048
    arrays.flush()
    assert len(read_arrays(tmp_path / "crops.zarr")[0]) == 64 * 63
    assert shards(tmp_path / "crops.zarr") == shards(tmp_path / "crops.zarr", "masks") == 2
    group = zarr.open_group(tmp_path / "crops.zarr", mode="r")
    assert {array.chunks for _, array in group.arrays()} == {(64, 2, 2)}
    assert {array.shards for _, array in group.arrays()} == {(2048, 2, 2)}


def test_the_larger_the_crops_the_fewer_in_a_file(tmp_path: Path) -> None:
    for size, count in ((128, 2048), (129, 1984), (256, 512)):
        write(tmp_path / str(size), [piece(1, size=size)])
        assert zarr.open_group(tmp_path / str(size), mode="r")["images"].shards == (count, size, size)


def test_wider_images_after_whole_shards_widen_what_is_written(tmp_path: Path) -> None:
    first, second = piece(2100, size=2), piece(1, np.uint16, size=2)
    write(tmp_path / "crops.zarr", [first, second])
    images, _ = read_arrays(tmp_path / "crops.zarr")
    np.testing.assert_array_equal(images, np.concatenate([first[0].astype(np.uint16) * 257, second[0]]))
    assert {path.name for path in (tmp_path / "crops.zarr").iterdir()} == {"images", "masks", "zarr.json"}


def test_some_crops_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    images, masks = piece(300)
    write(tmp_path / "crops.zarr", [(images, masks)])
    rows = np.array([299, 3, 64, 65, 0])
    found = read_crops(tmp_path / "crops.zarr", rows)
    np.testing.assert_array_equal(found[0], images[rows])
    np.testing.assert_array_equal(found[1], masks[rows])


def test_nothing_appended_nothing_written(tmp_path: Path) -> None:
    write(tmp_path / "crops.zarr", [piece(0)])
    assert not (tmp_path / "crops.zarr").exists()


@pytest.mark.parametrize("wrong", [(piece(2)[0], piece(3)[1]), piece(2, size=5), (piece(2)[0], piece(2, size=5)[1])])
def test_crops_of_another_shape_are_refused(tmp_path: Path, wrong: Piece) -> None:
    arrays = CropArrays(tmp_path / "crops.zarr")
    arrays.append(*piece(2))
    with pytest.raises(ValueError, match="crops before"):
        arrays.append(*wrong)
