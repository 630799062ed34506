"""The losses of the study: logits and masks of the labelled frames, float (N, 1, H, W), to a scalar."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional

CERTAIN = 30.0  # a logit of no loss worth the name, and of none in float32 where the mask agrees


def without_unknown(logits: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
    """Return logits that no loss finds fault with where nothing is known; nor do these pixels get a gradient.

    Parameters
    ----------
    logits, masks : Tensor, float (N, 1, H, W)
    known : Tensor, bool (N, 1, H, W), optional
        All pixels, if left out.
    """
    if known is None:
        return logits
    return torch.where(known, logits, CERTAIN * (2 * masks - 1).to(logits.dtype))


class DiceLoss(nn.Module):
    """1 − (2 Σpt + s) / (Σp + Σt + s) over the whole flattened batch, p the sigmoid of the logits.

    Parameters
    ----------
    smooth : float
        s; 1 in the study.
    """

    def __init__(self, smooth: Annotated[float, Ge(0)] = 1.0) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Soft Dice loss in [0, 1]."""
        probability = logits.sigmoid()
        overlap = (probability * masks).sum()
        return 1 - (2 * overlap + self.smooth) / (probability.sum() + masks.sum() + self.smooth)


class WeightedBCELoss(nn.Module):
    """Mean over all pixels of w · cross-entropy, not divided by the sum of w.

    Parameters
    ----------
    foreground_weight : float
        w on the nucleus; 2 in the study. It is 1 elsewhere.
    """

    def __init__(self, foreground_weight: Annotated[float, Gt(0)] = 2.0) -> None:
        super().__init__()
        self.foreground_weight = foreground_weight

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Weighted binary cross-entropy, ≥ 0."""
        weight = 1 + (self.foreground_weight - 1) * masks
        return functional.binary_cross_entropy_with_logits(logits, masks, weight)


class CombinedLoss(nn.Module):
    """Sum of `DiceLoss` and `WeightedBCELoss`, as in the study.

    Parameters
    ----------
    smooth, foreground_weight : float
        See the two losses.
    """

    def __init__(self, smooth: Annotated[float, Ge(0)] = 1.0, foreground_weight: Annotated[float, Gt(0)] = 2.0) -> None:
        super().__init__()
        self.dice = DiceLoss(smooth)
        self.bce = WeightedBCELoss(foreground_weight)

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Sum of both losses, ≥ 0."""
        loss: Tensor = self.dice(logits, masks) + self.bce(logits, masks)
        return loss
