import subprocess
import sys

import pytest
from cli_runs import environment


def run(code: str, *path: str) -> str:
    """What a new process prints."""
    call = [sys.executable, "-c", code, *path]
    return subprocess.run(call, capture_output=True, text=True, check=True, env=environment()).stdout


def test_importing_lexy_imports_neither_torch_nor_torchvision():
    code = "import sys, lexy; print([name for name in ('torch', 'torchvision') if name in sys.modules])"
    assert run(code) == "[]\n"


@pytest.mark.parametrize("module", ["torchvision", "pytorch_lightning", "segmentation_models_pytorch"])
def test_what_needs_torchvision_can_be_imported_after_lexy(module):
    assert run(f"import lexy, {module}, torchvision.ops; print({module}.__name__)") == f"{module}\n"


def test_a_missing_operator_is_declared_and_any_other_error_is_not_hidden(tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("from torchvision import part\n")
    (package / "part.py").write_text(
        "import torch\n"
        "try:\n"
        "    torch.ops.torchvision.made_up.default\n"
        "except AttributeError:\n"
        "    raise RuntimeError('operator torchvision::made_up does not exist')\n"
        "value = 3\n"
    )
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lexy, torchvision; print(torchvision.part.value)"
    assert run(code, str(tmp_path)) == "3\n"
    (package / "part.py").write_text("raise RuntimeError('something else')\n")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(code, str(tmp_path))
    assert "something else" in caught.value.stderr
