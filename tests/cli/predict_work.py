"""What the tests of `lexy-predict` share: a small video of two cells whose nuclei get dark and come back."""

from functools import partial

import numpy as np
import tifffile
import torch
from skimage.draw import disk

from lexy.checkpoint import facts
from lexy.networks.movenet import MoveNet
from lexy.networks.vanilla import Vanilla

SPEC = {
    "_target_": "lexy.networks.movenet.MoveNet",
    "backbone": {"_target_": "lexy.networks.vanilla.Vanilla", "_partial_": True, "width": 4, "depth": 2},
}
KNOWN = {"name": "phantom", "fold": None, "groups": [], "nucleus_diameter": 16.0, "crop_size": [48, 48]}
CENTRES = ((24, 24), (24, 72))
FRAMES, ON, OFF, INTERVAL = 20, 120.0, 330.0, 30.0


def ratio(time):
    """N/C: 2, down to 0.5 with a half-time of 30 s, and back."""
    fallen = 2 - 1.5 * (1 - 2 ** (-(min(time, OFF) - ON) / 30)) if time > ON else 2.0
    return fallen if time <= OFF else fallen + (2 - fallen) * (1 - 2 ** (-(time - OFF) / 60))


def cells():
    """Nuclei (labels) and cells (bool) of a frame, 48 × 96."""
    nuclei, whole = np.zeros((48, 96), np.int32), np.zeros((48, 96), bool)
    for number, centre in enumerate(CENTRES, start=1):
        whole[disk(centre, 18, shape=whole.shape)] = True
        nuclei[disk(centre, 8, shape=whole.shape)] = number
    return nuclei, whole


def video():
    """uint16 (T, H, W); the cytoplasm is 1000 above a background of 100."""
    nuclei, whole = cells()
    noise = np.random.default_rng(0).normal(0, 5, (FRAMES, *whole.shape))
    frames = [100 + 1000 * whole + 1000 * (ratio(t * INTERVAL) - 1) * (nuclei > 0) for t in range(FRAMES)]
    return (np.stack(frames) + noise).clip(0).astype(np.uint16)


HOW = ["--checkpoint", "copy.ckpt", "--diameter", "16", "--mask", "0=mask.tif"]


def fill(folder):
    """Write a video, the mask of its first frame, and a network that copies it: Move-Net before training."""
    torch.manual_seed(0)
    network = MoveNet(partial(Vanilla, width=4, depth=2), passes=2)
    with torch.no_grad():
        network.gain.zero_()
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state, "lexy": facts(SPEC, KNOWN)}, folder / "copy.ckpt")
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "TimeIncrement": INTERVAL}
    tifffile.imwrite(folder / "v.ome.tif", video(), metadata=metadata)
    tifffile.imwrite(folder / "mask.tif", cells()[0])
