import torch

from lexy.networks.bidirectional import bright_end, propagate_both_ways
from lexy.networks.network import FOREGROUND, FrameNetwork, Recurrence
from lexy.tasks.inference import BothWays, Forward
from lexy.tasks.starts import TrueMask

TIME = 5


class Drift(Recurrence):
    """Adds 1 to its logits in every frame after the first: what a network that drifts does."""

    def start(self, frame, mask=None):
        return mask

    def step(self, state, frame):
        return state, state + 1

    def with_mask(self, state, mask):
        return mask

    def feed_back(self, logits):
        return logits.sigmoid()


class Echo(FrameNetwork):
    """The frame itself as logits."""

    def forward(self, frame):
        return frame


def value(logits: torch.Tensor) -> list[float]:
    return logits[0, :, 0, 0, 0].tolist()


def frames(batch: int = 1) -> torch.Tensor:
    return torch.arange(float(TIME)).view(1, TIME, 1, 1, 1).repeat(batch, 1, 1, 4, 4)


def flat(number: float, batch: int = 1) -> torch.Tensor:
    return torch.full((batch, 1, 4, 4), number)


def test_each_end_counts_as_much_as_it_is_near():
    # forward 0 1 2 3 4, backward 104 103 102 101 100, weights of backward 0 ¼ ½ ¾ 1
    logits = propagate_both_ways(Drift(), frames(), flat(0), flat(100))
    assert value(logits) == [0, 26.5, 52, 76.5, 100]


def test_every_frame_is_seen_at_its_own_time():
    assert value(propagate_both_ways(Echo(), frames(), flat(0), flat(0))) == [0, 1, 2, 3, 4]
    late = propagate_both_ways(Echo(), frames(), flat(0), flat(0), torch.tensor([2]))
    assert value(late) == [0, 1, 2, 3, 4]


def test_after_the_late_mask_it_goes_on_forward_from_there_for_each_clip():
    # clip 0: the late mask is of frame 2: forward 0 1 2, backward 102 101 100, then 101 102
    logits = propagate_both_ways(Drift(), frames(2), flat(0, 2), flat(100, 2), torch.tensor([2, 4]))
    assert value(logits[:1]) == [0, 51, 100, 101, 102]
    assert value(logits[1:]) == [0, 26.5, 52, 76.5, 100]


class Seen(FrameNetwork):
    """Finds a mask where the frame is bright."""

    def forward(self, frame):
        return (frame - 0.5) * 20


def test_the_bright_end_is_where_the_mask_is_decided_and_stands_out():
    clip = torch.full((2, 6, 1, 40, 40), 0.2)
    clip[:, :, :, :4] = 0
    for index, time, brightness in ((0, 1, 1.0), (0, 4, 0.95), (0, 5, 0.6), (1, 3, 0.7), (1, 5, 0.9)):
        clip[index, time, :, 15:25, 15:25] = brightness
    last, mask, found = bright_end(Seen(), clip)
    assert last.tolist() == [4, 5]
    assert found.tolist() == [True, True]
    assert (mask[:, 0, 20, 20] > 0.99).all()
    assert (mask[:, 0, 10, 10] < 0.01).all()


def dark_end() -> torch.Tensor:
    """Two clips with a nucleus; that of the second is gone in the second half."""
    clip = torch.full((2, 6, 1, 40, 40), 0.2)
    clip[:, :, :, :4] = 0
    clip[0, :, :, 15:25, 15:25] = 0.9
    clip[1, :3, :, 15:25, 15:25] = 0.9
    clip[1, 3:, :, 15:25, 15:25] = 0.4  # a trace of a mask, below 0.5 everywhere
    return clip


def test_nothing_found_late_is_no_bright_end():
    assert bright_end(Seen(), dark_end())[2].tolist() == [True, False]


class Carries(Drift):
    """The same, and it says that it wants a mask."""

    needs_mask = True


def test_a_clip_without_a_bright_end_is_run_forward_alone():
    frames, mask = dark_end(), torch.zeros(2, 1, 40, 40)
    masks, labelled = mask[:, None].expand(-1, 6, -1, -1, -1), torch.ones(2, 6, dtype=torch.bool)
    clip = {"frames": frames, "masks": masks, "labelled": labelled, "video": ["a", "b"]}
    logits = BothWays(Seen())(Carries(), clip, TrueMask())[FOREGROUND]
    alone = Forward()(Carries(), clip, TrueMask())[FOREGROUND]
    assert torch.equal(logits[1], alone[1])
    assert not torch.equal(logits[0], alone[0])
