"""Build what a config node names; a constructor's complaint becomes a message that names the key."""

from typing import Any

from omegaconf import DictConfig

from lexy.errors import UserError


def build(node: DictConfig, key: str, **given: Any) -> Any:
    """Instantiate a node.

    Parameters
    ----------
    node : DictConfig
        With a `_target_`; called at once even where it says `_partial_`, if something is `given`.
    key : str
        Where it stands in the config.
    **given
        Arguments that no config can hold.

    Raises
    ------
    UserError
        The constructor refuses its arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        if node.get("_partial_") and given:
            return instantiate(node, _convert_="all")(**given)
        return instantiate(node, _convert_="all", **given)
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        raise UserError(f"{key}: {cause}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{key}: {error}") from error
