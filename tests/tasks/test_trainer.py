from types import SimpleNamespace

import pytest
import torch

from lexy.config.build import build
from lexy.config.check import check, resolved
from lexy.config.compose import composed
from lexy.errors import NoSuchKey, UserError
from lexy.runs.identity import identity
from lexy.tasks.trainer import CUDAAccelerator, MPSAccelerator, Trainer, computes_with, device_type, fast_precision

NO_ARGUMENTS = SimpleNamespace(config_dir=None, config_name=None)


@pytest.fixture
def processor(monkeypatch):
    """A function that says of this processor whether it has instructions for bf16."""

    def given(native):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)

    return given


def quiet(**settings):
    return Trainer(logger=False, enable_progress_bar=False, enable_checkpointing=False, **settings)


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_processor_computes_in_bf16_where_it_has_the_instructions(processor, native, precision):
    processor(native)
    assert fast_precision("cpu") == quiet(accelerator="cpu", precision="auto").precision == precision


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_that_only_emulates_bf16_computes_without_it(monkeypatch, native, precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert fast_precision("cuda") == precision


def test_other_devices_compute_in_single_precision(processor):
    processor(True)
    assert fast_precision("mps") == "32-true"


def test_a_precision_that_was_chosen_stands(processor):
    processor(False)
    assert quiet(accelerator="cpu", precision="bf16-mixed").precision == "bf16-mixed"
    processor(True)
    assert quiet(accelerator="cpu", precision="32-true").precision == "32-true"
    assert quiet(accelerator="cpu").precision == "32-true"  # Lightning's default


@pytest.mark.parametrize(
    ("cuda", "mps", "device"), [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_device_that_is_there(monkeypatch, cuda, mps, device):
    monkeypatch.setattr(CUDAAccelerator, "is_available", lambda: cuda)
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: mps)
    assert device_type("auto") == device
    assert device_type("cpu") == "cpu"


def test_on_a_cpu_auto_computes_the_same_digits_again(processor):
    processor(False)
    with_auto = quiet(accelerator="cpu", precision="auto", deterministic="auto", benchmark="auto")
    assert torch.are_deterministic_algorithms_enabled()
    assert computes_with(with_auto) == {"device": "cpu", "precision": "32-true", "threads": torch.get_num_threads()}


def test_a_run_is_the_same_on_every_processor(processor):
    config, _ = composed("train", NO_ARGUMENTS, ["experiment=sequences", "data=phantom"])
    found = {}
    for native in (True, False):
        processor(native)
        trainer = build(config.trainer, "trainer", logger=False, enable_checkpointing=False, enable_progress_bar=False)
        found[trainer.precision] = identity(config, "data")
    assert found.keys() == {"bf16-mixed", "32-true"}
    assert len(set(found.values())) == 1


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("trainer.precision=automatic", UserError, "trainer.precision"),
        ("trainer.deterministic=perhaps", UserError, "trainer.deterministic"),
        ("+trainer.max_epoch=3", NoSuchKey, "Did you mean max_epochs"),
    ],
)
def test_mistakes_are_told_before_a_trainer_is_built(override, error, message):
    config, _ = composed("train", NO_ARGUMENTS, [override])
    with pytest.raises(error, match=message):
        check({"trainer": resolved(config)["trainer"]}, lambda trainer: None)
