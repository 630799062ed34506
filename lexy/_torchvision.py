"""Make torchvision importable beside a CPU build of torch; import this before whatever needs torchvision.

The registry's torchvision is built for CUDA. Beside a CPU torch its import stops at an operator that its compiled part
would have registered, and takes pytorch-lightning, torchmetrics, timm and segmentation-models-pytorch with it. Nothing
here uses these operators: declaring them is enough. Where torchvision loads by itself nothing happens.
"""

import importlib
import re
import sys

import torch

_LIBRARIES: list[torch.library.Library] = []  # a torch.library.Library un-declares its operators when it is collected


def _import_torchvision() -> None:
    while True:
        try:
            importlib.import_module("torchvision")
            return
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define(f"{missing[1]}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]


_import_torchvision()
