"""Run folders as trainings leave them, with figures that are known."""

import json

import numpy as np
import pandas as pd
import yaml
from PIL import Image

CLASSES = {"model": {"unet": "lexy.networks.unet.UNet", "tracknet": "lexy.networks.tracknet.TrackNet"}}
CLASSES["loss"] = {"dice": "lexy.tasks.losses.DiceLoss", "combined": "lexy.tasks.losses.CombinedLoss"}
METRICS = {"iou": 0.8, "sensitivity": 0.9, "specificity": 0.95, "nc_error": 0.1, "surface_dice": 0.7}
METRICS |= {"hausdorff": 9.0, "hd95": 5.0, "mean_surface_distance": 1.0, "hausdorff_published": 8.0}
METRICS |= {"hausdorff_um": 2.0, "hd95_um": 1.0, "mean_surface_distance_um": 0.5}
METRICS |= {"tp": 400, "fp": 96, "fn": 100, "tn": 3500}  # 64 x 64 pixels


def settings(model="unet", loss="dice", seed=0, fold=None, **more):
    """A resolved config, as plain values."""
    loss_of = {"_target_": CLASSES["loss"][loss]}
    backbone = {"_target_": "lexy.networks.vanilla.Vanilla", "width": 16}
    data = {"_target_": "lexy.data.synthetic.SyntheticSequences", "fold": fold, "seed": seed, "clip_seed": 0}
    return {
        "name": "s",
        "seed": seed,
        "label": f"synthetic-{model}",
        "pretrained": None,
        "paths": {"outputs": f"/somewhere/{seed}"},
        "data": data,
        "backbone": backbone,
        "model": {"_target_": CLASSES["model"][model], "backbone": backbone},
        "loss": loss_of,
        "task": {"loss": loss_of, "seed": seed},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
        "trainer": {"max_epochs": 5},
        "logger": {},
        **more,
    }


def frames(dice, method="network", start="none", seed=0, prefix="g", **columns):
    """Per-frame rows of `dice`, groups × frames."""
    dice = np.asarray(dice, float)
    groups, length = dice.shape
    facts = {"run": "r", "seed": seed, "data": "synthetic", "split": "test", "fold": -1, "first_frame": "counts"}
    facts |= {"method": method, "start": start, "rollout": "free-running", "spurious": False, **METRICS}
    table = pd.DataFrame(
        {
            "video": np.repeat([f"v{i}" for i in range(groups)], length),
            "group": np.repeat([f"{prefix}{i:03}" for i in range(groups)], length),
            "frame": np.tile(np.arange(length), groups),
            "contrast": np.tile(np.linspace(-0.4, 0.4, length), groups),
            "dice": dice.ravel(),
            "missed": dice.ravel() == 0,
        }
    ).assign(**facts)
    return table.assign(**columns)


def write_run(folder, dice, config=None, status=None, start="none", baseline=None, panels=False, **columns):
    """A finished run (or, by `status`, another) with the tables of `dice`; gives its folder."""
    config = config or settings()
    folder.mkdir(parents=True)
    (folder / "resolved.yaml").write_text(yaml.safe_dump(config))
    data = {
        "name": "synthetic",
        "fingerprint": f"d{config['data']['fold']}",
        "fold": config["data"]["fold"],
        "embedded": False,
    }
    known = {"state": "done", "run": folder.name, "data": data, "best_val_dice": float(np.mean(dice)), "epochs": 5}
    known |= {"seconds": 12.5, "parameters": 1234, "peak_memory_mb": 345.6, "attempt": 1, "commit": "0123456789"}
    (folder / "status.json").write_text(json.dumps(known | (status or {})))
    epochs = "".join(f"{epoch},2.0,{0.5 + epoch / 10}\n" for epoch in range(5))
    (folder / "metrics.csv").write_text("epoch,train/seconds,val/dice\n" + epochs)
    fold = -1 if config["data"]["fold"] is None else config["data"]["fold"]
    columns |= {"run": folder.name, "fold": fold}
    frames(dice, start=start, seed=config["seed"], **columns).to_parquet(folder / "test_frames.parquet")
    if baseline is not None:
        frames(baseline, "copied first mask", "truth", **columns).to_parquet(folder / "test_baselines.parquet")
    if panels:
        (folder / "panels").mkdir()
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 255, (60, 2000), np.uint8)).save(folder / "panels" / "clips.png")
    return folder


def write_many(folder, count, groups=50, length=20, panels=True):
    """A sweep of `count` runs of groups × length rows each, no two alike in their settings."""
    rng = np.random.default_rng(0)
    for at in range(count):
        config = settings(
            model=("unet", "tracknet")[at % 2], optimizer={"_target_": "torch.optim.Adam", "lr": 1e-4 * (at + 1)}
        )
        dice = np.clip(rng.normal(0.8, 0.1, (groups, length)), 0, 1)
        noise = {name: value * rng.uniform(0.5, 1.0, groups * length) for name, value in METRICS.items()}
        baseline = np.full((groups, length), 0.5)
        write_run(
            folder / f"synthetic-{at:08x}", dice, config, start="truth", baseline=baseline, panels=panels, **noise
        )
    return folder
