from functools import partial

import pytest
import torch
from memory_video import Bright, Carry, Late, MemoryVideo

from lexy.networks.fusion import Fusion
from lexy.networks.movenet import MoveNet
from lexy.networks.network import DISTANCE, FOREGROUND, Network, Recurrence
from lexy.networks.rollout import rollout
from lexy.networks.siamnet import SiamNet
from lexy.networks.tracknet import TrackNet
from lexy.networks.unet import UNet
from lexy.networks.vanilla import Vanilla
from lexy.predict import processors
from lexy.predict.scale import Field, Scale
from lexy.predict.tiled_networks import TiledClips, TiledRecurrence, tiled
from lexy.predict.tiles import Tiles


@pytest.fixture(params=["threads", "cpu", "cuda", "mps"])
def processor(request):
    """Threads, or what an accelerator does: on the CPU, and on those that are there."""
    if request.param == "threads":
        return processors.cpu()
    if request.param != "cpu" and not getattr(torch, request.param).is_available():
        pytest.skip(f"needs a {request.param} device")
    return processors.accelerator(torch.device(request.param))


class Bump(Recurrence):
    """Adds its state's mean to what is carried: tiles of one field would drift apart."""

    needs_mask = True

    def start(self, frame, mask=None):
        return mask

    def step(self, state, frame):
        mean = state.mean(dim=(2, 3), keepdim=True).expand_as(state)
        return torch.logit((state + mean) / 2, eps=1e-4), mean

    def with_mask(self, state, mask):
        return mask

    def feed_back(self, logits):
        return logits.sigmoid()


def test_each_tile_goes_on_from_the_blended_mask(processor):
    tiles = Tiles((8, 12), (8, 8), 0.5)
    mask = torch.zeros(8, 12)
    mask[:, :4] = 1
    network = TiledRecurrence(Bump(), tiles, processor)
    probability, states = network.step(network.start(mask, mask), mask)
    torch.testing.assert_close(torch.cat(states).cpu(), tiles.cut(probability))
    # soft feedback, and the first tile's mean of 1/2 is in it: 3/4 and 1/4 on the left, 0 on the far right
    torch.testing.assert_close(probability[0, 0], torch.tensor(0.75))
    assert probability[0, -1] < 1e-3


class HardCarry(Carry):
    """Cuts what it carries at one half, and says so by its method alone."""

    def feed_back(self, logits):
        return (logits >= 0).float()


def test_hard_feedback_is_kept_hard(processor):
    network = TiledRecurrence(HardCarry(), Tiles((8, 8), (8, 8)), processor)
    mask = torch.full((8, 8), 0.7)
    _, states = network.step(network.start(mask, mask), mask)
    assert states[0].unique().tolist() == [1]


def test_many_chunks_give_what_one_gives():
    frame, tiles = torch.rand(300, 500), Tiles((300, 500), (64, 64))
    many = TiledRecurrence(Bright(), tiles, processors.cpu())
    one = TiledRecurrence(Bright(), tiles, processors.accelerator(torch.device("cpu")))
    assert (len(many.start(frame)) > 1, len(one.start(frame))) == (True, 1)
    for network in (many, one):
        probability, _ = network.step(network.start(frame), frame)
        torch.testing.assert_close(probability, (40 * (frame - 0.5)).sigmoid())


def vanilla():
    return partial(Vanilla, width=2, depth=2)


@pytest.mark.parametrize(
    "build",
    [
        lambda: UNet(vanilla()),
        lambda: TrackNet(vanilla()),
        lambda: SiamNet(vanilla(), reference="contrast"),
        lambda: MoveNet(vanilla()),
        lambda: Fusion(UNet(vanilla()), TrackNet(vanilla(), feedback="soft")),
    ],
    ids=["unet", "tracknet", "siamnet", "movenet", "fusion"],
)
def test_every_network_goes_over_a_field_of_one_tile_as_over_a_clip(build, processor):
    torch.manual_seed(0)
    network, frames, mask = build().eval(), torch.rand(3, 16, 16), torch.zeros(16, 16)
    mask[4:12, 4:12] = 1
    expected = rollout(network, frames[None, :, None], mask[None, None]).sigmoid()[0, :, 0]
    over_field = TiledRecurrence(network, Tiles((16, 16), (16, 16)), processor)
    walked = over_field.walk(field_of(frames), range(3), mask)
    for (_, maps), wanted in zip(walked, expected, strict=True):
        torch.testing.assert_close(maps[FOREGROUND], wanted.detach(), rtol=1e-3, atol=1e-3)


def field_of(frames):
    return Field(MemoryVideo(frames.numpy()), Scale(1, 10), lambda frame: frame)


def clips_of(network, tiles, processor, folder, progress=lambda *_: None):
    return TiledClips(network, tiles, processor, folder, progress)


class Alone(Network):
    """A frame network, as one that sees whole clips."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def maps(self, frames, state):
        return {FOREGROUND: self.network(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])}


def test_clips_are_run_over_a_field_as_frames_are(processor, tmp_path):
    torch.manual_seed(0)
    tiles, field = Tiles((40, 70), (16, 24)), field_of(torch.rand(3, 40, 70))
    network = UNet(vanilla()).eval()
    one_by_one = TiledRecurrence(network, tiles, processor).walk(field, range(3))
    done = []
    clips = clips_of(Alone(network), tiles, processor, tmp_path, lambda *progress: done.append(progress))
    for (frame, maps), (same, wanted) in zip(clips.walk(field, range(3)), one_by_one, strict=True):
        assert frame == same
        torch.testing.assert_close(maps[FOREGROUND], wanted[FOREGROUND], rtol=0, atol=2e-3)
    assert done[-1] == ("segment tiles", len(tiles), len(tiles))
    assert not list(tmp_path.iterdir())


def test_a_clip_has_all_its_frames_in_their_order(processor, tmp_path):
    class Difference(Network):
        """Nucleus is where the last frame of the clip is brighter than the first; distances are the frames."""

        def maps(self, frames, state):
            logits = 100 * (frames[:, -1:] - frames[:, :1]).expand_as(frames)
            return {FOREGROUND: logits, DISTANCE: frames}

    frames = torch.zeros(3, 20, 30)
    frames[2, :, :15] = 1
    frames[0, :, 15:] = 1
    network = clips_of(Difference(), Tiles((20, 30), (8, 8)), processor, tmp_path)
    for order, left in ((range(3), 1), (range(2, -1, -1), 0)):
        for frame, maps in network.walk(field_of(frames), order):
            assert maps[FOREGROUND][0, 0] == pytest.approx(left, abs=1e-6)
            assert maps[FOREGROUND][0, -1] == pytest.approx(1 - left, abs=1e-6)
            torch.testing.assert_close(maps[DISTANCE], frames[frame], rtol=0, atol=1e-3)


def test_a_network_that_sees_clips_can_start_from_a_mask(processor, tmp_path):
    class Constant(Network):
        needs_mask = True

        def start(self, frame, mask=None):
            return mask

        def maps(self, frames, state):
            return {FOREGROUND: torch.logit(state, eps=1e-4)[:, None].expand_as(frames)}

    mask = torch.rand(20, 30)
    network = clips_of(Constant(), Tiles((20, 30), (8, 8)), processor, tmp_path)
    for _, maps in network.walk(field_of(torch.zeros(2, 20, 30)), range(2), mask):
        torch.testing.assert_close(maps[FOREGROUND], mask, rtol=0, atol=1e-3)


def test_the_network_says_how_it_goes_over_fields(tmp_path):
    how = Tiles((8, 8), (8, 8)), processors.cpu(), tmp_path, print
    assert isinstance(tiled(Bright(), *how), TiledRecurrence)
    assert isinstance(tiled(Late(), *how), TiledClips)
