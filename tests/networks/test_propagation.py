from typing import NamedTuple

import pytest
import torch

from lexy.networks.propagation import detached, first_mask, mask_of


def test_soft_feedback_has_a_gradient_and_hard_feedback_cuts_at_one_half():
    logits = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    assert mask_of(logits, "hard").tolist() == [0.0, 1.0, 1.0]
    soft = mask_of(logits, "soft")
    soft.sum().backward()
    torch.testing.assert_close(soft.detach(), torch.tensor([0.26894, 0.5, 0.88080]), rtol=0, atol=1e-5)
    assert (logits.grad > 0).all()


def test_feedback_keeps_single_precision_under_autocast():
    assert mask_of(torch.zeros(1, dtype=torch.bfloat16), "soft").dtype == torch.float32


def test_a_missing_mask_is_named():
    with pytest.raises(ValueError, match="Track-Net starts from a mask"):
        first_mask(torch.zeros(1, 1, 4, 4), None, "Track-Net")


class Memory(NamedTuple):
    mask: torch.Tensor
    features: tuple[torch.Tensor, ...]


def test_detached_keeps_the_shape_of_a_state():
    leaf = torch.ones(2, requires_grad=True)
    state = detached(Memory(leaf * 2, (leaf * 3, leaf * 4)))
    assert isinstance(state, Memory)
    assert state.features[1].tolist() == [4, 4]
    assert not state.mask.requires_grad
    assert detached(()) == ()
