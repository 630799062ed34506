"""Small videos, and the error that a call ends with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lexy.errors import UserError


def frames(count: int = 5, dtype: Any = np.uint16, shape: tuple[int, ...] = (12, 17)) -> NDArray[Any]:
    """Noise (count, *shape), no two frames alike."""
    return np.random.default_rng(0).integers(1, 200, (count, *shape)).astype(dtype)


def complaint(call: Callable[[], Any]) -> str:
    """The one line that a user reads."""
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text
