"""Train the network that is shipped with lexy on generated cells alone, and pack it.

    python scripts/default_checkpoint.py --outputs outputs/default_checkpoint     # about ten minutes on 2 cores

A U-Net that looks at single frames, and a Move-Net that it starts, both on sequences made from phantom fields. The
package keeps their weights in half precision, with the metrics of the test split beside them.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import torch
from runs import trained

from lexy.checkpoint import KEY, read, weights
from lexy.files import replacing, write_json
from lexy.predict.segmenter import default_checkpoint

DATA = ["data=synthetic", "data.stills.size=128", "data.stills.crop_size=64", "data.stills.fields=150"]
# 30 frames of an experiment shown as 10; cells that move more, and ranges that are wider, than the protocol's own.
CLIPS = ["frames=10", "interval=100", "drift=0.04", "stretch=0.08", "rotation=8", "before=[1.3,12]"]
CLIPS += ["during=[0.15,0.8]", "photons=[60,6000]", "edge=[0.3,1.4]", "background=[0,0.06]"]
COMMON = ["experiment=sequences", *DATA, *(f"data.protocol.{item}" for item in CLIPS), "backbone.width=8"]
COMMON += ["data.clips_per_epoch=96", "data.batch_size=12", "trainer.max_epochs=75"]
FRAME = [*COMMON, "name=frame", "model=unet", "training.frames=4"]
MOVE = [*COMMON, "name=move", "model=movenet", "training=unrolled", "training.noise=null", "training.lengths=[4]"]
MOVE += ["start=truth"]


def pack(folder: Path, target: Path) -> None:
    """Return the network and its start network in half precision, without the optimiser."""
    checkpoint = read(folder / "best.ckpt")
    facts = checkpoint[KEY]
    starter = facts["frame_network"]
    halved = {name: tensor.half() for name, tensor in starter["weights"].items()}
    facts |= {"frame_network": starter | {"weights": halved}}
    facts["data"] |= {"groups": [], "before": []}  # generated cells: no one can test on them by mistake
    state = {f"network.{name}": tensor.half() for name, tensor in weights(checkpoint).items()}
    with replacing(target) as temporary:
        torch.save({"state_dict": state, KEY: facts}, temporary)


def metrics(folders: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Return the means over the test fields."""
    tables = {name: pd.read_csv(folder / "test_summary.csv", index_col=0)["mean"] for name, folder in folders.items()}
    wanted = ["dice", "dice_worst_frame", "hd95", "nc_error"]
    return {name: {key: round(float(table[key]), 4) for key in wanted} for name, table in tables.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", type=Path, default=Path("outputs/default_checkpoint"))
    parser.add_argument("--target", type=Path, default=default_checkpoint())
    arguments = parser.parse_args()
    (frame,) = trained(FRAME, arguments.outputs)
    (move,) = trained([*MOVE, f"frame_network={frame / 'best.ckpt'}"], arguments.outputs)
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    pack(move, arguments.target)
    found = {"metrics": metrics({"U-Net": frame, "Move-Net": move}), "overrides": {"U-Net": FRAME, "Move-Net": MOVE}}
    write_json(arguments.target.with_suffix(".json"), found)
    print(json.dumps(found["metrics"], indent=2), f"{arguments.target}: {arguments.target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
