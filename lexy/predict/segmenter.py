"""A user's videos from their files to tables."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lexy.checkpoint import open_trained
from lexy.errors import UserError
from lexy.evaluation.half_times import ExchangeFit
from lexy.io.user_masks import read_user_mask
from lexy.io.video import Video, open_video
from lexy.networks.network import Network
from lexy.predict.corrections import Corrected, corrected, shifted
from lexy.predict.curves import Light, cells_table, light_of, mean_fit, nuclei_table
from lexy.predict.pipeline import Segmentation, track_nuclei
from lexy.predict.processors import processor_of
from lexy.predict.tiled_networks import Progress

Correction = Literal["drift", "bleaching"]


class Prediction(AbstractContextManager["Prediction"]):
    """What is known of a video: tables, and labels frame by frame; a context manager that removes its temporary files.

    Attributes
    ----------
    video : Video
        As it lies in its file.
    nuclei : DataFrame
        A row for each nucleus and frame: see `lexy.predict.curves.nuclei_table`.
    cells : DataFrame
        A row for each nucleus with its fit: see `lexy.predict.curves.cells_table`.
    light : Light
    mean : ExchangeFit
        Of the mean curve.
    facts : dict of str to str
        What was done, for a report.
    warnings : list of str
    """

    def __init__(
        self, video: Video, segmentation: Segmentation, shifts: NDArray[np.intp] | None, held: ExitStack
    ) -> None:
        self.video, self._segmentation, self._shifts, self._held = video, segmentation, shifts, held
        self.n_frames, self.shape = video.n_frames, video.shape
        self.nuclei = self.cells = pd.DataFrame()
        self.light = Light(np.nan, np.nan, given=False)
        self.mean = ExchangeFit(np.nan, np.nan)
        self.facts: dict[str, Any] = {}
        self.warnings: list[str] = []

    def frame(self, frame: int) -> NDArray[np.float32]:
        """Return a frame of the video, (H, W)."""
        return self.video.read(frame)

    def labels(self, frame: int) -> NDArray[np.int32]:
        """Return the ids of the nuclei of a frame, (H, W); 0 = background."""
        labels = self._segmentation.labels(frame)
        if self._shifts is None:
            return labels
        return shifted(labels, -self._shifts[frame], mode="constant").astype(np.int32)

    def close(self) -> None:
        """Remove the temporary files: the tables stay, labels are gone."""
        self._held.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class Segmenter:
    """A trained network that segments videos: loaded once, called with each of them.

    Parameters
    ----------
    checkpoint : path, optional
        Of a network that lexy-train trained; the one that comes with lexy otherwise.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where the network computes; 'auto' is a GPU where there is one. Digits differ in the last places.
    allow : collection of str
        See `lexy.checkpoint.open_trained`.

    Attributes
    ----------
    trained : Trained
        The network, and what its checkpoint knows of it.

    Raises
    ------
    UserError
        What was wrong with the checkpoint; there is no such device.
    """

    def __init__(self, checkpoint: str | Path | None = None, device: str = "auto", allow: Collection[str] = ()) -> None:
        self._processor = processor_of(device)
        self.trained = open_trained(default_checkpoint() if checkpoint is None else checkpoint, allow)
        self._name = "the one that comes with lexy" if checkpoint is None else Path(checkpoint).name

    def __call__(
        self,
        video: str | Path | NDArray[np.generic],
        *,
        channel: int | None = None,
        pixel_size: float | None = None,
        interval: float | None = None,
        diameter: float | None = None,
        masks: Mapping[int, Path | NDArray[np.integer[Any]]] | None = None,
        light_on: float | None = None,
        light_off: float | None = None,
        correct: Collection[Correction] = (),
        folder: Path | None = None,
        progress: Progress = lambda what, done, of: None,
    ) -> Prediction:
        """Find the nuclei of a video, follow them, measure N/C, and fit export and return.

        Parameters
        ----------
        video, channel, pixel_size, interval
            See `lexy.io.video.open_video`.
        diameter : float, optional
            Of a typical nucleus, in pixels of the video.
        masks : mapping of int to path or labels (H, W), optional
            Your own masks of some frames: the network starts from them.
        light_on, light_off : float, optional
            In seconds, or in frames if the interval is not known. Looked for in the median curve if left out.
        correct : collection of {'drift', 'bleaching'}
            What is taken out of the video first.
        folder : Path, optional
            Where a temporary folder is made, about 6 bytes for each pixel of the video (and 20 more if the network
            sees whole clips); the system's place otherwise.
        progress : callable
            Called with what is done, how many frames or tiles of it are, and how many there will be.

        Returns
        -------
        Prediction
            Close it, or use it in a `with`.

        Raises
        ------
        UserError
            What was wrong with the video, the scale or a mask.
        """
        check_light(light_on, light_off)
        if folder is not None and not folder.is_dir():
            raise UserError(f"folder {folder}: there is no such folder for temporary files")
        with ExitStack() as held:
            source = held.enter_context(open_video(video, channel, pixel_size, interval))
            seen, found = corrected(source, drifting="drift" in correct, bleached="bleaching" in correct)
            shifts = seen.shifts if isinstance(seen, Corrected) and "drift" in correct else None
            given = {frame: _given(mask, frame, source, shifts) for frame, mask in (masks or {}).items()}
            how: Any = {"diameter": diameter, "given": given, "folder": folder, "progress": progress}
            segmentation = held.enter_context(track_nuclei(seen, self.trained, self._processor, **how))
            result = Prediction(source, segmentation, shifts, held)
            nuclei = nuclei_table(seen, segmentation).astype({"flags": str})  # no rows, no type
            result.light = light_of(nuclei, light_on, light_off)
            result.cells = cells_table(nuclei, result.light, source.n_frames)
            result.mean = mean_fit(nuclei, result.cells, result.light)
            if shifts is not None:
                nuclei[["row", "column"]] -= shifts[nuclei["frame"]]
            result.nuclei = nuclei
            result.facts = _facts(result, self.trained.network, self._name, segmentation, given) | found
            result.warnings = _warnings(result, segmentation)
            result._held = held.pop_all()
        return result


def segment(
    video: str | Path | NDArray[np.generic],
    checkpoint: str | Path | None = None,
    *,
    device: str = "auto",
    allow: Collection[str] = (),
    **options: Any,
) -> Prediction:
    """Segment one video: `Segmenter(checkpoint, device, allow)(video, **options)`, see there."""
    return Segmenter(checkpoint, device, allow)(video, **options)


def check_light(light_on: float | None, light_off: float | None) -> None:
    """Raise a UserError if the light goes off without, or before, having gone on."""
    if light_off is not None and light_on is None:
        raise UserError(f"--light-off {light_off:g} needs --light-on: give both, or neither to have them looked for")
    if light_off is not None and not light_off > light_on:  # type: ignore[operator]  # the line above
        raise UserError(f"--light-off {light_off:g} is not after --light-on {light_on:g}")


def default_checkpoint() -> Path:
    """Return the network that comes with lexy: trained on generated cells alone, see the README beside it."""
    return Path(str(files("lexy.predict") / "weights" / "default.ckpt"))


def _given(
    mask: Path | NDArray[np.integer[Any]], frame: int, video: Video, shifts: NDArray[np.intp] | None
) -> NDArray[np.int32]:
    labels = read_user_mask(mask, frame, video)
    return (labels if shifts is None else shifted(labels, shifts[frame], mode="constant")).astype(np.int32)


def _facts(
    result: Prediction, network: Network, checkpoint: str, segmentation: Segmentation, given: Collection[int]
) -> dict[str, Any]:
    from lexy import __version__

    video, light, cleaned = result.video, result.light, segmentation.cleaned
    unit, how = "s" if np.isfinite(video.interval) else "frames", "given" if light.given else "found"
    start = f"frame {segmentation.started}, chosen by the network's own confidence"
    if given:
        start = f"your masks of frames {', '.join(map(str, sorted(given)))}"
    elif segmentation.started is None:
        start = "none: each frame by itself"
    return {
        "frames": f"{video.n_frames} of {video.shape[0]} × {video.shape[1]} px",
        "pixel size": f"{video.pixel_size:g} µm" if np.isfinite(video.pixel_size) else "not known",
        "interval": f"{video.interval:g} s" if np.isfinite(video.interval) else "not known: times are frames",
        "network": type(network).__name__,
        "checkpoint": checkpoint,
        "scale": f"{segmentation.scale.factor:.3g} × (nuclei {segmentation.scale.diameter:.3g} px wide)",
        "start": start,
        "light": "not found" if np.isnan(light.on) else f"{how}: on at {light.on:g}, off at {light.off:g} {unit}",
        "removed": f"{int(cleaned['specks'].sum())} specks too small for a nucleus, {int(cleaned['dark'].sum())} where "
        "it is dark",
        "lexy": __version__,
    }


def _warnings(result: Prediction, segmentation: Segmentation) -> list[str]:
    found = []
    if result.cells.empty:
        return ["No nucleus was found. Check --diameter, or give the mask of a frame."]
    if not result.light.given:
        found.append("Light-on and light-off times were not given; they were found in the median curve.")
    trusted = int(result.cells["trust"].sum())
    if trusted < len(result.cells) / 2:
        found.append(f"Only {trusted} of {len(result.cells)} nuclei have a curve to be trusted; the table says why.")
    if not segmentation.divisions.empty:
        found.append(f"{len(segmentation.divisions)} divisions were seen; their nuclei are flagged.")
    return found
