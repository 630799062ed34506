import json
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from cli_runs import run_forked
from PIL import Image

from lexy.acquire.sequences import WriteSequences
from lexy.data.sequences.published import Published
from lexy.data.sequences.translocation import Translocation
from lexy.data.stills import PhantomStills
from lexy.data.synthetic import SyntheticSequences
from lexy.errors import UserError

STILLS = partial(PhantomStills, fields=10, size=64, crop_size=32)


def sequences(**changes):
    protocol = Translocation(frames=3, interval=200.0)
    return SyntheticSequences(**{"stills": STILLS, "protocol": protocol, "batch_size": 4} | changes)


def test_a_set_is_written_whole_once_and_holds_the_fixed_clips(tmp_path, capsys):
    data, folder = sequences(), tmp_path / "a" / "set"
    write = WriteSequences(data, str(folder), strips=2)
    write.run()
    files = ["clips.parquet", "clips.zarr", "sequences.json", "strips.png"]
    assert sorted(path.name for path in folder.iterdir()) == files
    clips = list(data.loader("test"))
    group, table = zarr.open_group(folder / "clips.zarr", mode="r"), pd.read_parquet(folder / "clips.parquet")
    frames, masks = (torch.cat([clip[key][:, :, 0] for clip in clips]).numpy() for key in ("frames", "masks"))
    np.testing.assert_allclose(group["frames"][:] / 65535, frames, atol=1e-5)
    np.testing.assert_array_equal(group["masks"][:], masks)
    assert table["video"].drop_duplicates().tolist() == list(chain.from_iterable(clip["video"] for clip in clips))
    assert table["clip"].tolist() == [index for index in range(len(frames)) for _ in range(3)]
    np.testing.assert_array_equal(table["contrast"], torch.cat([clip["contrast"] for clip in clips]).flatten())
    assert json.loads((folder / "sequences.json").read_text())["counts"]["clips"] == len(frames)

    made = (folder / "sequences.json").stat().st_mtime_ns
    write.run()
    assert "nothing to do" in capsys.readouterr().out
    assert (folder / "sequences.json").stat().st_mtime_ns == made
    other = sequences(clip_seed=1)
    with pytest.raises(UserError, match=r"prepare\.overwrite=true"):
        WriteSequences(other, str(folder)).run()
    WriteSequences(other, str(folder), overwrite=True).run()
    assert json.loads((folder / "sequences.json").read_text())["settings"]["clip_seed"] == 1
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_a_set_never_replaces_what_is_none_and_nothing_remains_of_a_failure(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    with pytest.raises(UserError, match="holds other files"):
        WriteSequences(sequences(), str(mine), overwrite=True).run()
    assert (mine / "notes.txt").read_text() == "keep"
    with pytest.raises(UserError, match="can use none"):
        WriteSequences(sequences(protocol=Published(max_contrast=1e-9)), str(tmp_path / "new")).run()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_command_writes_a_set_for_each_protocol(tmp_path):
    small = ["data.stills.fields=12", "data.stills.phantom_seed=2", "data.stills.size=64", "data.stills.crop_size=32"]
    done = run_forked(tmp_path, "prepare", "-m", "data=synthetic", "data/protocol=lexy,published", *small)
    assert done.returncode == 0, done.stderr
    for protocol in ("lexy", "published"):
        folder = tmp_path / "outputs/data/synthetic" / protocol
        record = json.loads((folder / "sequences.json").read_text())
        clips = record["counts"]["clips"]
        assert f"clips: {clips} from" in done.stdout
        assert zarr.open_group(folder / "clips.zarr", mode="r")["frames"].shape == (clips, 30, 32, 32)
        with Image.open(folder / "strips.png") as sheet:
            assert np.asarray(sheet).std() > 0
