"""Networks that were trained on small crops over whole fields: through tiles, whose outputs are blended."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lexy.networks.network import DISTANCE, FOREGROUND, Maps, Network, Recurrence, State
from lexy.predict.processors import Processor
from lexy.predict.scale import Field
from lexy.predict.spool import Spool
from lexy.predict.tiles import Tiles

NO_MASKS: Mapping[int, Tensor] = {}
Progress = Callable[[str, int, int], None]


class TiledNetwork(Protocol):
    """A network over whole fields."""

    def walk(
        self, field: Field, frames: Sequence[int], mask: Tensor | None = None, given: Mapping[int, Tensor] = NO_MASKS
    ) -> Iterator[tuple[int, Maps]]:
        """Run the network over frames, in this order.

        Parameters
        ----------
        field : Field
        frames : sequence of int
        mask : Tensor, float (h, w) in [0, 1], optional
            Of the first of them, for a network that starts from one. It sees that frame again, as in training.
        given : mapping of int to Tensor, float (h, w) in [0, 1], optional
            Masks of frames that a network which carries its mask goes on from, instead of its own.

        Yields
        ------
        frame : int
        maps : dict of str to Tensor, float32 (h, w) in [0, 1], on the CPU
            `foreground`, that a pixel is nucleus; `distance` where the network has it.
        """


def tiled(network: Network, tiles: Tiles, processor: Processor, folder: Path, progress: Progress) -> TiledNetwork:
    """Return a network over whole fields; `folder` is where one that sees whole clips may write temporary files."""
    if isinstance(network, Recurrence):
        return TiledRecurrence(network, tiles, processor)
    return TiledClips(network, tiles, processor, folder, progress)


class TiledRecurrence:
    """A recurrence over whole fields: `start` and `step` as networks have them, with a state for each chunk of tiles.

    A network that feeds back its mask is given, in each tile, what the blended field says of the last frame, so that
    neighbouring tiles agree on it. Nothing is changed in a network that only its first mask counts for (Move-Net).

    Parameters
    ----------
    network : Recurrence
    tiles : Tiles
    processor : Processor
    """

    def __init__(self, network: Recurrence, tiles: Tiles, processor: Processor) -> None:
        _place(network, processor)
        self.network, self.tiles, self._processor = network, tiles.to(processor.device), processor
        self._chunk = max(1, processor.chunk // math.prod(tiles.size))

    def walk(
        self, field: Field, frames: Sequence[int], mask: Tensor | None = None, given: Mapping[int, Tensor] = NO_MASKS
    ) -> Iterator[tuple[int, Maps]]:
        """Step through frames; see `TiledNetwork.walk`."""
        states = self.start(field.frame(frames[0]), mask)
        for frame in frames:
            probability, states = self.step(states, field.frame(frame))
            if frame in given:
                states = self.with_mask(states, given[frame])
            yield frame, {FOREGROUND: probability}

    @torch.inference_mode()
    def start(self, frame: Tensor, mask: Tensor | None = None) -> list[State]:
        """Return the states before a frame (H, W), given its mask (H, W) where the network wants one."""
        frames = self._cut(frame)
        masks = [None] * len(frames) if mask is None else self._cut(mask)
        return list(self._processor.map(self._start, frames, masks))

    @torch.inference_mode()
    def step(self, states: list[State], frame: Tensor) -> tuple[Tensor, list[State]]:
        """Return the probabilities (H, W) of the next frame, on the CPU, and the states after it."""
        steps = list(self._processor.map(self._step, states, self._cut(frame)))
        probability = self.tiles.blend(torch.cat([logits.float().sigmoid() for logits, _ in steps])).clamp(0, 1)
        fed_back = self.network.feed_back(torch.logit(probability, eps=1e-6))
        return probability.cpu(), self.with_mask([state for _, state in steps], fed_back)

    @torch.inference_mode()
    def with_mask(self, states: list[State], mask: Tensor) -> list[State]:
        """Return the states as if `mask`, (H, W) in [0, 1], had been the network's own for the last frame."""
        return [self.network.with_mask(*parts) for parts in zip(states, self._cut(mask), strict=True)]

    @torch.inference_mode()  # which holds for a single thread
    def _start(self, frames: Tensor, masks: Tensor | None) -> State:
        return self.network.start(frames, masks)

    @torch.inference_mode()
    def _step(self, state: State, frames: Tensor) -> tuple[Tensor, State]:
        return self.network.step(state, frames)

    def _cut(self, field: Tensor) -> Sequence[Tensor]:
        tiles = self.tiles.cut(field.to(self._processor.device))
        return torch.split(tiles.contiguous(memory_format=self._processor.memory_format), self._chunk)


class TiledClips:
    """A network that sees whole clips over whole fields: each chunk of tiles through all frames at once.

    Frames and tiles wait on disk, so that memory holds all frames of the chunks in work, or one frame of all tiles. The
    files take about 12 bytes for each resampled pixel of the video, 20 with a map of distances.

    Parameters
    ----------
    network : Network
    tiles : Tiles
    processor : Processor
    folder : Path
        For temporary files.
    progress : callable
        Called with what is done, how many tiles of it are, and how many there will be.
    """

    def __init__(self, network: Network, tiles: Tiles, processor: Processor, folder: Path, progress: Progress) -> None:
        _place(network, processor)
        self.network, self.tiles, self._processor = network, tiles, processor
        self._folder, self._progress = folder, progress

    def walk(
        self, field: Field, frames: Sequence[int], mask: Tensor | None = None, given: Mapping[int, Tensor] = NO_MASKS
    ) -> Iterator[tuple[int, Maps]]:
        """Run the clip of all these frames; see `TiledNetwork.walk`. Given masks say nothing to such a network."""
        with TemporaryDirectory(prefix="clip-", dir=self._folder) as place:
            seen = Spool(Path(place, "frames"))
            for position, frame in enumerate(frames):
                seen[position] = field.frame(frame).numpy()
            outputs = self._run(seen, len(frames), mask, Path(place))
            for position, frame in enumerate(frames):
                yield frame, {name: self._blend(tiles, position) for name, tiles in outputs.items()}

    def _run(self, seen: Spool, length: int, mask: Tensor | None, place: Path) -> dict[str, Spool]:
        """Write what the network says of each tile, float16 (T, h, w); one spool for each map."""
        outputs: dict[str, Spool] = {}
        size = max(1, self._processor.chunk // (math.prod(self.tiles.size) * length))
        chunks = torch.split(torch.arange(len(self.tiles)), size)
        for first in range(0, len(chunks), self._processor.at_once):
            together = chunks[first : first + self._processor.at_once]
            clips = [self._clip(seen, length, numbers) for numbers in together]
            masks = [None if mask is None else self.tiles.cut(mask, numbers) for numbers in together]
            for numbers, maps in zip(together, self._processor.map(self._maps, clips, masks), strict=True):
                for name, tiles in maps.items():
                    spool = outputs.setdefault(name, Spool(place / name))
                    for number, tile in zip(numbers.tolist(), tiles, strict=True):
                        spool[number] = tile.numpy()
            self._progress("segment tiles", int(together[-1][-1]) + 1, len(self.tiles))
        return outputs

    def _clip(self, seen: Spool, length: int, numbers: Tensor) -> Tensor:
        """Return tiles of all frames, (N, T, 1, h, w)."""
        frames = (torch.from_numpy(seen.mapped(position)) for position in range(length))
        return torch.stack([self.tiles.cut(frame, numbers) for frame in frames], dim=1)

    @torch.inference_mode()
    def _maps(self, clips: Tensor, masks: Tensor | None) -> Maps:
        """Return maps, float16 (N, T, h, w), on the CPU."""
        clips = clips.to(self._processor.device)
        masks = None if masks is None else masks.to(self._processor.device)
        maps = self.network.maps(clips, self.network.start(clips[:, 0], masks))
        used = {FOREGROUND: maps[FOREGROUND].sigmoid()}
        if DISTANCE in maps:
            used[DISTANCE] = maps[DISTANCE]
        return {name: values[:, :, 0].half().cpu() for name, values in used.items()}

    def _blend(self, outputs: Spool, position: int) -> Tensor:
        tiles = np.stack([outputs.mapped(number)[position] for number in range(len(self.tiles))])
        return self.tiles.blend(torch.from_numpy(tiles).float()[:, None]).clamp(0, 1)


def _place(network: Network, processor: Processor) -> None:
    """Move a network to where it computes."""
    network.to(processor.device, memory_format=processor.memory_format)  # type: ignore[call-overload]
