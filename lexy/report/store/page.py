"""Write a stills store as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lexy.data.crop_arrays import read_crops
from lexy.data.splits import SPLITS
from lexy.data.store import read_table, store_info
from lexy.errors import UserError
from lexy.files import replacing
from lexy.report import html
from lexy.report.store.figures import draw_crops, draw_histograms

COLUMNS = ["field", "antibody", "cell_line", "nucleus", "area", "contrast", "split"]
LONGEST = 32  # characters of a caption that fit above a crop
UNKNOWN = "(not known)"
DROPPED = (
    '<p class="note">Dropped: <i>border</i> and <i>small</i> count nuclei, <i>crowded</i> and <i>no nuclei</i> fields, '
    "<i>constant crop</i> and <i>empty mask</i> crops. Field by field: prepare_report.csv in the store.</p>"
)


def write_store_page(store: Path, folder: Path, crops_per_split: int = 24, seed: int = 0) -> Path:
    """Write `report.html` and, beside it, its figures `crops_<split>.png` and `histograms.png`.

    Only the crops that are shown are read from the arrays.

    Parameters
    ----------
    store : Path
        The store's folder.
    folder : Path
        Folder of the page; made if it is missing, existing files are replaced.
    crops_per_split : int
        Largest number of crops shown for each split; larger than 0.
    seed : int
        Seed of the random choice of crops; not negative.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    UserError
        If there is no whole store, or a part of it is missing or damaged.
    """
    info = store_info(store)
    table = read_table(store, info, COLUMNS)
    shown = {
        split: _sample(np.flatnonzero(table["split"] == split), crops_per_split, [seed, at])
        for at, split in enumerate(SPLITS)
    }
    sections = [
        _overview(table, info),
        *(_crops(store, table, split, rows, seed, folder) for split, rows in shown.items()),
        _histograms(table, info, folder),
        _cell_lines(table),
        html.section("What became of the fields", DROPPED + "".join(html.tables(info["counts"]))),
        html.section("Settings", "".join(html.tables(info["settings"]))),
    ]
    page = folder / "report.html"
    with replacing(page) as temporary:
        temporary.write_text(html.page(f"Stills store {Path(store).absolute().name}", sections), encoding="utf-8")
    return page


def _sample(rows: np.ndarray, count: int, seed: Sequence[int]) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).choice(rows, min(count, len(rows)), replace=False))


def _overview(table: pd.DataFrame, info: Mapping[str, Any]) -> str:
    group = str(info.get("group", "field"))
    names = ["crops", "fields", "antibodies", "cell lines", "crops, %"]
    rows = []
    for split, part in [*((split, table[table["split"] == split]) for split in SPLITS), ("all", table)]:
        distinct = [part[column].nunique() for column in ("field", "antibody", "cell_line")]
        rows.append([split, len(part), *distinct, round(100 * len(part) / len(table), 1)])
    shared = int(table.drop_duplicates([group, "split"])[group].value_counts().gt(1).sum())
    leak = (
        f'<p class="bad">{shared:,} of them are in more than one split.</p>'
        if shared
        else '<p class="note">None of them is in more than one split.</p>'
    )
    text = f"<p>Split by <b>{escape(html.words(group))}</b>: {table[group].nunique():,} groups.</p>{leak}"
    return html.section("Splits", html.table(["split", *names], rows) + text)


def _crops(store: Path, table: pd.DataFrame, split: str, rows: np.ndarray, seed: int, folder: Path) -> str:
    title = f"Crops of {split}"
    if not len(rows):
        return html.section(title, '<p class="note">There are none.</p>')
    try:
        images, masks = read_crops(store / "crops.zarr", rows)
    except Exception as error:  # zarr and its codecs raise their own kinds
        raise UserError(
            f"{store / 'crops.zarr'}: cannot be read ({error!r}). Make the store again with lexy-prepare "
            "prepare.overwrite=true."
        ) from error
    captions = [_caption(row) for row in table.iloc[rows].itertuples()]
    total = int((table["split"] == split).sum())
    side = f"{images.shape[1]} × {images.shape[2]} px"
    figure = draw_crops(images, masks, captions, f"{split}: {len(rows):,} of {total:,} crops, drawn with seed {seed}")
    picture = _save_figure(figure, folder / f"crops_{split}.png", f"Crops of the {split} split with mask outlines")
    text = f"<p>Protein channel, {side}, square root of the intensity, each crop scaled to its own maximum. Outlines: "
    return html.section(title, f"{text}the masks. Above each: field # nucleus, cell line, contrast.</p>{picture}")


def _caption(row: Any) -> str:
    name = f"{row.field}#{row.nucleus}"
    contrast = "contrast not known" if np.isnan(row.contrast) else f"contrast {row.contrast:.2f}".replace("-", "−")
    below = f"{row.cell_line} · {contrast}" if row.cell_line else contrast
    return "\n".join(line if len(line) <= LONGEST else f"…{line[-LONGEST:]}" for line in (name, below))


def _histograms(table: pd.DataFrame, info: Mapping[str, Any], folder: Path) -> str:
    side = info["settings"].get("rules", {}).get("field_size")
    field = f" of the field at {side} × {side}" if side else " of the resized field"
    labels = {"area": f"area of the nucleus (px{field})", "contrast": "contrast (nucleus − ring, 1 = crop's maximum)"}
    figure = draw_histograms(table, labels, SPLITS)
    return html.section(
        "Area and contrast", _save_figure(figure, folder / "histograms.png", "Histograms of area and contrast")
    )


def _cell_lines(table: pd.DataFrame) -> str:
    lines = table["cell_line"].where(table["cell_line"] != "", UNKNOWN)
    crops = pd.crosstab(lines, table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    fields = table["field"].groupby(lines).nunique()
    crops = crops.assign(all=crops.sum(axis=1)).sort_values("all", ascending=False, kind="stable")
    rows = [
        [line, *map(int, counts), int(fields[line])] for line, counts in zip(crops.index, crops.values, strict=True)
    ]
    header = ["cell line", *(f"{split}, crops" for split in SPLITS), "all, crops", "fields"]
    return html.section("Cell lines", html.table(header, rows))


def _save_figure(figure: Figure, path: Path, description: str) -> str:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return html.picture(path.read_bytes(), description)
