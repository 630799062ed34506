"""Weights & Biases: a view of what the run's folder holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lexy.evaluation.result_tables import Tables

import wandb  # isort: skip
from pytorch_lightning.loggers import WandbLogger  # isort: skip


class WandbRun(WandbLogger):
    """A W&B run that has the name of the run's folder.

    Any logger that a config names is built with `folder`, `run_id`, `config`, `tags` and `job_type`, told `log_results`
    and `finish`.

    Parameters
    ----------
    folder : Path
        The run's folder; W&B's own files go into its sub-folder `wandb`.
    run_id : str
        Of this folder and no other; the same when the run is resumed.
    config : dict
        The resolved config, plain values.
    tags : list of str
    job_type : str
        train or evaluate.
    project : str
    entity : str or None
        Team or user; None is the account's default.
    group : str
    offline : bool
        True writes to the folder only; `wandb sync` uploads it when you choose.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        config: dict[str, Any],
        tags: list[str],
        job_type: str,
        project: str = "lexy",
        entity: str | None = None,
        group: str | None = None,
        offline: bool = True,
    ) -> None:
        super().__init__(
            name=folder.name,
            id=run_id,
            save_dir=str(folder),
            project=project,
            entity=entity,
            group=group,
            job_type=job_type,
            offline=offline,
            config=config,
            tags=tags,
            resume="allow",
            # The command says itself where everything is. Addresses of Git's remotes may hold passwords.
            settings=wandb.Settings(silent=offline, disable_git=True, save_code=False),
        )

    def log_results(self, tables: Mapping[str, Tables], panels: Sequence[Path]) -> None:
        """Log summaries with intervals, the per-frame tables and the panels.

        Parameters
        ----------
        tables : mapping
            Split → `lexy.evaluation.result_tables.Tables`.
        panels : sequence of Path
            PNG files, and GIF files of clips.
        """
        run = self.experiment
        for split, table in tables.items():
            for metric, row in table.summary.iterrows():
                for column in ("mean", "low", "high"):
                    run.summary[f"{split}/{metric}/{column}"] = float(row[column])
            run.summary[f"{split}/how"] = table.how
            for method, row in table.comparison.iterrows():
                run.summary[f"{split}/{method}/dice/mean"] = float(row["dice"])
            run.log({f"{split}/frames": wandb.Table(dataframe=table.frames)})
        run.log({f"panels/{path.stem}": wandb.Image(str(path)) for path in panels if path.suffix == ".png"})
        films = {f"panels/{path.stem}": path for path in panels if path.suffix == ".gif"}
        run.log({name: wandb.Video(str(path), format="gif") for name, path in films.items()})

    def finish(self, exit_code: int) -> None:
        """Close the run, so that the next one of this process is another; 0 is success."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=exit_code)
