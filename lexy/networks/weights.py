"""ImageNet weights for encoders, from the hub or from a file, and the first convolution for other than RGB images."""

import copy
import os
import socket
import urllib.error
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from lexy.errors import UserError

FirstConv = Literal["published", "smp"]


def load_torchvision(model: nn.Module, weights: str | None, url: str) -> None:
    """Load the weights of a torchvision classifier in place.

    Parameters
    ----------
    model : Module
        The torchvision model, as torchvision builds it.
    weights : str or None
        'imagenet' (from `url`, or the local hub cache), a local file, or None to leave the model as it is.
    url : str
        Where torchvision keeps the weights.

    Raises
    ------
    UserError
        The server cannot be reached, or the file is missing or belongs to another model.
    """
    if weights is None:
        return
    name = Path(urlsplit(url).path).name
    if weights != "imagenet":
        _load_file(model, Path(weights), f"a state dict like {url}")
        return
    try:
        if not (Path(torch.hub.get_dir()) / "checkpoints" / name).is_file():
            _require_host(url)
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True, check_hash=True)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(_no_network(url, name, error)) from error
    model.load_state_dict(state)


def load_smp(encoder: Any, name: str, weights: str | None) -> None:
    """Load the weights of an encoder of segmentation-models-pytorch (built for 3 channels) in place.

    Parameters
    ----------
    encoder : Module
    name : str
        The encoder's name in segmentation-models-pytorch.
    weights : str or None
        A name that smp knows for this encoder, a local file, or None to leave it as it is.

    Raises
    ------
    UserError
        As for `load_torchvision`.
    """
    if weights is None:
        return
    if Path(weights).suffix in {".pt", ".pth", ".safetensors"}:
        _load_file(encoder, Path(weights), f"a state dict of the encoder {name}")
        return
    from segmentation_models_pytorch.encoders import get_encoder

    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        if os.environ.get("HF_HUB_OFFLINE", "0").upper() not in {"1", "ON", "YES", "TRUE"}:
            _require_host(hub)
        source = get_encoder(name, in_channels=3, depth=encoder._depth, weights=weights)
    except KeyError as error:
        raise UserError(f"weights={weights!r}: {error.args[0]}") from error
    except OSError as error:  # LocalEntryNotFoundError is one
        raise UserError(_no_network(hub, f"weights of {name}", error)) from error
    encoder.load_state_dict(source.state_dict())


def set_in_channels(encoder: Any, channels: int, rule: FirstConv, *, pretrained: bool) -> None:
    """Re-make the first convolution of an RGB encoder for another number of channels, in place.

    Parameters
    ----------
    encoder : Module
    channels : int
        1 for a frame, 2 for a frame and a mask.
    rule : {'published', 'smp'}
        For pretrained encoders. 'published': 1 channel takes the mean of the RGB weights; 2 channels stay random, for
        that is what the study's code did (it meant to take R and G). 'smp': channel i takes the RGB weights
        i mod 3, times 3 / channels; 1 channel takes their sum.
    pretrained : bool
        Without pretrained weights the new convolution is random under both rules.
    """
    if channels == 3:
        return
    parent, name, old = _first_conv(encoder)
    new = copy.deepcopy(old)
    new.in_channels = channels
    new.weight = nn.Parameter(torch.empty(old.out_channels, channels, *old.kernel_size))
    new.reset_parameters()
    if pretrained:
        with torch.no_grad():
            if old.bias is not None and new.bias is not None:
                new.bias.copy_(old.bias)
            weight = _first_weights(old.weight, channels, rule)
            if weight is not None:
                new.weight.copy_(weight)
    setattr(parent, name, new)
    if hasattr(encoder, "_out_channels") and encoder._out_channels[0] == 3:  # smp's first feature is the input
        encoder._out_channels = [channels, *encoder._out_channels[1:]]


def _first_weights(rgb: Tensor, channels: int, rule: FirstConv) -> Tensor | None:
    if rule == "published":
        return rgb.mean(dim=1, keepdim=True) if channels == 1 else None
    if channels == 1:
        return rgb.sum(dim=1, keepdim=True)
    return rgb[:, [channel % 3 for channel in range(channels)]] * 3 / channels


def _first_conv(encoder: nn.Module) -> tuple[nn.Module, str, nn.Conv2d]:
    for path, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            parent, _, name = path.rpartition(".")
            return encoder.get_submodule(parent), name, module
    raise UserError(f"{type(encoder).__name__} has no convolution on 3 channels: choose another encoder.")


def _load_file(model: nn.Module, path: Path, expected: str) -> None:
    if not path.is_file():
        raise UserError(
            f"weights={str(path)!r}: no such file. Give {expected}, 'imagenet', or null for random weights."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"weights={str(path)!r} cannot be loaded: {first} Expected {expected}.") from error


def _require_host(url: str) -> None:
    """Ask for a connection once, briefly: the hubs' own clients retry for up to a minute before they say anything."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return
    parts = urlsplit(url)
    socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5).close()


def _no_network(url: str, name: str, error: Exception) -> str:
    return (
        f"weights='imagenet': {name} is not in the local cache and cannot be fetched from {url} ({error}). "
        "Fetch it on a machine with network and give its path (backbone.weights=FILE), or train without it "
        "(backbone.weights=null)."
    )
