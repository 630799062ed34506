"""Make torchvision importable beside a CPU build of torch: an import hook that `import lexy` installs.

The registry's torchvision is built for CUDA. Beside a CPU torch its import stops at an operator that its compiled part
would have registered, and takes pytorch-lightning, torchmetrics, timm and segmentation-models-pytorch with it. Nothing
here uses these operators: declaring them is enough. Where torchvision loads by itself nothing happens. The hook imports
neither torch nor torchvision; it acts when something else, also a user's own module, imports torchvision.
"""

import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

NAME = "torchvision"


class _Loader(SourceFileLoader):
    """Runs torchvision's `__init__`; declares each operator that it misses, and runs it again."""

    libraries: list[Any] = []  # noqa: RUF012  a torch.library.Library un-declares its operators when it is collected

    def exec_module(self, module: ModuleType) -> None:
        """Run the module until no operator is missing."""
        while True:
            try:
                super().exec_module(module)
                return
            except RuntimeError as error:
                missing = re.search(rf"operator {NAME}::(\w+) does not exist", str(error))
                if missing is None:
                    raise
            from torch.library import Library

            library = Library(NAME, "FRAGMENT")
            library.define(f"{missing[1]}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            self.libraries.append(library)
            for name in [name for name in sys.modules if name.startswith(f"{NAME}.")]:
                del sys.modules[name]


class _Finder(MetaPathFinder):
    """Finds torchvision as Python does, and has it run by `_Loader`."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """Return the module's spec; None for every other module."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == NAME else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Put the hook in front of Python's own finders, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
