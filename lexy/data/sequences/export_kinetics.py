"""How the protein moves between nucleus and cytoplasm: out of the nucleus under light, back in the dark."""

import torch
from torch import Tensor


def exchange(
    time: Tensor,
    onset: Tensor,
    duration: Tensor,
    before: Tensor,
    during: Tensor,
    recovery: Tensor,
    export: Tensor,
    back: Tensor,
    share: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the mean brightness of nucleus and cytoplasm over time; what leaves one arrives in the other.

    The amount in the nucleus falls exponentially while the light is on and rises exponentially afterwards.

    Parameters
    ----------
    time : Tensor (T,)
        Seconds.
    onset, duration : Tensor (...)
        When the light goes on, and how long it stays on, seconds.
    before, during : Tensor (...)
        N/C before the light, and at the end of it.
    recovery : Tensor (...)
        Share of the lost amount that comes back in the end.
    export, back : Tensor (...)
        Time constants of export and return, seconds.
    share : Tensor (...)
        Total brightness of the cytoplasm over that of the nucleus when both are equally bright on average.

    Returns
    -------
    nucleus, cytoplasm : Tensor (..., T)
        `nucleus` is 1 before the light; nucleus + share · cytoplasm is constant.
    """
    bright, dark = before / (before + share), during / (during + share)  # share of the protein in the nucleus
    onset, duration, share = onset[..., None], duration[..., None], share[..., None]
    light = (time - onset).clamp(min=0).minimum(duration)
    after = (time - onset - duration).clamp(min=0)
    # Scaled so that `during` is reached when the light goes off, however slow the export.
    fallen = torch.expm1(-light / export[..., None]) / torch.expm1(-duration / export[..., None])
    risen = -torch.expm1(-after / back[..., None]) * recovery[..., None]
    inside = bright[..., None] - (bright - dark)[..., None] * fallen * (1 - risen)
    return inside / bright[..., None], (1 - inside) / (bright[..., None] * share)
