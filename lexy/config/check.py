"""Check a composed config against the signatures of what it names, before anything is made."""

import difflib
import inspect
import json
import os
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationToMissingValueError, OmegaConfBaseException
from pydantic import ConfigDict, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from lexy.errors import NoSuchKey, UserError

SECRET = re.compile("KEY|TOKEN|PASSWORD|SECRET", re.IGNORECASE)
SHORTEST_SECRET = 8
HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain nested dicts with every interpolation resolved.

    Raises
    ------
    UserError
        A value is missing (`???`) or an interpolation leads nowhere.
    """
    try:
        missing = sorted(OmegaConf.missing_keys(config))
        plain = {} if missing else OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, InterpolationToMissingValueError):
            key = reason.rpartition(" ")[2]
            raise UserError(f"{key} has no value. Give one: {key}=VALUE") from error
        if isinstance(error, InterpolationKeyError):
            reason += " in this command's config. The chosen option may be one for another command"
        raise UserError(f"{error.full_key}: {reason}.") from error
    if missing:
        raise UserError(f"{missing[0]} has no value. Give one: {missing[0]}=VALUE")
    assert isinstance(plain, dict)
    return typing.cast(dict[str, Any], plain)


def check(config: Mapping[str, Any], schema: Callable[..., Any]) -> None:
    """Check keys, types and ranges of a resolved config.

    Parameters
    ----------
    config : mapping
        Plain values. Nodes with a `_target_` are checked against its signature, the top level against `schema`.
    schema : callable
        Its parameters are the keys of the top level.

    Raises
    ------
    UserError
        The first mistake: the key, what is wrong with it and what would be valid.
    """
    refuse_secrets(config, "")
    _check_node(config, schema, "", partial=False)


def refuse_secrets(value: Any, path: str) -> None:
    """Raise UserError for the value of a secret environment variable: configs are kept, logged and uploaded."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_secrets(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_secrets(item, f"{path}[{index}]")
    elif isinstance(value, str):
        for name, secret in os.environ.items():
            if SECRET.search(name) and len(secret) >= SHORTEST_SECRET and secret in value:
                raise UserError(
                    f"{path} holds the value of the environment variable {name}. Configs are kept and may be "
                    "uploaded: leave it out. W&B finds its key by itself."
                )


def suggestion(wrong: str, valid: Iterable[str]) -> str:
    """Return 'Did you mean …?' if a valid name is near, and all valid names."""
    valid = sorted(valid)
    near = difflib.get_close_matches(wrong, valid, n=1)
    return (f"Did you mean {near[0]}? " if near else "") + f"Valid: {', '.join(valid)}."


def _check_node(node: Mapping[str, Any], target: Callable[..., Any], path: str, *, partial: bool) -> None:
    parameters = inspect.signature(target).parameters
    keys = {str(key): value for key, value in node.items() if key not in HYDRA_KEYS}
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    known = {
        name
        for name, parameter in parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    for key in keys:
        if key not in known and not open_ended:
            raise NoSuchKey(
                f"{path}{key} is not a setting of {_name(target)}. {suggestion(key, known)}", f"{path}{key}"
            )
    if not partial:
        for name in known - keys.keys():
            if parameters[name].default is inspect.Parameter.empty and name != "self":
                raise UserError(f"{path}{name} has no value; {_name(target)} needs one. Give it: +{path}{name}=VALUE")
    hints = _hints(target)
    for key, value in keys.items():
        if _contains_target(value):
            _check_nested(value, f"{path}{key}")
        elif key in hints:
            _check_value(value, hints[key], f"{path}{key}")


def _check_nested(value: Any, path: str) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_nested(item, f"{path}[{index}]")
    elif isinstance(value, dict) and "_target_" in value:
        _check_node(value, located(value["_target_"], path), f"{path}.", partial=bool(value.get("_partial_")))
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_nested(item, f"{path}.{key}")


def _contains_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_contains_target(item) for item in value.values())
    return isinstance(value, list) and any(_contains_target(item) for item in value)


def located(target: Any, path: str) -> Any:
    """Return the class or function that a `_target_` at `path` of the config names; UserError if there is none."""
    from lexy.config.hydra_internals import locate

    try:
        found = locate(str(target))
    except Exception as error:
        raise UserError(f"{path}._target_={target!r} cannot be imported: {' '.join(str(error).split())}") from error
    if not callable(found):
        raise UserError(f"{path}._target_={target!r} is neither a class nor a function.")
    return found


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        function = target.__init__ if isinstance(target, type) and not _is_dataclass(target) else target  # type: ignore[misc]
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # annotations that only a type checker can read
        return {}


def _is_dataclass(target: type) -> bool:
    return hasattr(target, "__dataclass_fields__")


def _check_value(value: Any, hint: Any, path: str) -> None:
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        if "type-adapter-config-unused" not in str(error.code):
            return
        adapter = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, SchemaError):
        return  # a type that no config can spell, such as a callable of a library
    try:
        # JSON mode: a list may stand for a tuple, but '3' not for 3.
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        reasons = dict.fromkeys(_reason(item) for item in error.errors())
        raise UserError(f"{path}={value!r}: {' or '.join(reasons)}.") from error


def _reason(item: Mapping[str, Any]) -> str:
    text = str(item["msg"]).removeprefix("Input ").replace("Value error, ", "")
    return text[0].lower() + text[1:]


def _name(target: Callable[..., Any]) -> str:
    return getattr(target, "__qualname__", str(target))
