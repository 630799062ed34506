"""Smooth motion: sampling grids of affine and elastic deformation that change with time."""

import torch
from torch import Tensor

from lexy.data.sequences.draws import Draws

WAVES = 3  # sines that a path is the sum of
POINTS = 4  # control points of the elastic deformation, in each direction


def smooth_paths(draws: Draws, time: Tensor, period: tuple[float, float], *shape: int) -> Tensor:
    """Draw smooth functions of time that are 0 at time 0: float64 (B, *shape, T).

    Sums of sines of random phase with periods (in the unit of `time`, which is (B, T)) from a range, of standard
    deviation 1 before the value at time 0 is taken off.
    """
    time = time.view(len(time), *[1] * (len(shape) + 1), -1)
    amplitude = draws.normal(*shape, WAVES, 1) * (2 / WAVES) ** 0.5
    phase = draws.uniform((0.0, 2 * torch.pi), *shape, WAVES, 1)
    rate = 2 * torch.pi / draws.log_uniform(period, *shape, WAVES, 1)
    waves: Tensor = amplitude * (torch.sin(rate * time + phase) - torch.sin(phase))
    return waves.sum(-2)


def linear_maps(angle: Tensor, stretch: Tensor) -> Tensor:
    """Return the rotation after anisotropic scaling, (..., 2, 2) acting on (x, y).

    Parameters
    ----------
    angle : Tensor (...)
        Radians.
    stretch : Tensor (..., 3)
        Logarithms of the scale along x and y, and the shear: a symmetric matrix, whose exponential is taken.
    """
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotation = torch.unflatten(torch.stack([cos, -sin, sin, cos], dim=-1), -1, (2, 2))
    along, across, shear = stretch.unbind(-1)
    strain = torch.unflatten(torch.stack([along, shear, shear, across], dim=-1), -1, (2, 2))
    product: Tensor = rotation @ torch.linalg.matrix_exp(strain)
    return product


def sampling_grid(linear: Tensor, centre: Tensor, target: Tensor, elastic: Tensor, height: int, width: int) -> Tensor:
    """Return where each pixel of each frame comes from, for `grid_sample` with `align_corners=False`.

    One product of matrices: affine and elastic part are coefficients of [1, y, b₀(y) … b₃(y)] × [1, x, b₀(x) … b₃(x)]
    with the Bernstein polynomials b.

    Parameters
    ----------
    linear : Tensor (N, T, 2, 2)
        From (x, y) about `target` in the frame to (x, y) about `centre` in the still.
    centre : Tensor (N, 2)
        x, y in pixels of the still.
    target : Tensor (N, T, 2)
        Where it lies in the frame.
    elastic : Tensor (N, T, 2, 4, 4)
        Displacement of control points (x or y, row, column) in pixels.

    Returns
    -------
    Tensor, float32 (N, T, H, W, 2)
    """
    device = linear.device
    coefficients = torch.zeros(*linear.shape[:2], 2, POINTS + 2, POINTS + 2, device=device, dtype=linear.dtype)
    coefficients[..., 0, 0] = centre[:, None] - (linear @ target[..., None])[..., 0]
    coefficients[..., 0, 1], coefficients[..., 1, 0] = linear[..., 0], linear[..., 1]
    coefficients[..., 2:, 2:] = elastic
    size = torch.tensor([width, height], device=device, dtype=linear.dtype).view(2, 1, 1)
    coefficients = coefficients * 2 / size
    coefficients[..., 0, 0] += 1 / size[:, 0, 0] - 1
    down, across = (_basis(n, linear) for n in (height, width))
    return (down @ coefficients.float() @ across.mT).movedim(2, -1)


def _basis(length: int, like: Tensor) -> Tensor:
    """Return [1, position, Bernstein polynomials] at each pixel: float32 (length, 6)."""
    position = torch.arange(length, device=like.device, dtype=torch.float32)
    u = position / max(length - 1, 1)
    columns = [torch.ones_like(u), position, (1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3]
    return torch.stack(columns, dim=1)
