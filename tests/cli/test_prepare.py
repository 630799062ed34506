"""`lexy-prepare` as a user types it, against an atlas on the loopback interface."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from acquire.atlas_server import Atlas
from atlas_search import give
from cli_runs import run, run_forked

CROPS = ["crops.field_size=128", "crops.crop_size=64", "crops.min_area=50", "shards=3", "prepare.workers=1"]


@pytest.fixture
def atlas() -> Iterator[Atlas]:
    with Atlas().running() as server:
        yield server


def test_the_whole_way_then_nothing_then_the_report(tmp_path: Path, atlas: Atlas) -> None:
    options = [*give(atlas, 6), *CROPS]
    first = run(tmp_path, "prepare", "data=hpa", *options)
    assert first.returncode == 0, first.stderr
    assert "6 found, 6 used, 0 failed" in first.stdout
    assert "HTTP" not in first.stdout
    table = pd.read_parquet(tmp_path / "outputs" / "data" / "hpa" / "manifest.parquet")
    assert set(table["cell_line"]) == {"U2OS", "A-431"}
    assert table["field"].nunique() == 6
    asked = len(atlas.asked)
    second = run_forked(tmp_path, "prepare", "data=hpa", *options)
    assert second.returncode == 0, second.stderr
    assert "up to date (same files, same settings): nothing to do" in second.stdout
    assert len(atlas.asked) == asked
    report = run_forked(tmp_path, "prepare", "report")
    assert report.returncode == 0, report.stderr
    assert "U2OS" in (tmp_path / "outputs" / "data" / "hpa_report" / "report.html").read_text()


def test_shards_of_a_sweep_and_a_merge(tmp_path: Path, atlas: Atlas) -> None:
    options = [*give(atlas, 5), *CROPS]
    for stage in ("index", "download"):
        assert run_forked(tmp_path, "prepare", stage, *options).returncode == 0
    labelled = run_forked(tmp_path, "prepare", "-m", "stage=label", "shard=range(0,3)", *options)
    assert labelled.returncode == 0, labelled.stderr
    early = run_forked(tmp_path, "prepare", "store", *options)
    assert early.returncode == 1
    assert "shard 0, shard 1, shard 2 of 3" in early.stderr
    assert "Traceback" not in early.stderr
    assert run_forked(tmp_path, "prepare", "-m", "stage=crop", "shard=range(0,3)", *options).returncode == 0
    merged = run_forked(tmp_path, "prepare", "store", *options)
    assert merged.returncode == 0, merged.stderr
    assert "5 found, 5 used" in merged.stdout


def test_a_failed_shard_fails_the_sweep_in_processes_of_its_own(tmp_path: Path) -> None:
    result = run_forked(
        tmp_path, "prepare", "-m", "stage=label", "shard=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"
    )
    assert result.returncode == 1
    assert f"error: {Path('outputs', 'data', 'work', 'downloaded.parquet')}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stage=lable"], ["stage", "label"]),
        (["stage=label", "shard=16"], ["shard=16", "0 to 15"]),
        (["stage=store", "shard=1"], ["stage=store", "shard=1"]),
        (["data=phantom", "stage=label"], ["stage=label", "in one go"]),
        (["index=folder", "paths.fields=nowhere"], ["nowhere", "no fields"]),
        (["index.source=nowhere.xml"], ["nowhere.xml"]),
        (["index.source=http://example.org/a.xml"], ["example.org", "politeness.hosts"]),
        (["label"], ["downloaded.parquet", "stage=index"]),
        (["report"], ["outputs/data/hpa", "no stills store"]),
    ],
)
def test_mistakes_are_explained_in_one_message(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    result = run_forked(tmp_path, "prepare", *arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
