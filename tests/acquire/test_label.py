import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from field_files import Bright, write_fields

from lexy.acquire.label import LabelFields
from lexy.acquire.manifest import ChannelImage
from lexy.acquire.shards import Shard
from lexy.io.label_images import read_labels

ALL = Shard(0, 1)


def stage(folder: Path, labeller: object = None) -> LabelFields:
    return LabelFields(labeller or Bright(), folder / "work", folder / "fields")  # type: ignore[arg-type]


def test_label_images_are_read_as_they_were_made(tmp_path: Path) -> None:
    entries = write_fields(tmp_path / "fields")
    info = stage(tmp_path).run(ALL, entries, lambda _: None)
    assert (info["fields"], info["nuclei"], info["problems"]) == (5, 5, [])
    labels = read_labels(stage(tmp_path).file(entries[4]))
    assert labels.dtype == np.uint16
    assert labels[30, 30] == 1
    assert labels[2, 2] == 0


def test_what_is_labelled_is_not_labelled_again(tmp_path: Path) -> None:
    entries = write_fields(tmp_path / "fields")
    first, second, third = Bright(), Bright(), Bright()
    info = stage(tmp_path, first).run(ALL, entries, lambda _: None)
    assert len(first.seen) == 5
    assert stage(tmp_path, second).run(ALL, entries, lambda _: None) == info
    for marker in (tmp_path / "work").rglob("shard-*.json"):
        marker.unlink()  # as after a kill
    stage(tmp_path, second).file(entries[2]).unlink()
    assert stage(tmp_path, third).run(ALL, entries, lambda _: None) == info
    assert (second.seen, third.seen) == ([], [entries[2].field])


def test_other_settings_or_another_image_make_other_labels(tmp_path: Path) -> None:
    entries = write_fields(tmp_path / "fields")
    stage(tmp_path).run(ALL, entries, lambda _: None)
    other = stage(tmp_path, Bright(level=40))
    assert other.finished(ALL, entries) is None
    assert other.run(ALL, entries, lambda _: None)["fields"] == 5
    assert read_labels(other.file(entries[0])).sum() > read_labels(stage(tmp_path).file(entries[0])).sum()
    settings = json.loads((other.folder / "settings.json").read_text())
    assert settings == {"class": "Bright", "level": 40}
    stain = entries[1].images["blue"]
    entries[1] = replace(entries[1], images=entries[1].images | {"blue": ChannelImage(stain.file, "", "0" * 64)})
    assert stage(tmp_path).finished(ALL, entries) is None
    again = Bright()
    stage(tmp_path, again).run(ALL, entries, lambda _: None)
    assert again.seen == [entries[1].field]


def test_shards_share_nothing(tmp_path: Path) -> None:
    entries = write_fields(tmp_path / "fields")
    infos = [stage(tmp_path).run(Shard(index, 3), entries, lambda _: None) for index in (2, 0, 1)]
    assert sorted(info["fields"] for info in infos) == [1, 2, 2]
    assert stage(tmp_path).finished(ALL, entries) is None
    assert stage(tmp_path).finished(Shard(0, 3), entries) is not None


class Picky(Bright):
    def label(self, images: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray | str]:
        results = super().label(images, names)
        results[0] = "no label image brought"
        results[1] = np.full(images[1].shape, 70000, np.int32)
        return results


def test_one_bad_field_does_not_stop_the_others(tmp_path: Path) -> None:
    entries = write_fields(tmp_path / "fields")
    (tmp_path / "fields" / entries[3].images["blue"].file).write_bytes(b"no image")
    info = stage(tmp_path, Picky()).run(ALL, entries, lambda _: None)
    assert info["fields"] == 2
    reasons = dict(info["problems"])
    assert list(reasons) == [entries[0].field, entries[1].field, entries[3].field]
    assert reasons[entries[0].field] == "no label image brought"
    assert "65535" in reasons[entries[1].field]
    assert "unreadable" in reasons[entries[3].field]


def test_the_labeller_is_not_asked_before_it_is_needed(tmp_path: Path) -> None:
    class NoWeights(Bright):
        def settings(self) -> dict[str, object]:
            raise AssertionError("asked")

    late = stage(tmp_path, NoWeights())
    with pytest.raises(AssertionError, match="asked"):
        late.run(ALL, write_fields(tmp_path / "fields"), lambda _: None)
