"""Checkpoints that rebuild their network by themselves, and run no code of whoever wrote them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lexy.errors import UserError
from lexy.networks.network import Network

FORMAT = 1
KEY = "lexy"
OWN_NETWORKS = "lexy.networks"


@dataclass(frozen=True)
class Trained:
    """A trained network, and what its checkpoint knows of it.

    Attributes
    ----------
    network : Network
        On the CPU, in evaluation mode.
    frame_network : Network or None
        What starts a network that carries a mask, likewise.
    nucleus_diameter : float or None
        Of the nuclei that it was trained on, pixels.
    crop_size : tuple of two int, or None
        Height and width of the frames that it was trained on, pixels.
    pixel_size : float or None
        Of those frames, µm.
    intensity : dict or None
        How they were scaled: see `lexy.images.intensity.from_settings`. Older checkpoints do not say.
    """

    network: Network
    frame_network: Network | None
    nucleus_diameter: float | None
    crop_size: tuple[int, int] | None
    pixel_size: float | None
    intensity: dict[str, Any] | None = None


def facts(spec: dict[str, Any], data: dict[str, Any], frame_network: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a checkpoint keeps beside the weights.

    Parameters
    ----------
    spec : dict
        The network's resolved config: plain values and nested dicts with `_target_`.
    data : dict
        What the network was trained on, plain values: `describe` of its datamodule; under `before`, the same of
        the checkpoints that it came from, see `trained_on`.
    frame_network : dict, optional
        A network that starts this one, as `packed` gives it.

    Returns
    -------
    dict
        Of plain values and tensors only, so that it loads with `weights_only=True`.
    """
    return {"format": FORMAT, "network": spec, "data": data, "frame_network": frame_network}


def packed(path: str | Path) -> dict[str, Any]:
    """Return the network of a checkpoint as another one carries it: its spec and its weights."""
    checkpoint = read(path)
    return {"network": checkpoint[KEY]["network"], "weights": weights(checkpoint)}


def read(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint file without running anything in it.

    Raises
    ------
    UserError
        No such file, no checkpoint of this project, or one of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint={str(path)!r}: no such file.")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, and some with long advice that does not apply
        raise UserError(
            f"checkpoint={str(path)!r} is not a checkpoint that can be read safely ({type(error).__name__}). "
            "Give a .ckpt file that lexy-train wrote."
        ) from error
    own = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    number = own.get("format") if isinstance(own, dict) else None
    if isinstance(number, int) and number > FORMAT:  # its parts may be others
        raise UserError(
            f"checkpoint={str(path)!r} has format {number}, this version reads up to {FORMAT}: update lexy."
        )
    if not isinstance(number, int) or not _complete(checkpoint):
        raise UserError(
            f"checkpoint={str(path)!r} was not written by lexy-train: it does not say how to build its network."
        )
    return checkpoint


def _complete(checkpoint: dict[str, Any]) -> bool:
    """Return whether all parts are there, and are of the kind that `facts` makes."""
    own = checkpoint[KEY]
    parts = [checkpoint.get("state_dict"), own.get("network"), own.get("data")]
    if (starter := own.get("frame_network")) is not None:
        parts += [starter.get("network"), starter.get("weights")] if isinstance(starter, dict) else [None]
    before = own["data"].get("before", []) if isinstance(own.get("data"), dict) else None
    parts += before if isinstance(before, list) else [None]
    named = all(isinstance(part, dict) and all(isinstance(name, str) for name in part) for part in parts)
    return named and _plausible(own["data"])


def _plausible(data: dict[str, Any]) -> bool:
    """Return whether what is known of the scale, if anything, is numbers above zero, and the intensity a dict."""
    sizes = [data[key] for key in ("nucleus_diameter", "pixel_size") if data.get(key) is not None]
    if (crop := data.get("crop_size")) is not None:
        sizes += crop if isinstance(crop, list | tuple) and len(crop) == 2 else [None]
    numbers = all(isinstance(size, int | float) and 0 < size < math.inf for size in sizes)
    return numbers and isinstance(data.get("intensity"), dict | None)


def trained_on(path: str | Path) -> list[dict[str, Any]]:
    """Return what a network was trained on: its own data first, then those of the checkpoints that it came from."""
    data = read(path)[KEY]["data"]
    own = {key: value for key, value in data.items() if key != "before"}
    return [own, *data.get("before", [])]


def load(path: str | Path | None, allow: Iterable[str] = ()) -> Network:
    """Rebuild a trained network from its checkpoint alone; see `open_trained`.

    Returns
    -------
    Network
        On the CPU, in evaluation mode.

    Raises
    ------
    UserError
        As for `open_trained`; there is no path, because a config's `frame_network` was left null.
    """
    if path is None:
        raise UserError("a network of single frames is needed, such as a U-Net: give frame_network=CHECKPOINT.")
    return open_trained(path, allow).network


def open_trained(path: str | Path, allow: Iterable[str] = ()) -> Trained:
    """Rebuild a trained network from its checkpoint, with what the checkpoint knows.

    Parameters
    ----------
    path : str or Path
        A checkpoint that lexy-train wrote.
    allow : iterable of str
        Packages besides `lexy.networks` whose classes the checkpoint may name, for example 'mynetworks'.

    Raises
    ------
    UserError
        As for `read`; a class that is not allowed; weights that do not fit.
    """
    checkpoint = read(path)
    own, allowed = checkpoint[KEY], (OWN_NETWORKS, *allow)
    data, starter = own["data"], own.get("frame_network")
    size = data.get("crop_size")
    return Trained(
        network=_filled(own["network"], weights(checkpoint), allowed, path),
        frame_network=None if starter is None else _filled(starter["network"], starter["weights"], allowed, path),
        nucleus_diameter=data.get("nucleus_diameter"),
        crop_size=None if size is None else (int(size[0]), int(size[1])),
        pixel_size=data.get("pixel_size"),
        intensity=data.get("intensity"),
    )


def _filled(spec: dict[str, Any], state: dict[str, Tensor], allow: Iterable[str], path: str | Path) -> Network:
    """Build a network and load its weights."""
    try:
        network = build(spec, allow)
    except UserError:
        raise
    except Exception as error:  # of hydra, and whatever a class raises that is given other values than it takes
        raise UserError(
            f"checkpoint={str(path)!r}: its network cannot be built ({_one_line(error)}). Was it trained with another "
            "version of lexy, or is a package not installed?"
        ) from error
    if not isinstance(network, Network):
        raise UserError(
            f"checkpoint={str(path)!r} was not written by lexy-train, or by a version that asked less of networks: "
            f"{type(network).__name__} is not derived from lexy.networks.network.Network."
        )
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise UserError(
            f"checkpoint={str(path)!r}: its weights do not fit the network that it names ({_one_line(error)})."
        ) from error
    return network.eval()


def _one_line(error: Exception) -> str:
    return f"{' '.join(str(error).split()):.300}"


def weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Return the state dict of the network in a checkpoint that `read` gave."""
    prefix = "network."
    state = checkpoint["state_dict"]
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def build(spec: dict[str, Any], allow: Iterable[str]) -> nn.Module:
    """Build a network from its spec, only from classes of the packages in `allow`.

    Pretrained encoder weights named in the spec are not fetched: the checkpoint's own weights replace them.
    """
    from hydra.utils import instantiate

    built: nn.Module = instantiate(_checked(spec, tuple(allow)), _convert_="all")
    return built


def _checked(value: Any, allow: tuple[str, ...]) -> Any:
    """Return a copy of the spec; refuse other than plain values, which could get round the allow-list."""
    if value is None or type(value) in (bool, int, float) or (type(value) is str and "${" not in value):
        return value
    if type(value) is list:
        return [_checked(item, allow) for item in value]
    if type(value) is dict and all(type(key) is str for key in value):
        if "_target_" in value:
            _check_target(value["_target_"], allow)
        return {key: None if key == "weights" else _checked(item, allow) for key, item in value.items()}
    raise UserError(f"The checkpoint's description of its network holds {value!r}, which lexy-train never writes.")


def _check_target(target: str, allow: tuple[str, ...]) -> None:
    from hydra.utils import get_object

    if not any(str(target).startswith(f"{package}.") for package in allow):
        raise UserError(
            f"The checkpoint wants to build {target}, which is not among the allowed packages ({', '.join(allow)}). "
            "If you trust it, allow its package (allow=['PACKAGE'])."
        )
    found = get_object(target)
    # A dotted path may lead out of an allowed module again, through what that module imports.
    if not (
        isinstance(found, type)
        and issubclass(found, nn.Module)
        and f"{found.__module__}.{found.__qualname__}" == target
    ):
        raise UserError(f"The checkpoint wants to build {target}, which is not a network class by that name.")
