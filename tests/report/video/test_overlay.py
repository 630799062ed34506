import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from video_tables import SIDE, film, labels_of

from lexy.errors import UserError
from lexy.report.video import overlay
from lexy.report.video.overlay import (
    BAR,
    BLACK,
    GREYS,
    PALETTE,
    WHITE,
    Film,
    colour_of,
    encode_webp,
    write_gif,
    write_mp4,
)


def test_outlines_have_the_colour_of_the_id_and_the_rest_is_grey():
    painted = film().render(0, SIDE)
    assert set(painted[4, 4:14]) == {int(colour_of(np.array(7)))}
    assert set(painted[20:30, 10]) == {int(colour_of(np.array(300)))}
    assert painted[9, 9] == painted[25, 15] > painted[0, 0]
    assert (painted >= GREYS).sum() == 2 * (10 * 4 - 4)


def test_the_same_id_has_the_same_colour_in_every_frame():
    pictures = [film().render(at, SIDE) for at in (0, 5)]
    assert pictures[0][20, 12] == pictures[1][20, 17] == colour_of(np.array(300))


@given(st.integers(1, 2**31 - 1))
def test_every_id_has_a_colour_that_is_no_grey(one):
    red, green, blue = PALETTE[colour_of(np.array(one))].astype(int)
    assert max(red, green, blue) - min(red, green, blue) > 100


def test_one_range_for_the_whole_film():
    bright = film().render(5, SIDE)[0, 0], film().render(0, SIDE)[0, 0]
    assert bright[0] > bright[1] == BLACK
    constant = Film(lambda _: np.full((8, 8), 3, np.float32), lambda _: np.zeros((8, 8), np.int32), 2)
    assert set(constant.render(1, 8).ravel()) == {BLACK}


def test_large_frames_shrink_and_keep_their_ids():
    large = Film(
        lambda at: np.kron(film().frame(at), np.ones((5, 5), np.float32)),
        lambda at: np.kron(labels_of(at), np.ones((5, 5), np.int32)),
        6,
    )
    np.testing.assert_array_equal(large.render(3, SIDE), film().render(3, SIDE))


def test_small_frames_are_enlarged_by_whole_numbers():
    assert film().render(0, 130).shape == (3 * SIDE, 3 * SIDE)
    tall = Film(lambda _: np.zeros((90, 10), np.float32), lambda _: np.zeros((90, 10), np.int32), 1)
    assert tall.render(0, 100).shape == (90, 10)


@pytest.mark.parametrize(
    ("interval", "at", "caption"),
    [(20.0, 2, "40 s"), (0.5, 3, "1.5 s"), (20.0, 10, "3 min 20 s"), (59.9, 2, "2 min 00 s"), (np.nan, 4, "frame 4")],
)
def test_times_are_written_as_read(interval, at, caption):
    assert film(interval=interval).caption(at) == caption


def test_the_time_stands_below_the_frame():
    stamped = film().render_with_time(0, 4 * SIDE)
    np.testing.assert_array_equal(stamped[:-BAR], film().render(0, 4 * SIDE))
    assert (stamped[-BAR:] == WHITE).any()
    assert (stamped[-BAR:] < GREYS).all()


@given(st.integers(1, 300), st.integers(1, 300))
def test_frames_are_spread_from_the_first_to_the_last(frames, count):
    spread = film(frames).spaced_frames(count)
    assert len(spread) == min(frames, count)
    assert spread[0] == 0
    assert count == 1 or spread[-1] == frames - 1
    assert np.diff(spread, n=2).size == 0 or np.ptp(np.diff(spread)) <= 1


def test_gif_holds_every_frame_with_its_colours(tmp_path):
    path = write_gif(film(), tmp_path / "new" / "film.gif", width=4 * SIDE, fps=5)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (6, (160, 160 + BAR), 200)
        for at in range(6):
            gif.seek(at)
            np.testing.assert_array_equal(
                np.asarray(gif.convert("RGB")), PALETTE[film().render_with_time(at, 4 * SIDE)]
            )
    assert [one.name for one in path.parent.iterdir()] == ["film.gif"]


def test_of_a_long_film_frames_are_shown_evenly(tmp_path):
    with Image.open(write_gif(film(20), tmp_path / "film.gif", width=SIDE, most=4)) as gif:
        assert gif.n_frames == 4


def test_frames_are_read_one_by_one(tmp_path):
    """What a caller's frame holds is free again before the next is read, but for the range."""
    read = []
    watched = Film(lambda at: (read.append(at), film().frame(at))[1], labels_of, 6)
    assert watched.range[0] < watched.range[1]
    read.clear()
    write_gif(watched, tmp_path / "film.gif")
    assert read == list(range(6))


def test_a_broken_frame_leaves_the_film_before_it(tmp_path):
    path = write_gif(film(), tmp_path / "film.gif", width=SIDE)
    before = path.read_bytes()

    def labels(at):
        if at == 3:
            raise OSError("gone")
        return labels_of(at)

    with pytest.raises(OSError, match="gone"):
        write_gif(Film(film().frame, labels, 6), path, width=SIDE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_webp_is_a_film(tmp_path):
    (tmp_path / "film.webp").write_bytes(encode_webp(film(), width=SIDE, most=3))
    with Image.open(tmp_path / "film.webp") as image:
        assert image.n_frames == 3


def test_mp4_where_it_can_be_written(tmp_path):
    reader = pytest.importorskip("imageio_ffmpeg")
    odd = Film(lambda at: film().frame(at)[:-1, :-1], lambda at: labels_of(at)[:-1, :-1], 6)
    path = write_mp4(odd, tmp_path / "film.mp4", width=117)
    frames = list(reader.read_frames(str(path)))
    assert frames[0]["size"] == (118, 117 + BAR + 1)
    assert len(frames[1:]) == 6
    assert [one.name for one in tmp_path.iterdir()] == ["film.mp4"]


def test_mp4_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(overlay, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"lexy\[video\]"):
        write_mp4(film(), tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
