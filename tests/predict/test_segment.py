import tracemalloc

import numpy as np
import pytest
import torch
from memory_video import Bright, Carry, Late, MemoryVideo, disc, discs, trained

from lexy.errors import UserError
from lexy.images.instances import Instances
from lexy.images.intensity import VideoPercentiles
from lexy.predict import pipeline, processors
from lexy.predict.pipeline import track_nuclei

SHAPE, DIAMETER = (50, 70), 12.0
CENTRES = [(15, 15), (15, 26), (35, 50)]  # the first two touch


def frames(count=4, contrast=None, seed=0):
    """Three nuclei that move to the right by a pixel a frame; `contrast` of each frame."""
    noise = np.random.default_rng(seed).normal(0, 5, (count, *SHAPE))
    contrast = contrast or [1] * count
    masks = [discs(SHAPE, [(r, c + time) for r, c in CENTRES], DIAMETER) for time in range(count)]
    return 200 + noise + 800 * np.array(contrast)[:, None, None] * np.array(masks)


def labels_of(time=0, numbers=(1, 2, 3)):
    labels = np.zeros(SHAPE, np.int32)
    for number, (row, column) in zip(numbers, CENTRES, strict=True):
        labels[disc(SHAPE, row, column + time, DIAMETER)] = number
    return labels


def run(video, network, frame_network=None, high=99.8, **settings):
    settings = {"diameter": DIAMETER, **settings}
    of_training = trained(network, frame_network, intensity=VideoPercentiles(0, high).settings())
    return track_nuclei(MemoryVideo(video), of_training, processors.cpu(), **settings)


def test_each_nucleus_is_found_at_its_place_under_one_id():
    with run(frames(), Bright()) as result:
        assert (result.n_frames, result.shape, result.started) == (4, SHAPE, None)
        assert result.table.columns.tolist() == ["frame", "id", "row", "column", "area_px", "confidence", "flags"]
        assert result.table["frame"].tolist() == [t for t in range(4) for _ in range(3)]
        assert result.table["id"].tolist() == [1, 2, 3] * 4
        for row in result.table.itertuples():
            centre = CENTRES[row.id - 1]
            assert np.hypot(row.row - centre[0], row.column - centre[1] - row.frame) < 1
            assert (result.labels(row.frame) == row.id).sum() == row.area_px
            assert row.area_px == pytest.approx(np.pi * 36, rel=0.15)
            assert row.confidence > 0.7
        assert set(result.table["flags"]) == {"", "touching"}
        assert result.labels(0).dtype == np.int32
        assert result.probability(0).dtype == np.float32
        assert result.probability(0).shape == SHAPE


def test_the_folder_goes_with_the_context(tmp_path):
    with run(frames(), Bright(), folder=tmp_path) as result:
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())
    assert len(result.table) == 12


def test_nothing_is_left_behind_by_a_mistake(tmp_path):
    class Broken(Bright):
        def step(self, state, frame):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run(frames(), Broken(), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_carried_mask_starts_on_the_frame_with_most_contrast():
    with run(frames(5, [0.1, 0.5, 0.8, 1, 0.7]), Carry(), Bright(), high=99.9) as result:
        assert result.started == 3
        # what is carried never moves: it is where the nuclei were in frame 3, before it and after it
        assert result.table["frame"].value_counts().to_dict() == dict.fromkeys(range(5), 3)
        first = result.table[result.table["frame"] == 0]
        assert first["column"].tolist() == pytest.approx([c + 3 for _, c in CENTRES], abs=1)


def test_a_given_mask_starts_anew_and_is_taken_as_it_is():
    given = {1: labels_of(1, (7, 4, 9)), 3: labels_of(3, (7, 4, 2))}
    with run(frames(5), Carry(), given=given) as result:
        assert result.started is None
        for frame, labels in given.items():
            kept = labels if frame == 1 else np.where(labels == 2, 9, labels)  # one nucleus, one id: the first one's
            assert (result.labels(frame) == kept).all()
        columns = result.table.pivot_table(index="frame", columns="id", values="column")
        for nucleus, place in ((7, 15), (4, 26), (9, 50)):
            assert columns[nucleus].tolist() == pytest.approx([place + t for t in (1, 1, 1, 3, 3)], abs=0.7)
        assert set(result.table["id"]) == {4, 7, 9}


def test_a_network_without_memory_takes_given_masks_too():
    with run(frames(3), Bright(), given={1: labels_of(1, (3, 2, 1))}) as result:
        assert (result.labels(1) == labels_of(1, (3, 2, 1))).all()
        assert result.table["id"].tolist() == [1, 2, 3] * 3
        assert result.table.query("frame == 0").set_index("id")["column"][3] == pytest.approx(15, abs=1)


def test_a_blink_is_filled_and_flagged():
    video = frames(5)
    video[2][disc(SHAPE, *(35, 52), 18)] = 200  # the third is not seen in frame 2
    with run(video, Bright()) as result:
        third = result.table[result.table["id"] == 3].set_index("frame")
        assert third["flags"].tolist() == ["", "", "filled", "", ""]
        assert third.loc[2, ["column", "confidence"]].tolist() == pytest.approx([52, 0], abs=1)
        assert (result.labels(2) == 3).sum() == third.loc[2, "area_px"] == third.loc[1, "area_px"]


def test_frames_are_read_one_after_the_other():
    class Counting(MemoryVideo):
        seen = ()

        def read(self, frame):
            self.seen = (*self.seen, frame)
            return super().read(frame)

    video = Counting(frames(3))
    track_nuclei(video, trained(Bright()), processors.cpu(), diameter=DIAMETER).close()
    assert video.seen == (0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0, 1, 2)  # intensity, twice; start; network; dark places


def test_only_what_lies_where_the_video_is_always_empty_is_removed(monkeypatch):
    cell, nothing = CENTRES[0], CENTRES[2]
    labels = np.zeros(SHAPE, np.int32)
    labels[disc(SHAPE, *cell, DIAMETER)], labels[disc(SHAPE, *nothing, DIAMETER)] = 1, 2
    monkeypatch.setattr(pipeline, "decode", lambda *_: Instances(labels.copy(), 0, 0))
    video = np.random.default_rng(0).normal(200, 20, (4, *SHAPE))
    video[:2, labels == 1] += 300  # then it is as bright as all around it, as in a field without an empty place
    with run(video, Bright()) as result:
        assert result.table[["frame", "row"]].to_numpy().tolist() == [[frame, cell[0]] for frame in range(4)]
        assert result.cleaned["dark"].tolist() == [1] * 4
        assert (result.labels(3) > 0).sum() == (labels == 1).sum()


def test_memory_does_not_grow_with_the_number_of_frames():
    class Endless(MemoryVideo):
        def __init__(self, n_frames):
            super().__init__(np.kron(frames(1)[0], np.ones((2, 2)))[None])
            self.n_frames = n_frames

        def read(self, frame):
            return self.frames[0]

    def peak(n_frames):
        tracemalloc.start()
        track_nuclei(Endless(n_frames), trained(Bright()), processors.cpu(), diameter=2 * DIAMETER).close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(2)  # what is imported or cached the first time
    assert peak(12) - peak(2) < 0.2 * 10 * 50 * 70 * 4 * 6  # 6 bytes a pixel, were labels and probabilities kept


def test_a_network_that_sees_whole_clips_finds_nuclei_by_later_frames():
    video = frames(5, [0, 0, 0.5, 1, 0])  # Late takes the brightest of all frames
    with run(video, Late()) as result, run(np.max(video, axis=0, keepdims=True).repeat(5, 0), Bright()) as expected:
        assert result.started is None
        assert len(result.table) == 3 * 5
        for frame in range(5):
            assert np.abs(result.probability(frame) - expected.probability(frame)).mean() < 0.01


def test_a_network_that_sees_whole_clips_has_given_masks_as_they_are(tmp_path):
    with run(frames(3), Late(), given={1: labels_of(1, (3, 2, 1))}, folder=tmp_path) as result:
        assert (result.labels(1) == labels_of(1, (3, 2, 1))).all()
        assert result.table["id"].tolist() == [1, 2, 3] * 3
        (place,) = tmp_path.iterdir()
        assert {path.name for path in place.iterdir()} == {"foreground", "distance", "labels"}  # nothing of the clip


def test_distances_of_a_network_part_nuclei():
    with run(frames(2), Late(distance=0.5)) as result:  # even ones: what touches is one
        assert result.distance(0).min() == result.distance(1).max() == 0.5
        assert result.table["frame"].value_counts().to_dict() == {0: 2, 1: 2}
    with run(frames(2), Late()) as result:
        assert result.distance(0) is None
        assert result.table["frame"].value_counts().to_dict() == {0: 3, 1: 3}


@pytest.mark.parametrize("network", [Bright(), Late()])
def test_an_accelerator_finds_the_same(network):
    with (
        track_nuclei(MemoryVideo(frames()), trained(network), processors.cpu(), diameter=DIAMETER) as result,
        track_nuclei(
            MemoryVideo(frames()), trained(network), processors.accelerator(torch.device("cpu")), diameter=DIAMETER
        ) as other,
    ):
        assert (result.labels(2) == other.labels(2)).all()
        assert np.abs(result.probability(2) - other.probability(2)).max() < 2e-3


def test_an_empty_video_has_an_empty_table():
    video = np.random.default_rng(0).normal(100, 5, (2, *SHAPE))
    video[:, 20:22, 20:22] = 3000
    with run(video, Bright(), high=100) as result:
        assert result.table.empty
        assert result.table.columns.tolist() == ["frame", "id", "row", "column", "area_px", "confidence", "flags"]
        assert result.cleaned["specks"].tolist() == [1, 1]
        assert result.labels(1).max() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": Carry()}, "frame_network=PATH"),
        ({"given": {9: labels_of()}}, "frame 9.* frames 0 to 3"),
        ({"given": {0: labels_of()[:40]}}, "40 × 70 px, but memory is 50 × 70"),
        ({"given": {0: labels_of() * 0}}, "frame 0 is empty"),
        ({"diameter": None}, "--diameter"),
        ({"overlap": 1.5}, "overlap=1.5"),
    ],
)
def test_mistakes(settings, message):
    settings = {"network": Bright(), **settings}
    with pytest.raises(UserError, match=message):
        run(frames(), **settings)


def test_a_start_that_finds_nothing():
    class Blind(Bright):
        def step(self, state, frame):
            return 0 * frame - 5, state

    with pytest.raises(UserError, match="No nucleus was found in any of 4 frames"):
        run(frames(), Carry(), Blind())
