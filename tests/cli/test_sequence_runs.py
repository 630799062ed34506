"""Networks that carry a mask, on sequences, as a user runs them."""

import pandas as pd
import pytest
import yaml
from cli_runs import run_forked
from PIL import Image

pytestmark = pytest.mark.xdist_group("sequences")  # they share two trainings

SIZES = ["data.size=64", "data.crop_size=32", "data.fields=12"]
STILLS = ["data.stills.size=64", "data.stills.crop_size=32", "data.stills.fields=20"]
CLIPS = [*STILLS, "data.protocol.frames=5", "data.protocol.interval=150"]
TRAINING = ["data.clips_per_epoch=16", "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1"]
SMALL = ["backbone.width=4", "backbone.depth=2", "trainer.enable_progress_bar=false"]
BASELINES = ["copied first mask", "moved first mask", "Otsu threshold", "Li threshold"]


def only(folder):
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """Working folder, Track-Net unrolled and its printed report, and a frame network."""
    work = tmp_path_factory.mktemp("sequences")
    tracked = run_forked(
        work, "train", "experiment=tracknet_unrolled", "training.lengths=[2,3]", *CLIPS, *TRAINING, *SMALL
    )
    assert tracked.returncode == 0, tracked.stderr
    frame = run_forked(
        work, "train", "data=synthetic", "training.frames=2", "name=frame", *CLIPS, *TRAINING[:2], *SMALL
    )
    assert frame.returncode == 0, frame.stderr
    return work, only(work / "outputs" / "tracknet_unrolled"), tracked.stdout, only(work / "outputs" / "frame")


def evaluated(work, *overrides):
    before = set((work / "outputs").glob("evaluations/*"))
    done = run_forked(work, "evaluate", "data=synthetic", "start=truth", *CLIPS, *overrides)
    assert done.returncode == 0, done.stderr
    (folder,) = set((work / "outputs").glob("evaluations/*")) - before
    return folder, done.stdout


def test_the_experiment_leaves_free_running_and_one_step_beside_the_baselines(sequences):
    _, folder, printed, _ = sequences
    frames = pd.read_parquet(folder / "test_frames.parquet")
    assert sorted(frames["frame"].unique()) == [1, 2, 3, 4]  # the truth of frame 0 is given
    assert set(frames["start"]) == {"truth"}
    assert set(frames["rollout"]) == {"free-running"}
    assert frames["dice_one_step"].between(0, 1).all()
    summary = pd.read_csv(folder / "test_summary.csv", index_col=0)
    assert {"dice", "dice_one_step", "dice_drop", "dice_worst_frame", "ever_below_0.7"} <= set(summary.index)
    drop = summary.loc["dice_one_step", "mean"] - summary.loc["dice", "mean"]
    assert summary.loc["dice_drop", "mean"] == pytest.approx(drop)
    comparison = pd.read_csv(folder / "test_comparison.csv", index_col=0)
    assert comparison.index.tolist() == ["network", *BASELINES]
    assert set(pd.read_parquet(folder / "test_baselines.parquet")["method"]) == set(BASELINES)
    for text in ("free-running from start=truth", "PHANTOM DATA", "data/protocol=lexy", "start=truth"):
        assert text in printed
    for picture in ("curves", "clips"):
        assert Image.open(folder / "panels" / f"{picture}.png").size[0] > 500


def test_the_contrast_of_each_frame_is_in_the_table(sequences):
    frames = pd.read_parquet(sequences[1] / "test_frames.parquet")
    assert frames["contrast"].between(-1, 1).all()
    assert (frames["contrast"] < 0).any()
    assert (frames["contrast"] > 0).any()


def test_evaluation_repeats_the_run_to_the_last_digit(sequences):
    work, folder, _, _ = sequences
    again, _ = evaluated(work, f"checkpoint={folder / 'best.ckpt'}")
    ours, theirs = (pd.read_parquet(place / "test_frames.parquet") for place in (folder, again))
    shared = [column for column in ours if column in theirs and column != "run"]
    pd.testing.assert_frame_equal(ours[shared], theirs[shared], check_exact=True)


def test_fusion_both_ways_and_a_predicted_start_are_choices_of_the_command_line(sequences):
    work, folder, _, frame = sequences
    networks = [f"checkpoint={folder / 'best.ckpt'}", f"frame_network={frame / 'best.ckpt'}"]
    tables = {}
    for choice in ("model=fusion", "direction=both_ways", "start=unet"):
        place, _ = evaluated(work, *networks, choice)
        tables[choice] = pd.read_parquet(place / "test_frames.parquet")
        assert "frame by frame" in pd.read_csv(place / "test_comparison.csv", index_col=0).index
    assert set(tables["start=unet"]["start"]) == {"unet"}
    assert tables["start=unet"]["frame"].min() == 0  # nothing was given away
    dice = [tables[choice]["dice"].tolist() for choice in ("model=fusion", "direction=both_ways")]
    assert dice[0] != dice[1]


def test_the_protocol_is_a_choice(sequences):
    work, folder, _, _ = sequences
    overrides = [item for item in CLIPS if "protocol" not in item]
    place = ["data/protocol=published", "data.protocol.max_contrast=1"]
    done = run_forked(work, "evaluate", "data=synthetic", "start=truth", "split=train", *overrides, *place,
               f"checkpoint={folder / 'best.ckpt'}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (table,) = (work / "outputs" / "evaluations").glob("*/train_frames.parquet")
    assert pd.read_parquet(table)["frame"].max() == 29


def test_stills_give_a_one_step_figure_and_say_so(tmp_path):
    sizes = [*SIZES, "data.batch_size=16", "trainer.max_epochs=1"]
    done = run_forked(tmp_path, "train", "model=siamnet", "training=published", "logger=wandb", *sizes, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "one step from start=perturbed" in done.stdout
    folder = only(tmp_path / "outputs" / "runs")
    assert set(pd.read_parquet(folder / "test_frames.parquet")["rollout"]) == {"one step"}
    assert BASELINES[0] in pd.read_csv(folder / "test_comparison.csv", index_col=0).index
    assert "one-step" in (next(folder.glob("wandb/offline-run-*/run-*.wandb"))).read_bytes().decode(errors="replace")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([*SIZES, "model=tracknet", "training=unrolled"], "training: Unrolled needs clips of several frames"),
        ([*SIZES, "model=tracknet", "start=truth"], "Give start=perturbed or start=unet"),
        (["data=synthetic", "training=unrolled", "training.lengths=[1]"], "training.lengths"),
        ([*SIZES, "model=tracknet", "start=unet", "frame_network=none.ckpt"], "no such file"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(tmp_path, overrides, message):
    done = run_forked(tmp_path, "train", *overrides)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_frame_network_that_saw_the_test_fields_is_refused(sequences):
    work, folder, _, frame = sequences
    networks = [f"checkpoint={folder / 'best.ckpt'}", f"frame_network={frame / 'best.ckpt'}"]
    done = run_forked(work, "evaluate", "data=synthetic", "start=truth", *CLIPS, *networks, "data.fold=1")
    assert done.returncode == 1
    assert "no test" in done.stderr
    assert yaml.safe_load((folder / "status.json").read_text())["state"] == "done"


@pytest.mark.parametrize("choice", ["start=unet", "start=truth"])
def test_a_frame_network_that_carries_a_mask_is_refused(sequences, choice):
    work, folder, _, _ = sequences
    track = folder / "best.ckpt"
    done = run_forked(
        work, "evaluate", "data=synthetic", choice, *CLIPS, f"checkpoint={track}", f"frame_network={track}"
    )
    assert done.returncode == 1
    assert "TrackNet carries a mask" in done.stderr
    assert "Traceback" not in done.stderr
