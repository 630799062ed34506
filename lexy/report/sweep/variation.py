"""Differences between the settings of runs, and short names for runs that tell them apart."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lexy.files import fingerprint

# What a run is called, where it lies and who watches it. Its seed and fold are told apart from what varies.
NOT_COMPARED = {
    "name",
    "label",
    "tags",
    "paths",
    "logger",
    "resume",
    "hydra",
    "seed",
    "allow",
    "threads",
    "checkpoint_minutes",
}
MANY = 4  # settings of one group; more of them are called by the group's choice, where that is known
ABSENT = "–"


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the settings that make a row of the comparison: no names and paths, no seed, fold or repeated groups.

    Parameters
    ----------
    config : mapping
        Plain, resolved. A key `seed` anywhere that has the run's own seed is left out; so are groups that the config
        holds twice (`task.loss` is `loss`), `data.fold` and absolute paths of data, whose fingerprint tells them apart;
        and what is null, which older runs may not have at all.
    """
    top = {key: value for key, value in config.items() if key not in NOT_COMPARED}
    groups = {key: value for key, value in top.items() if isinstance(value, Mapping)}

    def kept(key: str, value: Any, within: tuple[str, ...]) -> bool:
        if value is None or (key == "seed" and value == config.get("seed")):
            return False
        if within and within[0] == "data":
            return (*within, key) != ("data", "fold") and not (isinstance(value, str) and value.startswith("/"))
        return not (within and key in groups and value == groups[key])

    def walk(node: Any, within: tuple[str, ...]) -> Any:
        if not isinstance(node, Mapping):
            return node
        return {key: walk(value, (*within, key)) for key, value in node.items() if kept(key, value, within)}

    return walk(top, ())


def varied(
    configs: Sequence[Mapping[str, Any]], choices: Sequence[Mapping[str, str]] | None = None
) -> dict[str, list[str]]:
    """Find the settings in which the configs differ.

    Parameters
    ----------
    configs : sequence of mapping
        As `settings` gives them.
    choices : sequence of mapping, optional
        For each config, the group choices as typed, `model` → `unet`: names for groups that differ in many settings.

    Returns
    -------
    dict
        Key, dotted → its value in each config, as text. A part of another class is called by that (`UNet`), `–` where
        there is no such key; `–` too for a setting of a class that a config has not.
    """
    found: dict[str, list[str]] = {}
    _differences([dict(config) for config in configs], list(range(len(configs))), "", found, len(configs))
    for group in {key.split(".")[0] for key in found}:
        keys = [key for key in found if key.split(".")[0] == group]
        named = [choice.get(group) for choice in choices or []]
        variants = [tuple(found[key][at] for key in keys) for at in range(len(configs))]
        pairs = set(zip(named, variants, strict=False))
        if len(keys) > MANY and named and all(named) and len(pairs) == len(set(named)) == len(set(variants)):
            for key in keys:
                del found[key]
            found[group] = [str(name) for name in named]
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def row_names(columns: Mapping[str, Sequence[str]], count: int, fallback: str) -> list[str]:
    """Name each config, all differently, by as few of the varied settings as tell the configs apart.

    Values of groups stand alone (`UNet`), those of other settings with their key (`lr=0.01`); where one is either none
    or one thing, the key says it (`pretrained`, `no pretrained`).
    """
    parts: list[tuple[str, ...]] = [()] * count
    for key, values in columns.items():
        leaf = key.split(".")[-1]
        full = [_said(leaf, value, values) for value in values]
        short = [full[at] if value == ABSENT else _yes_or_no(leaf, value) for at, value in enumerate(values)]
        for spoken in (short, full) if "none" in values else (full,):
            more = [(*part, one) for part, one in zip(parts, spoken, strict=True)]
            if len(set(more)) == len(set(zip(parts, full, strict=True))) > len(set(parts)):
                parts = more
                break
    names = [" · ".join(filter(None, part)) or fallback for part in parts]
    return [
        f"{name} ({names[: at + 1].count(name)})" if names.count(name) > 1 else name for at, name in enumerate(names)
    ]


def group_choices(overrides: Sequence[str]) -> dict[str, str]:
    """Parse group choices, `model=unet` → {model: unet}; settings (`trainer.max_epochs=3`) are left out."""
    pairs = (one.lstrip("+").split("=", 1) for one in map(str, overrides) if "=" in one)
    return {key.split("@")[0].replace("/", "."): value for key, value in pairs if "." not in key}


def class_name(node: Any) -> str | None:
    """Return the class name in a node's `_target_`; None without one."""
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return str(target).rsplit(".", 1)[-1] if target else None


def _differences(values: list[Any], places: list[int], path: str, found: dict[str, list[str]], count: int) -> None:
    """Fill `found` with what differs among `values`, which stand at `places` of `count` columns."""
    if len({fingerprint(value) for value in values}) == 1:
        return
    if not all(isinstance(value, Mapping) for value in values):
        found[path] = _column(_short_all(values), places, count)
        return
    classes = [class_name(value) for value in values]
    if len(set(classes)) > 1:
        found[path] = _column([name or ABSENT for name in classes], places, count)
    by_class: dict[Hashable, list[int]] = {}
    for at, name in enumerate(classes):
        by_class.setdefault(name, []).append(at)
    for members in by_class.values():
        keys = dict.fromkeys(key for at in members for key in values[at])
        for key in keys:
            below = [values[at].get(key) for at in members]
            inner = f"{path}.{key}" if path else str(key)
            before = found.get(inner)
            _differences(below, [places[at] for at in members], inner, found, count)
            if before is not None and found[inner] is not before:  # another class has a setting of this name too
                found[inner] = [b if a == ABSENT else a for a, b in zip(found[inner], before, strict=True)]


def _column(texts: Sequence[str], places: Sequence[int], count: int) -> list[str]:
    column = [ABSENT] * count
    for at, text in zip(places, texts, strict=True):
        column[at] = text
    return column


def _short_all(values: Sequence[Any]) -> list[str]:
    """As short as they stay different: class, value, name of the file or of its folder, else the whole path."""
    forms: list[Callable[[Any], str]] = [_short, _with_folder, str]
    for form in forms:
        texts = [form(value) for value in values]
        if len(set(texts)) == len({fingerprint(value) for value in values}):
            break
    return texts


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return class_name(value) or "given"
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return PurePath(value).name if isinstance(value, str) and "/" in value else str(value)


def _with_folder(value: Any) -> str:
    """A checkpoint is known by its run: the name of its folder."""
    return PurePath(value).parent.name if isinstance(value, str) and "/" in value else _short(value)


def _said(leaf: str, value: str, values: Sequence[str]) -> str:
    if value == ABSENT:
        return ""
    return value if _is_word(value, values) else f"{leaf}={value}"


def _yes_or_no(leaf: str, value: str) -> str:
    return f"no {leaf}" if value == "none" else leaf


def _is_word(value: str, values: Sequence[str]) -> bool:
    """Whether a value speaks for itself: a class or a choice rather than a number, a switch or a path."""
    return all(one[:1].isalpha() and one not in {"none", "given", "True", "False"} for one in values if one != ABSENT)


def _place(key: str) -> tuple[int, str]:
    """Data, model, backbone, loss first, as people say them."""
    order = ("data", "model", "backbone", "loss", "training", "start", "pretrained")
    group = key.split(".")[0]
    return (order.index(group) if group in order else len(order), key)
