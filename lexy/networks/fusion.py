"""A frame network and a propagating network, weighed in each frame by how far each can be trusted."""

from typing import Annotated, NamedTuple

import torch
from annotated_types import Gt, Interval
from torch import Tensor, nn

from lexy.images.nc_ratio import mask_contrast
from lexy.networks import propagation
from lexy.networks.network import Recurrence, State
from lexy.networks.propagation import mask_of


class FusionState(NamedTuple):
    """States of both networks; area and centroid (B, 3) that masks are compared with."""

    frame: State
    propagating: State
    trusted: Tensor


class Fusion(Recurrence):
    """p = w · p_frame + (1 − w) · p_propagated, and p is what is propagated.

    Segmenting alone and fusing that with what is propagated is DEVA's plan (Cheng et al. 2023, arXiv:2309.03903). The
    weight is measured for each clip and frame without truth: w = c_frame / (c_frame + c_propagated). The confidence of
    either mask is

    - how decided it is: the mean of 2 |p − 0.5|, weighed with p so that an empty background counts for nothing, times
    - how steady: exp(−|ln A / A₀| / area_jump − d / (shift_jump · √A₀)) for an area A and a centroid at the distance d
      from those of the last mask that was trusted, for a nucleus neither jumps nor blinks (a gate like that of SAMURAI,
      Yang et al. 2024, arXiv:2411.11922).

    While nothing is trusted, the measure ages: area and centroid approach those of the fused mask, a share of the way
    in each frame. So a jump of a few frames is held against a mask, but a wrong measure, for example the area of a
    start mask of half the size, does not last.

    The frame network's is also multiplied by k / (k + half_contrast), k the contrast of its mask with the ring about it
    (`mask_contrast`): without contrast there is nothing that it could go by.

    Parameters
    ----------
    frame_network : Module
        Trained; needs no mask, for example a U-Net.
    propagating_network : Module
        Trained; a `Recurrence` that needs a mask.
    area_jump : float
        Change of ln(area) at which the confidence has fallen to 1 / e.
    shift_jump : float
        The same for a move of the centroid, in square roots of the area.
    half_contrast : float
        Contrast at which the frame network counts half.
    trust : float
        Area and centroid are those of the last fused mask with a confidence of at least this.
    ageing : float
        Share of the way to the present that they go in a frame that is not trusted; 0 keeps them.
    """

    needs_mask = True
    feeds_back = True

    def __init__(
        self,
        frame_network: nn.Module,
        propagating_network: nn.Module,
        area_jump: Annotated[float, Gt(0)] = 0.3,
        shift_jump: Annotated[float, Gt(0)] = 0.3,
        half_contrast: Annotated[float, Gt(0)] = 0.1,
        trust: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        ageing: Annotated[float, Interval(ge=0, le=1)] = 0.1,
    ) -> None:
        super().__init__()
        if not isinstance(propagating_network, Recurrence) or not propagating_network.needs_mask:
            raise ValueError(f"{type(propagating_network).__name__} carries no mask: there is nothing to fuse")
        self.frame_network: Recurrence = propagation.frame_network(frame_network)
        self.propagating_network: Recurrence = propagating_network
        self.area_jump, self.shift_jump = area_jump, shift_jump
        self.half_contrast, self.trust, self.ageing = half_contrast, trust, ageing

    def start(self, frame: Tensor, mask: Tensor | None = None) -> FusionState:
        """Start both; ValueError without a mask, where the propagating network wants one."""
        states = self.frame_network.start(frame), self.propagating_network.start(frame, mask)
        if mask is None:
            raise ValueError("fusion starts from a mask of the first frame: give one")
        return FusionState(*states, _shape(mask.float()))

    def step(self, state: FusionState, frame: Tensor) -> tuple[Tensor, FusionState]:
        """Return the logits of the fused probabilities, from which the propagating network goes on, and the states."""
        frame_logits, frame_state = self.frame_network.step(state.frame, frame)
        propagated_logits, propagating_state = self.propagating_network.step(state.propagating, frame)
        own, propagated = frame_logits.float().sigmoid(), propagated_logits.float().sigmoid()
        contrast = mask_contrast(frame, own)
        own_confidence = self._confidence(own, state.trusted) * contrast / (contrast + self.half_contrast)
        confidence = self._confidence(propagated, state.trusted)
        weight = own_confidence / (own_confidence + confidence).clamp(min=1e-6)
        fused = torch.lerp(propagated, own, weight[:, None, None, None])
        logits = torch.logit(fused, eps=1e-6)
        return logits, FusionState(
            frame_state,
            self.propagating_network.with_mask(propagating_state, fused),
            self._measure(fused, state.trusted),
        )

    def with_mask(self, state: FusionState, mask: Tensor) -> FusionState:
        """Return the state in which the propagating network goes on from `mask`, and shapes are compared with its."""
        propagating = self.propagating_network.with_mask(state.propagating, mask)
        return state._replace(propagating=propagating, trusted=_shape(mask.float()))

    def feed_back(self, logits: Tensor) -> Tensor:
        """Return the fused probabilities."""
        return mask_of(logits, "soft")

    def _measure(self, fused: Tensor, trusted: Tensor) -> Tensor:
        """Area and centroid (B, 3) that the next masks are compared with; a mask without area has none to offer."""
        shape = _shape(fused)
        ageing = self.ageing * (shape[:, 0] >= 1)
        share = torch.where(self._confidence(fused, trusted) >= self.trust, 1.0, ageing)
        return torch.lerp(trusted, shape, share[:, None])

    def _confidence(self, probability: Tensor, trusted: Tensor) -> Tensor:
        """In [0, 1] for each clip; 0 for an empty mask."""
        mass = probability.sum((1, 2, 3)).clamp(min=1e-6)
        decided = (probability * (2 * probability - 1).abs()).sum((1, 2, 3)) / mass
        shape = _shape(probability)
        area, before = shape[:, 0].clamp(min=1e-6), trusted[:, 0].clamp(min=1e-6)
        shift = torch.linalg.vector_norm(shape[:, 1:] - trusted[:, 1:], dim=1) / before.sqrt()
        jump = (area / before).log().abs() / self.area_jump + shift / self.shift_jump
        return decided * torch.exp(-torch.where(trusted[:, 0] < 1, 0.0, jump))  # nothing was there to compare with


def _shape(probability: Tensor) -> Tensor:
    """Return the area, and row and column of the centroid, of soft masks (B, 1, H, W): (B, 3)."""
    rows, columns = (torch.arange(n, device=probability.device, dtype=torch.float32) for n in probability.shape[-2:])
    area = probability.sum((1, 2, 3))
    row = (probability.sum((1, 3)) * rows).sum(1) / area.clamp(min=1e-6)
    column = (probability.sum((1, 2)) * columns).sum(1) / area.clamp(min=1e-6)
    return torch.stack([area, row, column], dim=1)
