"""Helpers of the scripts that train."""

import json
import os
import subprocess
import sys
from pathlib import Path


def trained(overrides: list[str], outputs: Path, count: int = 1) -> list[Path]:
    """Run `lexy-train` and return the folders of its runs; finished ones are kept, interrupted ones resumed.

    Parameters
    ----------
    overrides : list of str
        With `name=NAME`, which must belong to these runs alone; with `-m` in front for a sweep.
    outputs : Path
    count : int
        How many runs these are.

    Raises
    ------
    SystemExit
        lexy-train failed, and said why; or under this name are runs of other settings too.
    """
    call = [sys.executable, "-m", "lexy.cli.train", *overrides, "resume=auto", f"paths.outputs={outputs.resolve()}"]
    done = subprocess.run(call, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    (name,) = (item.removeprefix("name=") for item in overrides if item.startswith("name="))
    states = sorted((outputs / name).glob("*/status.json"))
    found = [path.parent for path in states if json.loads(path.read_text())["state"] == "done"]
    if len(found) != count:
        raise SystemExit(
            f"error: {outputs / name} holds {len(found)} finished runs instead of {count}, some of other settings. "
            "Give another --outputs, or remove those."
        )
    return found
