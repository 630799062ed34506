from functools import partial
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from cli_runs import run_forked

from lexy.cli import evaluate, prepare, train
from lexy.config.check import check, resolved
from lexy.config.compose import composed
from lexy.data.sequences.published import Published
from lexy.data.sequences.translocation import Translocation
from lexy.data.stills import PhantomStills
from lexy.data.synthetic import SyntheticSequences
from lexy.errors import UserError
from lexy.evaluation.table import frame_rows

STILLS = partial(PhantomStills, fields=10, size=64, crop_size=32)
SHORT = Translocation(frames=3, interval=200.0)
NO_ARGUMENTS = SimpleNamespace(config_dir=None, config_name=None)


def sequences(**changes):
    return SyntheticSequences(**{"stills": STILLS, "protocol": SHORT, "batch_size": 4, "clips_per_epoch": 10} | changes)


def epoch(data, number):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def test_splits_have_their_own_stills_and_fields():
    data = sequences()
    rows = [set(data.rows(split)) for split in ("train", "val", "test")]
    assert all(rows)
    assert sum(map(len, rows)) == len(set.union(*rows)) == data.usable.sum()
    groups = [data.groups(split) for split in ("train", "val", "test")]
    assert sum(map(len, groups)) == len(set.union(*groups))
    described = data.describe()
    assert (described["name"], described["fold"]) == ("synthetic", None)
    assert set(described["groups"]) == groups[0] | groups[1]
    assert data.embedded


def test_folds_are_the_stills_own():
    data = sequences(fold=2)
    assert data.groups("test") <= STILLS(fold=2).groups("test")
    assert data.fold == 2


def test_training_never_draws_a_clip_twice_and_uses_all_stills_alike():
    data = sequences(clips_per_epoch=10)
    batches = list(chain.from_iterable(epoch(data, number) for number in range(9)))
    videos = list(chain.from_iterable(batch["video"] for batch in batches))
    assert len(videos) == len(set(videos)) == 90
    stills = pd.Series([video.split("~")[0] for video in videos])
    assert stills.nunique() == len(data.rows("train"))
    assert stills.value_counts().max() - stills.value_counts().min() <= 1
    assert set(chain.from_iterable(batch["group"] for batch in batches)) == data.groups("train")
    fixed = list(chain.from_iterable(clip["video"] for clip in data.loader("train")))
    assert not set(fixed) & set(videos)


def test_an_epoch_is_a_function_of_seed_and_number():
    torch.manual_seed(1)
    first = [sequences().make(batch)["frames"] for batch in epoch(sequences(), 2)]
    torch.manual_seed(2)
    again = [sequences().make(batch)["frames"] for batch in epoch(sequences(), 2)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = [sequences().make(batch)["frames"] for batch in epoch(sequences(seed=1), 2)]
    assert not torch.equal(first[0], other[0])
    undisturbed = sequences()
    for number in range(3):
        batches = epoch(undisturbed, number)
    assert all(torch.equal(undisturbed.make(a)["frames"], b) for a, b in zip(batches, first, strict=True))
    still = sequences(shuffle=False)
    assert [batch["video"] for batch in epoch(still, 0)] == [batch["video"] for batch in epoch(still, 5)]


def test_fixed_clips_do_not_depend_on_the_seed_of_the_run():
    one, other = (next(iter(sequences(seed=seed).loader("test"))) for seed in (0, 1))
    assert one["video"] == other["video"]
    assert torch.equal(one["frames"], other["frames"])
    assert not torch.equal(one["frames"], next(iter(sequences(clip_seed=1).loader("test")))["frames"])
    many = sequences(clips_per_still=3)
    videos = list(chain.from_iterable(clip["video"] for clip in many.loader("test")))
    assert len(videos) == len(set(videos)) == 3 * len(many.rows("test"))


def test_lightning_and_the_evaluator_see_the_same_clips():
    data = sequences()
    made = list(data.loader("val"))
    transferred = [data.transfer_batch_to_device(batch, torch.device("cpu"), 0) for batch in data.val_dataloader()]
    for clip, batch in zip(made, transferred, strict=True):
        same = data.on_after_batch_transfer(batch, 0)
        assert clip["video"] == same["video"]
        for key in ("frames", "masks", "labelled", "frame", "contrast"):
            assert torch.equal(clip[key], same[key])
    assert made[0]["frames"].shape == (4, 3, 1, 32, 32)
    assert made[0]["frame"].tolist() == [[0, 1, 2]] * 4


def test_known_contrast_goes_into_the_table():
    clip = next(iter(sequences().loader("test")))
    table = frame_rows(clip["masks"].bool(), clip)
    np.testing.assert_allclose(table["contrast"], clip["contrast"].flatten(), rtol=1e-6)
    assert table.groupby("video").size().tolist() == [3] * len(clip["video"])


def test_the_fingerprint_is_of_what_decides_the_fixed_clips():
    one = sequences().fingerprint()
    assert one == sequences(seed=3, batch_size=2, clips_per_epoch=7, fold=1).fingerprint()
    for changes in (
        {"protocol": Translocation(frames=3)},
        {"protocol": Published()},
        {"clip_seed": 1},
        {"clips_per_still": 2},
        {"stills": partial(PhantomStills, fields=11)},
    ):
        assert sequences(**changes).fingerprint() != one


def test_a_split_without_a_usable_still_is_refused():
    with pytest.raises(UserError, match=r"none of the .* stills of the val split"):
        sequences(protocol=Published(max_contrast=1e-9)).rows("val")


@pytest.mark.parametrize("protocol", ["published", "lexy"])
@pytest.mark.parametrize("stills", ["phantom", "hpa"])
def test_configs_compose_and_fit_their_signatures(protocol, stills):
    chosen = ["data=synthetic", f"data/protocol={protocol}", f"data/stills={stills}"]
    for command, schema, more in (
        ("train", train.TrainConfig, []),
        ("evaluate", evaluate.EvaluateConfig, ["checkpoint=a.ckpt"]),
        ("prepare", prepare.PrepareConfig, []),
    ):
        config, _ = composed(command, NO_ARGUMENTS, [*chosen, *more])
        plain = resolved(config)
        check(plain, schema)
        assert plain["data"]["protocol"]["_target_"].endswith(
            "Published" if protocol == "published" else "Translocation"
        )
    assert plain["prepare"]["folder"].endswith(f"synthetic/{protocol}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.protocol.before=[0.5,2]", r"data\.protocol\.before"),
        ("data.protocol.drift=-1", r"data\.protocol\.drift"),
        ("data.clips_per_epoch=0", r"data\.clips_per_epoch"),
        ("data.stills.fields=1", r"data\.stills\.fields"),
    ],
)
def test_wrong_values_are_refused_by_key(override, message):
    config, _ = composed("train", NO_ARGUMENTS, ["data=synthetic", override])
    with pytest.raises(UserError, match=message):
        check(resolved(config), train.TrainConfig)


def test_a_network_trains_on_sequences(tmp_path):
    small = ["data=synthetic", "data.stills.fields=10", "data.stills.size=64", "data.stills.crop_size=32"]
    short = ["data.protocol.frames=3", "data.protocol.interval=200", "data.clips_per_epoch=8"]
    network = ["backbone.width=4", "backbone.depth=2", "debug=fast_dev_run", "trainer.enable_progress_bar=false"]
    done = run_forked(tmp_path, "train", *small, *short, *network)
    assert done.returncode == 0, done.stderr
    assert "synthetic, test split" in done.stdout
    (table,) = tmp_path.glob("outputs/runs/*/test_frames.parquet")
    frames = pd.read_parquet(table)
    assert frames.groupby("video")["frame"].apply(list).tolist()[0] == [1, 2]
    assert frames["contrast"].between(-1, 1).all()
