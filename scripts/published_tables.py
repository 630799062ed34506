"""Run the study's tables as sweeps: 27 networks on stills, the same on sequences, and U-Nets on videos.

    python scripts/published_tables.py stills --store outputs/data/hpa
    python scripts/published_tables.py sequences --store outputs/data/hpa    # of the networks that `stills` trained
    python scripts/published_tables.py videos --videos DIR                   # those too, from scratch and pretrained

Each prints the one command that it is and runs it, then writes the report beside the study's own figures. With --small
everything is sized for two CPU cores, on phantom stills (the videos are still yours): that shows that it runs, and no
more. What is done is kept, so it can be run again. Further overrides go to every run.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

AXES = ["model=unet,tracknet,siamnet", "backbone=vanilla,vgg16,resnet34", "loss=dice,bce,combined"]
SMALL = ["optimizer.lr=1e-3", "trainer.precision=auto", "trainer.enable_progress_bar=false", "launcher=joblib"]
SMALL_STILLS = ["data=phantom", "data.fields=24", "data.size=128", "data.crop_size=32", "data.batch_size=8"]
SMALL_CLIPS = ["data/stills=phantom", *(item.replace("data.", "data.stills.") for item in SMALL_STILLS[1:4])]
SMALL_VIDEOS = ["trainer.max_epochs=2", "training.frames=4"]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("stills", "sequences", "videos"))
    parser.add_argument("--store", type=Path, help="made by lexy-prepare data=hpa")
    parser.add_argument("--videos", type=Path, help="folder of the real videos, see data/layout")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"))
    parser.add_argument("--small", action="store_true")
    given, extra = parser.parse_known_args()
    if given.what == "videos" and given.videos is None:
        parser.error("videos: give --videos")
    if given.what != "videos" and given.store is None and not given.small:
        parser.error("give --store, or --small")
    {"stills": stills, "sequences": sequences, "videos": videos}[given.what](given, extra)


def stills(given: argparse.Namespace, extra: list[str]) -> None:
    """Train 27 networks on stills and evaluate one step."""
    data = (
        [*SMALL_STILLS, *SMALL, "trainer.max_epochs=4", "trainer.limit_train_batches=5"]
        if given.small
        else [f"paths.store={given.store}"]
    )
    name = _name("published_stills", given)
    _run(
        "train",
        "-m",
        "experiment=published_stills",
        *AXES,
        *data,
        f"name={name}",
        f"paths.outputs={given.outputs}",
        *extra,
    )
    _report(given.outputs / name)


def sequences(given: argparse.Namespace, extra: list[str]) -> None:
    """Evaluate the same networks on the published sequences, from a warped first mask."""
    checkpoints = ",".join(str(folder / "best.ckpt") for folder in _trained(given, ""))
    data = SMALL_CLIPS if given.small else ["data/stills=hpa", f"paths.store={given.store}"]
    outputs = given.outputs / _name("published_sequences", given)
    protocol = ["data=synthetic", "data/protocol=published", "mask_noise@start.noise=published"]
    _run("evaluate", "-m", f"checkpoint={checkpoints}", *protocol, *data, f"paths.outputs={outputs}", *extra)
    _report(outputs / "evaluations")


def videos(given: argparse.Namespace, extra: list[str]) -> None:
    """Train U-Nets on one video after the other, from random weights and from the networks on stills."""
    outputs, name = given.outputs, _name("published_videos", given)
    small = [*SMALL, *SMALL_VIDEOS] if given.small else []
    shared = [
        f"paths.videos={given.videos}",
        f"data.fold=range(0,{2 if given.small else 10})",
        f"name={name}",
        f"paths.outputs={outputs}",
        *small,
    ]
    _run("train", "-m", "experiment=lexy_scratch", "backbone=vanilla,vgg16", *shared, *extra)
    for backbone in ("vanilla", "vgg16"):
        (start,) = _trained(given, f"*-unet-{backbone}-dice-")
        start_from = f"pretrained={start / 'best.ckpt'}"
        _run("train", "-m", "experiment=lexy_pretrained", f"backbone={backbone}", start_from, *shared, *extra)
    _report(outputs / name)


def _name(name: str, given: argparse.Namespace) -> str:
    return f"{name}_small" if given.small else name


def _trained(given: argparse.Namespace, which: str) -> list[Path]:
    """Return the folders of the finished networks on stills."""
    states = sorted((given.outputs / _name("published_stills", given)).glob(f"{which}*/status.json"))
    found = [path.parent for path in states if json.loads(path.read_text())["state"] == "done"]
    if not found:
        raise SystemExit("error: no finished network on stills. Run `stills` first, with the same --outputs.")
    return found


def _run(command: str, *arguments: str) -> None:
    print(f"lexy-{command} {shlex.join(arguments)}", flush=True)
    status = subprocess.run([sys.executable, "-m", f"lexy.cli.{command}", *arguments], check=False).returncode
    if status != 0:
        raise SystemExit(status)


def _report(folder: Path) -> None:
    _run("report", str(folder))


if __name__ == "__main__":
    main()
