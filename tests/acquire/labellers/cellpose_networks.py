"""Networks with random weights, built by the installed Cellpose's own classes and saved as it saves them."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

models: Any = import_module("cellpose.models")
SMALL = hasattr(models, "CPnet")  # Cellpose 3


def save_network(file: Path) -> Path:
    torch.manual_seed(0)
    network = models.CPnet([2, 32, 64, 128, 256], 3, sz=3) if SMALL else _cellpose_sam()
    torch.save({name: _compact(values) for name, values in network.state_dict().items()}, file)
    return file


def _cellpose_sam() -> Any:
    """Always the full size, 305 million. Its random flows never meet, so here each 8 × 8 patch flows to its middle."""
    network = getattr(models, "CPSAM", None) or models.Transformer  # 4.2 or 4.1
    network = network()
    inward = 3.5 - torch.arange(8.0)
    flows = torch.stack([inward[:, None].expand(8, 8), inward.expand(8, 8), torch.full((8, 8), 5.0)])
    torch.nn.init.zeros_(network.out.weight)
    network.out.bias.data = flows.reshape(-1)
    return network


def _compact(values: torch.Tensor) -> torch.Tensor:
    """The larger weights repeat their first row: a file of a few MB instead of 1.2 GB."""
    return values[:1].clone().expand_as(values) if values.numel() > 500_000 and not SMALL else values
