"""What `lexy-predict` found in one video, as a W&B run."""

import secrets
from pathlib import Path
from typing import Any

import pandas as pd
import wandb


def record_prediction(folder: Path, nuclei: pd.DataFrame, cells: pd.DataFrame, **run: Any) -> None:
    """Record a finished prediction offline, into `folder/wandb`; `lexy-sync` uploads it.

    Parameters
    ----------
    folder : Path
        What `lexy.report.video.result_files.write_prediction` has filled.
    nuclei, cells : DataFrame
        Of the prediction.
    **run
        `project`, `group`, `name` and `config` of the run, as `wandb.init` takes them.
    """
    record = wandb.init(
        id=f"predict-{secrets.token_hex(6)}",
        job_type="predict",
        dir=str(folder),
        mode="offline",
        settings=wandb.Settings(silent=True, disable_git=True, save_code=False),
        **run,
    )
    record.define_metric("nc/*", step_metric="frame")
    for frame, values in nuclei.groupby("frame")["nc"]:
        record.log({"frame": frame, "nc/mean": values.mean(), "nc/median": values.median()})
    record.summary.update({"nuclei": len(cells), "trusted": int(cells["trust"].sum()) if len(cells) else 0})
    tables = {"nuclei": nuclei, "cells": cells}
    record.log({name: wandb.Table(dataframe=table) for name, table in tables.items() if len(table)})
    record.log({path.stem: wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))})
    record.log({"overlay": wandb.Video(str(folder / "overlay.gif"), format="gif")})
    record.finish()
