import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from lexy.randomness import generator
from lexy.tasks.augmentation import Augmentation, warp

NOTHING = {"flip": 0.0, "quarter_turns": "none"}


def clip(batch=4, time=1, height=32, width=32, seed=0):
    draw = torch.Generator().manual_seed(seed)
    frames = torch.rand(batch, time, 1, height, width, generator=draw)
    return {"frames": frames, "masks": (frames > 0.6).float(), "labelled": torch.ones(batch, time, dtype=torch.bool)}


def test_nothing_changes_nothing():
    given_ = clip()
    out = Augmentation(**NOTHING)(given_, (0, 0, 0))
    torch.testing.assert_close(out["frames"], given_["frames"], rtol=0, atol=1e-5)
    assert torch.equal(out["masks"], given_["masks"])


def test_flips_and_quarter_turns_are_the_eight_symmetries_and_move_the_mask_alike():
    source = clip(batch=64)
    out = Augmentation(flip=0.5, quarter_turns="clip")(source, (0, 3, 1))
    seen = set()
    for index in range(64):
        symmetries = {
            (turn, flip): torch.rot90(
                source["frames"][index, 0, 0].flip(0) if flip else source["frames"][index, 0, 0], turn
            )
            for turn in range(4)
            for flip in (False, True)
        }
        name = min(symmetries, key=lambda s: (symmetries[s] - out["frames"][index, 0, 0]).abs().max())
        assert (symmetries[name] - out["frames"][index, 0, 0]).abs().max() < 1e-4
        seen.add(name)
    assert torch.equal(out["masks"], (out["frames"] > 0.6).float())
    assert len(seen) == 8


def test_frames_of_one_clip_move_together():
    still = clip(batch=8)
    twice = {key: value.expand(-1, 2, *value.shape[2:]) for key, value in still.items()}
    out = Augmentation(rotation=90, log_scale=0.3, shear=10, shift=0.1, gain=0.2, gamma=0.2, blur=2)(twice, (5, 0, 0))
    torch.testing.assert_close(out["frames"][:, 0], out["frames"][:, 1])
    assert not torch.allclose(out["frames"][0], out["frames"][1])


def test_a_draw_is_a_function_of_its_key_alone():
    augmentation = Augmentation(rotation=45, gain=0.2, noise=0.1, blur=1)
    torch.manual_seed(1)
    first = augmentation(clip(), (7, 2, 3))
    torch.manual_seed(2)
    torch.rand(5)
    again, other = augmentation(clip(), (7, 2, 3)), augmentation(clip(), (7, 2, 4))
    assert torch.equal(first["frames"], again["frames"])
    assert not torch.equal(first["frames"], other["frames"])


def test_published_quarter_turn_is_one_for_the_whole_run():
    augmentation = Augmentation(flip=0.0, quarter_turns="run")
    matrices = [
        augmentation.matrices(8, generator("test", seed, step), seed, (32, 32))
        for seed in (0, 1, 2, 3)
        for step in (0, 1)
    ]
    for first, second in zip(matrices[::2], matrices[1::2], strict=True):
        torch.testing.assert_close(first, second)
        torch.testing.assert_close(first, first[:1].expand_as(first))
    assert len({tuple(m[0, :, :2].round().flatten().tolist()) for m in matrices}) > 1


def test_quarter_turns_of_frames_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"augmentation\.quarter_turns=none"):
        Augmentation()(clip(width=48), (0, 0, 0))


@settings(max_examples=25)
@given(
    angle=st.floats(-180, 180),
    scale=st.floats(0.7, 1.4),
    shift=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    size=st.tuples(st.integers(24, 40), st.integers(24, 40)),
)
def test_warp_is_skimages_about_the_centre(angle, scale, shift, size):
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    image = np.exp(-(((rows - height / 2) / 5) ** 2 + ((columns - width / 2 + 4) / 3) ** 2)).astype(np.float32)
    turn = math.radians(angle)
    linear = scale * torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    matrix = torch.cat([linear, torch.tensor(shift)[:, None]], dim=1)[None]
    frames = torch.from_numpy(image)[None, None, None]
    out, _ = warp(frames, torch.zeros_like(frames), matrix)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    full = np.eye(3)
    full[:2, :2] = linear
    full[:2, 2] = centre - full[:2, :2] @ centre + np.array(shift)
    expected = skimage_warp(image, AffineTransform(full), order=1, mode="constant", cval=0, preserve_range=True)
    assert np.abs(out[0, 0, 0].numpy() - expected).max() < 2e-3


def test_noise_gain_and_blur_do_what_their_names_say():
    flat = {**clip(batch=64), "frames": torch.full((64, 1, 1, 32, 32), 0.5)}
    noisy = Augmentation(**NOTHING, noise=0.2)(flat, (1,))["frames"]
    spread = noisy.flatten(1).std(1)
    assert 0.05 < spread.mean() < 0.15
    assert spread.max() < 0.22
    bright = Augmentation(**NOTHING, gain=0.3)(flat, (1,))["frames"].mean((1, 2, 3, 4)).log()
    assert abs(bright.mean() - math.log(0.5)) < 0.15
    assert 0.2 < bright.std() < 0.4
    blurred = Augmentation(**NOTHING, blur=2.0)(clip(batch=64), (1,))["frames"]
    changed = (blurred - clip(batch=64)["frames"]).abs().amax((1, 2, 3, 4)) > 1e-3
    assert 16 < changed.sum() < 48
    assert blurred[changed].std() < clip(batch=64)["frames"][changed].std()


def test_instances_and_known_pixels_move_with_the_mask_and_what_comes_in_is_not_known():
    source = clip(batch=6, time=2)
    source["instances"] = (source["masks"][:, :, 0] * torch.tensor([7.0, 300.0]).view(1, 2, 1, 1)).int()
    source["known"] = torch.ones_like(source["masks"], dtype=torch.bool)
    out = Augmentation(flip=0.5, quarter_turns="clip")(source, (0, 3, 1))
    assert torch.equal(out["instances"] > 0, out["masks"][:, :, 0] > 0)
    assert set(out["instances"].unique().tolist()) == {0, 7, 300}
    assert out["instances"].dtype == torch.int32
    assert out["known"].all()
    source["frames"] = torch.ones_like(source["frames"])  # becomes the share that is from inside
    shifted = Augmentation(**NOTHING, shift=0.4)(source, (0, 0, 0))
    assert not shifted["known"].all()
    assert shifted["frames"][~shifted["known"]].max() <= 0.5
    assert shifted["frames"][shifted["known"]].min() >= 0.25
