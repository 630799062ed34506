"""`--help` of the Hydra commands: the groups, and every key of the composed config with its line of explanation."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape

KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_][\w.-]*):(?: (?P<value>[^#]*?))? *(?:# (?P<comment>.*))?$")


def show(command: str, folder: Path, config: DictConfig, choices: dict[str, str]) -> None:
    """Print the help of a command.

    Parameters
    ----------
    command : str
        Name of its primary config.
    folder : Path
        The folder of the configs.
    config : DictConfig
        As the command line composes it.
    choices : dict
        Group → option chosen in that composition.
    """
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    primary = (folder / f"{command}.yaml").read_text().splitlines()
    console.print(
        f"[bold]lexy-{command}[/] GROUP=OPTION ... KEY=VALUE ...    {escape(primary[0].removeprefix('# '))}\n"
    )
    console.print("[bold]Groups[/] (choose an option; -m with several, separated by commas, runs all combinations)")
    nested = [(key, option) for key, option in _chosen(choices) if re.search("[/@]", key)]
    for key, choice in _groups(primary) + nested:
        group, _, _ = key.partition("@")
        options = sorted(path.stem for path in (folder / group).glob("*.yaml"))
        if options:
            console.print(f"  {key + '=' + choice:<28} {escape(', '.join(options))}")
    console.print("\n[bold]Keys[/] (with the values that they have now)")
    comments = _comments(folder, command, choices)
    for path, value in _leaves(OmegaConf.to_container(config, resolve=False), ""):
        setting = f"{path}={_short(value)}"
        console.print(f"  {escape(setting):<46} [dim]{escape(comments.get(path, ''))}[/]", soft_wrap=True)
    console.print(
        "\n[bold]More[/]\n"
        "  -m, --multirun          run every combination of values separated by commas\n"
        "  --config-dir DIR        your own configs, in folders named like the groups\n"
        "  --cfg job               print the composed config, and stop\n"
        '  -sc install=bash        shell completion: eval "$(lexy-train -sc install=bash)"\n'
        "  HYDRA_FULL_ERROR=1      tracebacks of errors"
    )


def _groups(primary: list[str]) -> list[tuple[str, str]]:
    matches = (re.match(r"^  - ([a-z_]+): ([^#]+?) *(?:#.*)?$", line) for line in primary)
    return [(match[1], match[2]) for match in matches if match]


def _chosen(choices: dict[str, str]) -> list[tuple[str, str]]:
    """Chosen options by their group, with its package where that is another one: outer groups before inner ones."""
    return sorted((key, option) for key, option in choices.items() if not key.startswith("hydra"))


def _comments(folder: Path, command: str, choices: dict[str, str]) -> dict[str, str]:
    """Explanations of keys by their full path, from the comments behind them in the chosen YAML files."""
    files = [(command, "")]
    for group, _ in _groups((folder / f"{command}.yaml").read_text().splitlines()):
        if group not in choices:  # Hydra does not tell which options a list of them holds: then all are looked through
            files += [(f"{group}/{path.stem}", group) for path in (folder / group).glob("*.yaml")]
    for key, option in _chosen(choices):
        group, _, package = key.partition("@")
        files.append((f"{group}/{option}", (package or group).replace("/", ".")))
    found: dict[str, str] = {}
    for name, package in files:
        path = folder / f"{name}.yaml"
        if not path.is_file():  # a user's own, from --config-dir
            continue
        lines = path.read_text().splitlines()
        for base in re.findall(r"^  - (\w+)$", "\n".join(lines), re.MULTILINE):  # an option that builds on another one
            if base != "_self_" and path.with_name(f"{base}.yaml").is_file():
                found |= _comments_of(path.with_name(f"{base}.yaml").read_text().splitlines(), package)
        found |= _comments_of(lines, package)
    return found


def _comments_of(lines: list[str], package: str) -> dict[str, str]:
    found: dict[str, str] = {}
    parents: list[str] = []
    for line in lines:
        match = KEY.match(line)
        if match is None:
            continue
        depth = len(match["indent"]) // 2
        parents = [*parents[:depth], match["key"]]
        if match["comment"]:
            found[".".join([package, *parents]).lstrip(".")] = match["comment"]
    return found


def _leaves(node: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(node, dict):
        return [(path, node)]
    return [
        leaf
        for key, value in node.items()
        if not str(key).startswith("_")
        for leaf in _leaves(value, f"{path}.{key}".lstrip("."))
    ]


def _short(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
