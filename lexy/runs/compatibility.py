"""Which networks, data, ways of training and starts work together, and whether they are what they have to be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lexy.config.check import located
from lexy.errors import UserError

if TYPE_CHECKING:
    from lexy.data.base import ClipData
    from lexy.networks.network import Network


def network_class(config: Mapping[str, Any]) -> "type[Network]":
    """Return the class that `model` of a resolved config names; UserError if it is no network."""
    from lexy.networks.network import Network

    target = config["model"]["_target_"]
    found = located(target, "model")
    if not (isinstance(found, type) and issubclass(found, Network)):
        raise UserError(
            f"model: {target} is no network. Derive its class from lexy.networks.network: FrameNetwork (each frame by "
            "itself), Recurrence (it steps from frame to frame) or Network (it sees whole clips)."
        )
    return found


def why_not(config: Mapping[str, Any]) -> str | None:
    """Return why the groups of a resolved config do not fit together, as far as their classes tell; None if they do."""
    others = (located(config[group]["_target_"], group) for group in ("data", "training", "start"))
    return _why_not(network_class(config), *others)


def unused_groups(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the groups of a resolved config that change nothing in it, each with the reason."""
    network = network_class(config)
    return {} if network.needs_mask else {"start": f"{network.__name__} carries no mask, so it has no start"}


def check_compatible(task: Any, data: "ClipData") -> None:
    """Refuse a task that these data cannot train.

    Raises
    ------
    UserError
        The way of training steps from frame to frame and the network does not, or clips of several frames are needed
        and the data are stills.
    """
    reason = _why_not(*map(type, (task.network, data, task.way, task.start)))
    if reason is not None:
        raise UserError(reason)


def _why_not(network: Any, data: Any, way: Any, start: Any) -> str | None:
    from lexy.data.base import ClipData
    from lexy.networks.network import Recurrence
    from lexy.tasks.starts import TrueMask

    if way.needs_recurrence and not issubclass(network, Recurrence):
        return (
            f"model: {network.__name__} sees whole clips, and training: {way.__name__} steps from frame to frame. Give "
            "training=clips."
        )
    if not (isinstance(data, type) and issubclass(data, ClipData)) or data.sequences:
        return None  # what is no dataset is refused when it is built
    if way.needs_sequences:
        return (
            f"training: {way.__name__} needs clips of several frames, data={data.name} has stills. Give "
            "data=synthetic, or training=stills or self_feeding."
        )
    if start is TrueMask and network.needs_mask:
        return (
            f"start=truth gives away the mask of the first frame, and data={data.name} has no other. Give "
            "start=perturbed or start=unet."
        )
    return None
