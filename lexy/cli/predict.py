"""`lexy-predict`: a user's videos to masks, N/C curves and a page; an ordinary command with flags."""

import argparse
import math
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexy.errors import UserError
from lexy.threads import use_threads, wait_passively

if TYPE_CHECKING:
    from lexy.evaluation.replicates import Entry
    from lexy.predict.segmenter import Prediction, Segmenter

EXAMPLES = """\
examples:
  lexy-predict video.tif --output result --diameter 40
  lexy-predict 'frames/t*.tif' --output result --pixel-size 0.28 --interval 30 --light-on 120 --light-off 420
  lexy-predict video.tif --output result --diameter 40 --mask 12=corrected.tif
  lexy-predict --table videos.csv --output results --diameter 40
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    wait_passively()
    parser = _parser()
    given = parser.parse_args(arguments)
    if bool(given.video) == bool(given.table):
        parser.error("give either a VIDEO, or several by --table CSV")
    if given.table and given.mask:
        parser.error("--mask belongs to one video: give it in a column mask of the table, FRAME=FILE")
    use_threads(given.threads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of everything that removes temporary files
    try:
        if given.film == "mp4" and not find_spec("imageio_ffmpeg"):
            raise UserError('--film mp4 needs an encoder: pip install "lexy[video]", or leave it out for a GIF')
        if given.wandb:
            from lexy.config.check import refuse_secrets

            refuse_secrets(_typed(given), "")
        _predict_table(given) if given.table else _predict_one(given)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # the disk is full, or a folder may not be written to
        sys.exit(f"error: {error.filename or given.output}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lexy-predict",
        description="Find the nuclei of a video in every frame, follow them, and measure N/C over time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("video", nargs="?", help="a TIFF, OME-TIFF or ImageJ stack, a folder of frames, or a pattern")
    parser.add_argument("--table", type=Path, help="CSV of several videos: video, condition, replicate, ...")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results; it must not hold any yet")
    parser.add_argument(
        "--checkpoint", type=Path, help="a network of lexy-train (default: the one that comes with lexy)"
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="where the network computes (default: auto, a GPU where there is one)",
    )
    parser.add_argument("--diameter", type=_positive, help="of a typical nucleus, in pixels of the video")
    parser.add_argument("--channel", type=int, help="which channel shows the protein, from 0")
    parser.add_argument("--pixel-size", type=_positive, help="µm (default: from the file)")
    parser.add_argument("--interval", type=_positive, help="seconds from frame to frame (default: from the file)")
    parser.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="FRAME=FILE",
        help="your own mask of a frame (label TIFF, Fiji ROI zip, napari labels): the network starts from there",
    )
    parser.add_argument("--light-on", type=float, help="in seconds, or frames if the interval is not known")
    parser.add_argument("--light-off", type=float, help="likewise (default: it stays on)")
    parser.add_argument("--correct", nargs="+", choices=("drift", "bleaching"), default=[], help="take it out first")
    parser.add_argument("--film", choices=("gif", "mp4"), default="gif", help="kind of the overlay video")
    parser.add_argument(
        "--wandb", metavar="PROJECT", help="record each video for Weights & Biases too, offline; lexy-sync uploads"
    )
    parser.add_argument(
        "--threads", type=_at_least_one, metavar="N", help="cores to use (default: OMP_NUM_THREADS, or all)"
    )
    parser.add_argument("--allow", action="append", default=[], metavar="PACKAGE", help="whose networks may be built")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _segmenter(given: argparse.Namespace) -> "Segmenter":
    import lexy

    return lexy.Segmenter(given.checkpoint, given.device, given.allow)


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _predict_one(given: argparse.Namespace) -> None:
    from lexy.evaluation.replicates import Entry

    entry = Entry(
        video=given.video,
        light_on=given.light_on,
        light_off=given.light_off,
        channel=given.channel,
        pixel_size=given.pixel_size,
        interval=given.interval,
        diameter=given.diameter,
    )
    with _whole(given.output) as folder:
        _write(_segmenter(given), entry, given, folder)
    print(f"results: {given.output}\npage:    {given.output / 'page.html'}")


def _predict_table(given: argparse.Namespace) -> None:
    import pandas as pd

    from lexy.evaluation.replicates import pooled, read_table, statistics
    from lexy.report.video.replicates_page import write_replicates_page

    entries, segmenter = read_table(given.table, vars(given)), _segmenter(given)
    _check_rows(entries, segmenter, given)
    with _whole(given.output) as folder:
        tables = {}
        for number, entry in enumerate(entries, start=1):
            print(f"{number} of {len(entries)}: {entry.video}")
            with _row(given.table, number):
                tables[entry] = _write(segmenter, entry, given, folder / f"{number:03d}")
        nuclei, cells = pooled(tables)
        nuclei.to_csv(folder / "nuclei.csv", index=False)
        cells.to_csv(folder / "cells.csv", index=False)
        table, differences = statistics(cells, {entry.condition for entry in entries})
        table.to_csv(folder / "conditions.csv", index=False)
        differences.to_csv(folder / "differences.csv", index=False)
        files = {"nuclei.csv": "every nucleus and frame", "cells.csv": "every fit", "conditions.csv": "this table"}
        links = {f"{number:03d}/page.html": entry.video for number, entry in enumerate(entries, start=1)}
        done = {"table": given.table.name, "videos": len(entries)}
        facts: Any = {"video": given.table.stem, "warnings": _few(table), "done": done}
        write_replicates_page(
            folder / "page.html", table, facts, files | {"differences.csv": "between conditions"} | links
        )
    with pd.option_context("display.width", 160):
        print(table.to_string(index=False))
    print(f"results: {given.output}\npage:    {given.output / 'page.html'}")


def _check_rows(entries: "Sequence[Entry]", segmenter: "Segmenter", given: argparse.Namespace) -> None:
    """Raise a UserError for what can be told to be wrong before the first video is worked on."""
    from lexy.io.user_masks import read_user_mask
    from lexy.io.video import open_video
    from lexy.predict.scale import scale_of
    from lexy.predict.segmenter import check_light

    timed = set()
    for number, entry in enumerate(entries, start=1):
        with (
            _row(given.table, number),
            open_video(entry.video, entry.channel, entry.pixel_size, entry.interval) as video,
        ):
            check_light(entry.light_on, entry.light_off)
            scale_of(video, segmenter.trained, entry.diameter)
            for frame, file in _masks(filter(None, [entry.mask])).items():
                read_user_mask(file, frame, video)
            timed.add(math.isfinite(video.interval))
    if len(timed) > 1:
        raise UserError(f"--table {given.table}: some videos have an interval and others not: give it for all.")


@contextmanager
def _row(table: Path, number: int) -> Iterator[None]:
    """Say of which row of a table a mistake is, its first video being number 1."""
    try:
        yield
    except UserError as error:
        raise UserError(f"--table {table}, row {number + 1}: {error}") from error


def _few(table: Any) -> list[str]:
    few = sorted(set(table.loc[table["replicates"] < 3, "condition"]))
    return [f"{name}: fewer than three replicates, no interval" for name in few]


def _write(segmenter: "Segmenter", entry: "Entry", given: argparse.Namespace, folder: Path) -> Any:
    """Write everything that is known of one video into `folder`; return its tables of nuclei and of fits."""
    from lexy.report.video.result_files import write_prediction

    folder.mkdir(parents=True, exist_ok=True)
    masks = _masks([*given.mask, *filter(None, [entry.mask])])
    with segmenter(
        entry.video,
        channel=entry.channel,
        pixel_size=entry.pixel_size,
        interval=entry.interval,
        diameter=entry.diameter,
        masks=masks,
        light_on=entry.light_on,
        light_off=entry.light_off,
        correct=given.correct,
        folder=folder,
        progress=_progress,
    ) as result:
        write_prediction(result, folder, film=given.film)
        if given.wandb:
            _record(result, given, folder)
        return result.nuclei, result.cells


def _record(result: "Prediction", given: argparse.Namespace, folder: Path) -> None:
    from lexy.report.wandb_prediction import record_prediction

    config = {**_typed(given), "done": result.facts, "warnings": result.warnings}
    names = {"project": given.wandb, "group": given.output.name, "name": result.video.name}
    record_prediction(folder, result.nuclei, result.cells, config=config, **names)


def _typed(given: argparse.Namespace) -> dict[str, Any]:
    """The flags as plain values."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in vars(given).items()}


def _masks(texts: Iterable[str]) -> dict[int, Path]:
    masks: dict[int, Path] = {}
    for text in texts:
        frame, equals, file = text.partition("=")
        if not equals or not frame.isdecimal() or not file:
            raise UserError(f"--mask {text}: write FRAME=FILE, for example --mask 0=mask.tif")
        if int(frame) in masks:
            raise UserError(f"--mask {text}: frame {frame} has another mask already, {masks[int(frame)]}. Give one.")
        masks[int(frame)] = Path(file)
    return masks


def _progress(what: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{what}: {done} of {of}    ", end="\n" if done == of else "", file=sys.stderr, flush=True)


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """A folder whose files are moved into `output` when all are there; else nothing of it stays."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output {output}: there is something already. Name a new folder; nothing is overwritten.")
    own = not output.exists()
    output.mkdir(parents=True, exist_ok=True)  # what is there may be a mount point, or the working folder: it stays
    folder = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=output))
    try:
        yield folder
        for path in sorted(folder.iterdir()):
            path.rename(output / path.name)
        folder.rmdir()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if own:
            shutil.rmtree(output, ignore_errors=True)
        raise


if __name__ == "__main__":
    main()
