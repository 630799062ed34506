"""Which networks, data, ways of training and starts work together."""

from collections.abc import Mapping
from typing import Any

from lexy.config.check import located
from lexy.errors import UserError


def why_not(config: Mapping[str, Any]) -> str | None:
    """Return why the groups of a resolved config do not fit together, as far as their classes tell; None if they do."""
    return _why_not(*(located(config[group]["_target_"], group) for group in ("model", "data", "training", "start")))


def unused_groups(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the groups of a resolved config that change nothing in it, each with the reason."""
    from lexy.networks.propagation import needs_mask

    network = located(config["model"]["_target_"], "model")
    return {} if needs_mask(network) else {"start": f"{network.__name__} carries no mask, so it has no start"}


def check_compatible(task: Any, data: Any) -> None:
    """Refuse a task that these data cannot train.

    Raises
    ------
    UserError
        The network needs a mask but cannot be given one, or clips of several frames are needed and the data are stills.
    """
    from lexy.networks.propagation import needs_mask

    if needs_mask(task.network) and not hasattr(task.network, "with_mask"):
        raise UserError(
            f"model: {type(task.network).__name__} needs a mask but has no method with_mask(state, mask), by which it "
            "is given another one. See lexy/networks/tracknet.py."
        )
    reason = _why_not(*map(type, (task.network, data, task.way, task.start)))
    if reason is not None:
        raise UserError(reason)


def _why_not(network: Any, data: Any, way: Any, start: Any) -> str | None:
    from lexy.networks.propagation import needs_mask
    from lexy.tasks.starts import TrueMask
    from lexy.tasks.training import Unrolled

    if getattr(data, "sequences", True):
        return None
    if way is Unrolled:
        return (
            f"training=unrolled needs clips of several frames, data={data.name} has stills. Give data=synthetic, or "
            "training=stills or self_feeding."
        )
    if start is TrueMask and needs_mask(network):
        return (
            f"start=truth gives away the mask of the first frame, and data={data.name} has no other. Give "
            "start=perturbed or start=unet."
        )
    return None
