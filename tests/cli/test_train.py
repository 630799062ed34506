import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import torch
import yaml
from cli_runs import FAKE_KEY, TINY, environment, run, run_forked
from PIL import Image

import lexy
from lexy.checkpoint import read
from lexy.files import held


def test_a_run_leaves_everything_in_its_folder(trained):
    _, folder, _ = trained
    for name in ("config.yaml", "metrics.csv", "status.json", "run.log", "best.ckpt", "last.ckpt"):
        assert (folder / name).stat().st_size >= 0, name
    for split in ("val", "test"):
        frames = pd.read_parquet(folder / f"{split}_frames.parquet")
        assert {"run", "data", "split", "seed", "group", "video", "frame", "dice", "hd95", "nc_error"} <= set(frames)
        assert frames["dice"].between(0, 1).all()
        assert (frames["data"] == "phantom").all()
        summary = pd.read_csv(folder / f"{split}_summary.csv", index_col="metric")
        assert summary.loc["dice", "frames"] == len(frames)
    for case in ("worst", "median", "best"):
        assert Image.open(folder / "panels" / f"{case}.png").size[0] > 500


def test_a_run_says_what_it_computes_with(trained):
    status = json.loads((trained[1] / "status.json").read_text())
    assert [status[key] for key in ("device", "precision", "threads")] == ["cpu", "32-true", 1]
    assert "device: cpu, precision: 32-true, threads: 1" in (trained[1] / "run.log").read_text()


def test_the_device_that_is_there_and_the_number_of_threads_may_be_asked_for(tmp_path):
    done = run_forked(tmp_path, "train", *TINY, "trainer=auto", "threads=3", "debug=fast_dev_run")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    status = json.loads((folder / "status.json").read_text())
    assert status["device"].startswith(("cpu", "cuda", "mps"))
    assert status["threads"] == 3
    assert yaml.safe_load((folder / "resolved.yaml").read_text())["trainer"]["precision"] == "auto"


def test_the_console_says_what_came_out_and_that_it_is_phantom_data(trained):
    _, folder, printed = trained
    assert "PHANTOM DATA" in printed
    assert "95 % interval" in printed
    for name in (
        "best.ckpt",
        "metrics.csv",
        "test_summary.csv",
        "panels/worst.png",
        "wandb/offline-run",
        "lexy-evaluate",
    ):
        assert name in printed
    assert folder.name in printed


def test_the_epoch_log_has_one_row_for_each_epoch(trained):
    log = pd.read_csv(trained[1] / "metrics.csv")
    assert log["epoch"].tolist() == [0, 1, 2]
    for column in ("train/loss", "val/dice", "val/loss", "train/learning_rate", "train/gradient_norm"):
        assert log[column].notna().all()
    assert (log["train/clips_per_second"] > 0).all()


def test_splits_share_no_field(trained):
    _, folder, _ = trained
    val, test = (pd.read_parquet(folder / f"{split}_frames.parquet") for split in ("val", "test"))
    assert not set(val["group"]) & set(test["group"])


def test_the_checkpoint_alone_gives_the_network_and_its_validation_figure(trained):
    _, folder, _ = trained
    checkpoint = read(folder / "best.ckpt")
    network = lexy.load(folder / "best.ckpt")
    assert network(torch.rand(1, 1, 33, 47)).shape == (1, 1, 33, 47)
    best = pd.read_csv(folder / "metrics.csv")["val/dice"].max()
    summary = pd.read_csv(folder / "val_summary.csv", index_col="metric")
    assert summary.loc["dice", "mean"] == pytest.approx(best, abs=1e-6)
    assert checkpoint["lexy"]["data"]["name"] == "phantom"


def test_evaluation_gives_the_same_table_to_the_last_digit(trained):
    work, folder, _ = trained
    done = run(work, "evaluate", f"checkpoint={folder / 'best.ckpt'}", *TINY[:4], "logger=wandb")
    assert done.returncode == 0, done.stderr
    assert len(list((work / "outputs" / "evaluations").glob("best-*/wandb/offline-run-*/*.wandb"))) == 1
    (evaluated,) = (work / "outputs" / "evaluations").glob("best-*")
    ours, theirs = (pd.read_parquet(place / "test_frames.parquet") for place in (folder, evaluated))
    shared = [column for column in ours if column in theirs and column != "run"]
    assert len(shared) > 25
    pd.testing.assert_frame_equal(ours[shared], theirs[shared], check_exact=True)
    for name in ("test_summary.csv", "test_published.csv"):
        assert (folder / name).read_bytes() == (evaluated / name).read_bytes()


def test_a_split_with_training_fields_in_it_is_refused(trained):
    work, folder, _ = trained
    done = run_forked(work, "evaluate", f"checkpoint={folder / 'best.ckpt'}", *TINY[:4], "data.fold=1")
    assert done.returncode == 1
    assert "Give data.fold=null" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_written_config_repeats_the_run_and_keeps_its_identity(trained, tmp_path):
    _, folder, _ = trained
    done = run_forked(tmp_path, "train", "--config-dir", str(folder), "--config-name", "config")
    assert done.returncode == 0, done.stderr
    (again,) = (tmp_path / "outputs" / "runs").iterdir()
    assert again.name == folder.name
    assert (again / "test_summary.csv").read_bytes() == (folder / "test_summary.csv").read_bytes()
    assert [item.name for item in tmp_path.iterdir()] == ["outputs"]


def test_an_override_of_the_written_config_reaches_what_follows_it(trained, tmp_path):
    _, folder, _ = trained
    again = ["--config-dir", str(folder), "--config-name", "config"]
    done = run_forked(tmp_path, "train", *again, "optimizer.lr=0.5", "seed=3", "--cfg", "job", "--resolve")
    assert done.returncode == 0, done.stderr
    plain = yaml.safe_load(done.stdout)
    assert plain["task"]["optimizer"]["lr"] == 0.5
    assert plain["task"]["seed"] == plain["data"]["seed"] == 3


def test_a_run_that_is_going_on_is_not_joined(trained):
    work, folder, _ = trained
    status = (folder / "status.json").read_text()
    (folder / "status.json").write_text(status.replace('"done"', '"running"'))
    try:
        with held(folder):
            done = run_forked(work, "train", *TINY, "logger=wandb", "resume=auto")
    finally:
        (folder / "status.json").write_text(status)
    assert done.returncode == 1
    assert "in use by another process" in done.stderr


def test_two_processes_train_together_and_evaluate_every_crop(trained, tmp_path):
    _, folder, _ = trained
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true"]
    sizes = [item for item in TINY if item != "trainer.max_epochs=3"]
    done = run(tmp_path, "train", *sizes, *ddp, "trainer.max_epochs=1", "data.batch_size=2")
    assert done.returncode == 0, done.stdout + done.stderr
    (other,) = (tmp_path / "outputs" / "runs").iterdir()
    for split in ("val", "test"):
        alone, together = (pd.read_parquet(place / f"{split}_frames.parquet") for place in (folder, other))
        assert together["video"].tolist() == alone["video"].tolist()
    assert json.loads((other / "status.json").read_text())["state"] == "done"


def test_validation_now_and_then_leaves_gaps_in_the_log(tmp_path):
    done = run_forked(tmp_path, "train", *TINY, "trainer.max_epochs=4", "trainer.check_val_every_n_epoch=2")
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("outputs/runs/*/metrics.csv")
    assert pd.read_csv(path)["val/dice"].notna().tolist() == [False, True, False, True]


def test_a_finished_run_is_shown_not_made_again(trained):
    work, folder, _ = trained
    before = (folder / "best.ckpt").stat().st_mtime_ns
    done = run_forked(work, "train", *TINY, "logger=wandb", "resume=auto")
    assert done.returncode == 0, done.stderr
    assert "done already" in done.stdout
    assert (folder / "best.ckpt").stat().st_mtime_ns == before


def test_the_wandb_record_holds_it_all(trained):
    _, folder, _ = trained
    (record,) = (folder / "wandb").glob("offline-run-*")
    run_id = json.loads((folder / "status.json").read_text())["run_id"]
    assert run_id.startswith(folder.name)
    assert record.name.endswith(run_id)
    leet = [sys.executable, "-m", "wandb", "leet", "inspect", "--json"]

    def read_back(*flags: str) -> str:
        call = [*leet, *flags, str(record)]
        return subprocess.run(call, capture_output=True, text=True, env=environment(), check=True).stdout

    text, summary = read_back(), json.loads(read_back("--summary"))
    flat = json.dumps(summary)
    for name in ("test/dice/mean", "test/dice/low", "val/hd95/high", "val/dice", "train/gradient_norm"):
        assert name in flat, name
    for name in ("train/learning_rate", "train/clips_per_second", "panels/worst", "test/frames", "run_folder"):
        assert name in text + flat, name
    media = {path.suffix for path in (record / "files" / "media").rglob("*.*")}
    assert {".png", ".json"} <= media
    plain = yaml.safe_load((folder / "resolved.yaml").read_text())
    assert plain["logger"]["wandb"]["offline"] is True
    assert plain["data"]["seed"] == plain["task"]["seed"] == 0
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["run"]) == ("done", folder.name)


def test_a_sweep_gives_every_job_its_own_folder_table_and_wandb_run(tmp_path):
    done = run_forked(
        tmp_path, "train", "-m", *TINY, "trainer.max_epochs=1", "loss=dice,bce", "seed=0,1", "logger=wandb"
    )
    assert done.returncode == 0, done.stderr
    folders = sorted((tmp_path / "outputs" / "runs").iterdir())
    assert len(folders) == 4
    records = [next((folder / "wandb").glob("offline-run-*")).name for folder in folders]
    assert all(folder.name in record for record, folder in zip(records, folders, strict=True))
    assert len({(folder / "test_summary.csv").read_bytes() for folder in folders}) == 4


def own_network(work, name: str, forward: str) -> tuple[list[str], dict[str, str]]:
    """A user's network and its YAML in `work`; gives the arguments and the environment to train it."""
    (work / "mynetworks.py").write_text(
        "from torch import nn\n"
        "from lexy.networks.network import FrameNetwork\n"
        f"class {name}(FrameNetwork):\n"
        "    def __init__(self, channels: int = 4) -> None:\n"
        "        super().__init__()\n"
        "        self.layers = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.Conv2d(channels, 1, 1))\n"
        "    def forward(self, frame):\n"
        f"        {forward}\n"
    )
    (work / "mine" / "model").mkdir(parents=True)
    (work / "mine" / "model" / "own.yaml").write_text(f"_target_: mynetworks.{name}\nchannels: 4\n")
    sizes = [item for item in TINY if not item.startswith("backbone")]
    path = {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(work)])}
    return ["--config-dir", "mine", "model=own", *sizes], path


def test_a_users_own_network_comes_by_config_dir_and_target(tmp_path):
    arguments, path = own_network(tmp_path, "Tiny", "return self.layers(frame)")
    done = run_forked(tmp_path, "train", *arguments, "model.channels=3", **path)
    assert done.returncode == 0, done.stderr
    assert "allow=[mynetworks]" in done.stdout
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    evaluate = ("evaluate", f"checkpoint={folder / 'best.ckpt'}", *TINY[:4])
    refused = run_forked(tmp_path, *evaluate, **path)
    assert refused.returncode == 1
    assert "mynetworks" in refused.stderr
    assert run_forked(tmp_path, *evaluate, "allow=[mynetworks]", **path).returncode == 0


def test_a_model_that_is_no_network_is_refused_before_anything_is_made(tmp_path):
    arguments, path = own_network(tmp_path, "Tiny", "return self.layers(frame)")
    text = (tmp_path / "mynetworks.py").read_text().replace("class Tiny(FrameNetwork)", "class Tiny(nn.Module)")
    (tmp_path / "mynetworks.py").write_text(text)
    done = run_forked(tmp_path, "train", *arguments, **path)
    assert done.returncode == 1
    assert "model: mynetworks.Tiny is no network. Derive its class from" in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_failures_are_recorded_and_close_the_wandb_run(tmp_path):
    arguments, path = own_network(tmp_path, "Broken", "raise RuntimeError('out of luck')")
    done = run_forked(tmp_path, "train", *arguments, "logger=wandb", **path)
    assert done.returncode != 0
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "failed"
    assert "out of luck" in status["reason"]
    assert "out of luck" in (folder / "run.log").read_text()
    (record,) = (folder / "wandb").glob("offline-run-*")
    leet = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(record)]
    text = subprocess.run(leet, capture_output=True, text=True, env=environment(), check=True).stdout
    assert '"exit_code":1' in text.replace(" ", "").replace("exitCode", "exit_code")


def test_the_key_of_the_environment_is_in_no_file(trained):
    work, _, printed = trained
    assert FAKE_KEY not in printed
    files = [path for path in work.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert not [path for path in files if FAKE_KEY.encode() in path.read_bytes()]


def test_without_a_key_a_run_that_shall_be_sent_fails_in_one_line(tmp_path):
    online = ["logger=wandb", "logger.wandb.offline=false", "trainer.max_epochs=1"]
    offline = {
        "WANDB_MODE": "online",
        "WANDB_API_KEY": "",
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "HOME": str(tmp_path),
    }
    done = run_forked(tmp_path, "train", *TINY, *online, **offline)
    assert done.returncode == 1
    assert "No API key" in done.stderr
    assert "Traceback" not in done.stderr
    (status,) = tmp_path.glob("outputs/runs/*/status.json")
    assert json.loads(status.read_text())["state"] == "failed"
