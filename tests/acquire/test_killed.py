"""Killed at 20 random moments, `lexy-prepare` ends with what an undisturbed run makes."""

import random
import subprocess
import sys
from pathlib import Path

from acquire.atlas_server import Atlas
from atlas_search import give
from cli_runs import environment

# Forks, so that the moments fall into the work and not into the start of the interpreter.
DRIVER = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from hydra import compose, initialize_config_dir
from lexy.config.compose import config_folder
from lexy.config.build import build
from lexy.cli.prepare import prepare
import lexy.acquire.hpa.index, lexy.acquire.labellers.classical, lexy.acquire.prepare, lexy.data.store_writer

initialize_config_dir(str(config_folder()), version_base="1.3")
draw = random.Random(int(sys.argv[1]))

def start(folder):
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
        prepare(compose("prepare", [*sys.argv[2:], f"paths.outputs={folder}"]))
        os._exit(0)
    return child

def finish(folder):
    begin = time.monotonic()
    _, status = os.waitpid(start(folder), 0)
    assert status == 0, status
    return time.monotonic() - begin

seconds = finish("undisturbed")
kills = 0
while kills < 20:
    child = start("disturbed")
    time.sleep(draw.uniform(0, seconds))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        kills += 1
        print(sorted(path.name for path in Path("disturbed/data").glob("*")), flush=True)
    elif kills < 20:
        shutil.rmtree("disturbed")
finish("disturbed")
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    seed = str(random.SystemRandom().randrange(2**31))
    with Atlas().running() as atlas:
        options = [*give(atlas, 8), "crops.field_size=128", "crops.crop_size=64", "crops.min_area=50", "shards=3"]
        result = subprocess.run(
            [sys.executable, "-c", DRIVER, seed, *options, "prepare.workers=1"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert result.returncode == 0, f"seed {seed}: {result.stderr}"
    assert len(result.stdout.splitlines()) == 20
    made, expected = (tmp_path / name / "data" for name in ("disturbed", "undisturbed"))
    for part in ("hpa", "fields"):
        assert contents(made / part) == contents(expected / part), f"seed {seed}"
    for manifest in ("index.parquet", "downloaded.parquet", "download_report.csv"):
        assert (made / "work" / manifest).read_bytes() == (expected / "work" / manifest).read_bytes(), f"seed {seed}"
