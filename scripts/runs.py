"""What the scripts that train share."""

import os
import subprocess
import sys
from pathlib import Path


def trained(overrides: list[str], outputs: Path) -> list[Path]:
    """Folders of the finished runs of one `lexy-train`; what is done is kept, what was interrupted goes on.

    Parameters
    ----------
    overrides : list of str
        With `name=NAME`, which must belong to these runs alone; with `-m` in front for a sweep.
    outputs : Path
    """
    call = [sys.executable, "-m", "lexy.cli.train", *overrides, "resume=auto", f"paths.outputs={outputs.resolve()}"]
    subprocess.run(call, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    (name,) = (item.removeprefix("name=") for item in overrides if item.startswith("name="))
    return sorted(path.parent for path in (outputs / name).glob("*/status.json"))
