"""Networks see the same values of the same raw frames when they are trained and when `lexy-predict` uses them."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from lexy.checkpoint import facts, open_trained
from lexy.data.lexy import LexyVideos
from lexy.data.stills import StillsData
from lexy.data.store import Stills
from lexy.data.videos.preparation import ModernPreparation, PublishedPreparation
from lexy.data.videos.recording import Recording
from lexy.io.video import open_video
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.predict.scale import Field, Scale, scaling_of

SIDE = 48
BACKBONE = {"_target_": "lexy.networks.vanilla.Vanilla", "_partial_": True, "width": 4, "depth": 2}


def recording(number, kind=np.uint16):
    """A cell whose protein leaves the nucleus, with noise and a bright speck."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    nucleus, cell = np.hypot(rows - 24, columns - 22) < 8, np.hypot(rows - 24, columns - 26) < 17
    noise = np.random.default_rng(number).normal(0, 60, (6, SIDE, SIDE))
    time = np.arange(6)[:, None, None]
    light = 400 + 2600 * cell * (0.4 + 0.06 * time) + 2600 * nucleus * (1 - 0.12 * time) + noise
    light[:, 3:6, 3:6] += 9000
    masks = np.repeat(nucleus[None], 6, axis=0)
    return Recording(f"C{number}", light.clip(0).astype(kind), masks, np.ones(6, bool), tuple(range(6)))


class Layout:
    def recordings(self, folder):
        return [recording(number) for number in range(4)]


class Crops(StillsData):
    """Stills as crops are: each divided by its own maximum, over the whole range of its type."""

    name = "crops"

    def __init__(self, images):
        super().__init__(batch_size=len(images), fold=None, seed=0, shuffle=False)
        scaled = np.rint(images / images.max((1, 2), keepdims=True) * 255).astype(np.uint8)
        table = pd.DataFrame({"crop": list("abcd"), "field": list("abcd"), "split": ["train", "val", "test", "test"]})
        masks = torch.from_numpy((images > 100).astype(np.uint8))
        self.made = Stills(torch.from_numpy(scaled), masks, table, {})

    def read(self):
        return self.made

    def fingerprint(self):
        return "crops"


def predicted(data, frames, folder):
    """Frames as `lexy-predict` gives them to a network that was trained on `data`, at the scale of the video."""
    network = UNet(partial(Vanilla, width=4, depth=2))
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    spec = {"_target_": "lexy.networks.unet.UNet", "backbone": BACKBONE}
    torch.save({"state_dict": state, "lexy": facts(spec, data.describe())}, folder / "a.ckpt")
    with open_video(frames) as video:
        field = Field(video, Scale(1.0, 16.0), scaling_of(video, open_trained(folder / "a.ckpt")))
        return np.stack([field.frame(frame).numpy() for frame in range(video.n_frames)])


@pytest.mark.parametrize(
    "preparation",
    [
        PublishedPreparation(crop=None, size=SIDE),
        PublishedPreparation(crop=None, size=SIDE, background=0.3),
        ModernPreparation(size=SIDE),
        ModernPreparation(size=SIDE, low=5, high=95),
    ],
    ids=["published", "published, brighter", "modern", "modern, 5 to 95 %"],
)
def test_videos(preparation, tmp_path):
    data = LexyVideos("folder", Layout(), preparation, fold=0)
    (clip,) = data.loader("test")
    seen = predicted(data, recording(0).frames, tmp_path)
    np.testing.assert_allclose(seen, clip["frames"][0, :, 0].numpy(), rtol=1e-5, atol=1e-6)
    assert seen.std() > 0.01


def test_preparations_differ_in_what_a_nucleus_becomes(tmp_path):
    """What made it matter: one network would be given a tenth of the light that another is given."""
    preparations = PublishedPreparation(crop=None, size=SIDE), ModernPreparation(size=SIDE, low=5, high=95)
    raw = recording(0)
    means = []
    for preparation in preparations:
        data = LexyVideos("folder", Layout(), preparation, fold=0)
        means.append(float(predicted(data, raw.frames, tmp_path)[raw.masks].mean()))
    assert means[1] > 4 * means[0]


def test_stills(tmp_path):
    """A crop is divided by its own maximum, a video by its 99.8th percentile above the 0.5th one.

    They are the same for frames whose darkest pixels are black and whose brightest are more than a few.
    """
    images = np.random.default_rng(0).integers(0, 201, (4, SIDE, SIDE)).astype(float)
    images[:, :2], images[:, -2:] = 0, 200
    data = Crops(images)
    clips = torch.cat([clip["frames"] for split in ("train", "val", "test") for clip in data.loader(split)])
    seen = predicted(data, images.astype(np.uint8), tmp_path)
    np.testing.assert_allclose(seen, clips[:, 0, 0].numpy(), atol=0.5 / 255 + 1e-6)  # crops are stored in 8 bits
