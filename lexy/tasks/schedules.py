"""Learning-rate schedules per optimiser step; each is told the number of steps of the whole training."""

import math
from typing import Annotated

from annotated_types import Interval
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

Share = Annotated[float, Interval(ge=0, le=1)]


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The optimiser's own rate throughout, as in the study."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(optimizer: Optimizer, total_steps: int, warmup: Share = 0.05, final: Share = 0.01) -> LRScheduler:
    """Linear rise over the share `warmup` of the steps, then half a cosine down to `final` times the rate."""
    rise = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        progress = min(1.0, (step - rise) / max(1, total_steps - rise))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, factor)


def one_cycle(optimizer: Optimizer, total_steps: int, rise: Share = 0.3) -> LRScheduler:
    """One cycle (Smith and Topin, arXiv:1708.07120) up to the optimiser's rate at the share `rise` of the steps."""
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=rates, total_steps=total_steps, pct_start=rise)
