import pytest
import torch

from lexy.errors import UserError
from lexy.predict.processors import accelerator, processor_of


def there(monkeypatch, *devices):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in devices)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in devices)


@pytest.mark.parametrize(
    ("devices", "name", "chosen"),
    [
        ((), "auto", "cpu"),
        (("mps",), "auto", "mps"),
        (("mps", "cuda"), "auto", "cuda"),
        (("mps", "cuda"), "mps", "mps"),
        (("cuda",), "cpu", "cpu"),
    ],
)
def test_auto_is_the_best_that_is_there(monkeypatch, devices, name, chosen):
    there(monkeypatch, *devices)
    assert processor_of(name).device.type == chosen


@pytest.mark.parametrize("name", ["cuda", "tpu"])
def test_what_is_not_there_is_a_mistake_that_names_what_is(monkeypatch, name):
    there(monkeypatch, "mps")
    with pytest.raises(UserError, match=f"--device {name}: .* one of: mps, cpu"):
        processor_of(name)


def test_an_accelerator_computes_with_whole_mantissas():
    seen = list(accelerator(torch.device("cpu")).map(lambda one: (one, torch.backends.cudnn.allow_tf32), [1, 2]))
    assert seen == [(1, False), (2, False)]
