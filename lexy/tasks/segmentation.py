"""Training a network on clips."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lexy import checkpoint as checkpoints
from lexy.clip import Clip
from lexy.evaluation.evaluate import foreground
from lexy.networks.network import FOREGROUND, Maps, Network
from lexy.randomness import generator
from lexy.tasks.augmentation import Augmentation
from lexy.tasks.epoch_metrics import EpochMetrics
from lexy.tasks.inference import Forward
from lexy.tasks.learning_rates import freeze, with_rates
from lexy.tasks.losses import without_unknown
from lexy.tasks.starts import Start, counted
from lexy.tasks.training import Target, Training, target_of


class SegmentationTask(pl.LightningModule):
    """Unroll a network over clips, compare it with the labelled frames, learn.

    Parameters
    ----------
    network : Network
    loss : Module
        Takes logits and masks of the labelled frames, float (N, 1, H, W).
    optimizer : callable
        Takes parameters.
    scheduler : callable
        Takes the optimiser and the number of steps of the whole training.
    augmentation : Augmentation
    training : Training
        What the loss compares: single frames with a made-up past, or windows unrolled over time.
    start : Start
        Where validation takes a first mask from, if the network wants one.
    seed : int
        Of the draws of augmentation and training, which are a function of (seed, epoch, batch).
    spec, data : dict
        What the checkpoint keeps to rebuild the network, and about its training data: `lexy.checkpoint.facts`.
    channels_last : bool
        Memory format of the network's weights; faster in bf16 on CPU and GPU.
    compile : bool
        torch.compile the network. Off on CPU: it costs a minute and gives little.
    frame_network : dict, optional
        A network that starts this one, for the checkpoint to carry: `lexy.checkpoint.packed`.
    rates : mapping of str to float, optional
        Factors on the learning rate of parts of the network; 0 freezes. See `lexy.tasks.learning_rates.with_rates`.
    """

    def __init__(
        self,
        network: Network,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer, int], LRScheduler],
        augmentation: Augmentation,
        training: Training,
        start: Start,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        channels_last: bool = False,
        compile: bool = False,
        frame_network: dict[str, Any] | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last) if channels_last else network  # type: ignore[call-overload]
        if compile:
            self.network.compile()  # in place: state-dict keys stay as they are
        self.rates = dict(rates or {})
        self._frozen = freeze(network, self.rates)
        self.loss = loss
        self.optimizer_factory, self.scheduler_factory = optimizer, scheduler
        self.augmentation, self.way, self.start = augmentation, training, start
        self.seed = seed
        self.facts = checkpoints.facts(spec or {}, data or {}, frame_network)
        self.validation_metrics = EpochMetrics()
        self._norms: list[Tensor] = []
        self._clips = 0
        self._loss_sum = torch.zeros(())
        self._epoch_start = 0.0
        self.train()  # Lightning takes the modes as they are, and frozen parts have their own

    def forward(self, clip: Clip) -> Tensor:
        """Return the logits of the foreground, (B, T, 1, H, W), free-running."""
        return Forward()(self.network, clip, self.start)[FOREGROUND]

    def configure_optimizers(self) -> Any:
        """The optimiser, and its schedule per step."""
        optimizer = with_rates(self.optimizer_factory, self.network, self.rates)
        scheduler = self.scheduler_factory(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def train(self, mode: bool = True) -> "SegmentationTask":
        """As of any module; frozen parts stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Start the epoch's clock and sums."""
        self._clips, self._loss_sum = 0, torch.zeros((), device=self.device)
        self._norms, self._epoch_start = [], time.monotonic()

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Loss over what the way of training makes of an augmented batch."""
        key = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        with torch.autocast(self.device.type, enabled=False):  # images keep their digits
            clip = self.augmentation(clip, key)
        progress = self.trainer.global_step / max(1, int(self.trainer.estimated_stepping_batches))
        terms = self.way(self.network, clip, generator("training", *key), progress)
        total = sum(term.weight for term in terms)
        loss = torch.stack([self._loss(term.maps, term.target) * (term.weight / total) for term in terms]).sum()
        count = len(clip["video"])
        self._clips += count
        self._loss_sum = self._loss_sum + loss.detach() * count
        return loss

    def _loss(self, maps: Maps, target: Target) -> Tensor:
        loss: Tensor = self.loss(without_unknown(maps[FOREGROUND], target.masks, target.known), target.masks)
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Remember the norm of the gradient before it is clipped."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        self._norms.append(torch.nn.utils.get_total_norm(gradients).detach())

    def on_train_epoch_end(self) -> None:
        """Log what describes the epoch."""
        seconds = time.monotonic() - self._epoch_start
        norm = float(torch.stack([norm.to(self.device) for norm in self._norms]).mean()) if self._norms else math.nan
        loss, clips = self._sums()
        self.log("train/loss", loss / clips, prog_bar=True)
        self.log("train/gradient_norm", norm)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("train/seconds", seconds)
        self.log("train/clips_per_second", clips / seconds)

    def _sums(self) -> Tensor:
        """Return the epoch's loss, summed over clips, and their number, of all processes: (2,)."""
        own = torch.stack([self._loss_sum, self._loss_sum.new_tensor(self._clips)])
        return cast(Tensor, self.all_gather(own)).view(-1, 2).sum(dim=0)

    def validation_step(self, clip: Clip, batch_idx: int) -> None:
        """Log the loss and measure the labelled frames."""
        logits, measured = self(clip), counted(clip, self.start)
        labelled = measured["labelled"]
        loss = self._loss({FOREGROUND: logits[labelled]}, target_of(clip, labelled))
        self.log("val/loss", loss, on_epoch=True, batch_size=len(logits), sync_dist=True)
        self.validation_metrics.update(foreground(logits, clip), measured)

    def on_validation_epoch_end(self) -> None:
        """Log means over groups, as in every other table."""
        for name, mean in self.validation_metrics.compute().items():
            self.log(f"val/{name}", mean, prog_bar=name == "dice")
        self.validation_metrics.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what rebuilds the network without its config, and what an epoch in its middle has come to."""
        checkpoint[checkpoints.KEY] = self.facts
        if not self.trainer.training:  # the sums are gathered from all processes, which a training alone has
            return
        loss, clips = self._sums().tolist()
        norms, seconds = [float(norm) for norm in self._norms], time.monotonic() - self._epoch_start
        checkpoint["epoch_so_far"] = {"loss": loss, "clips": int(clips), "norms": norms, "seconds": seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the sums of an epoch; those of all processes are the first one's."""
        so_far = checkpoint.get("epoch_so_far")
        if so_far is None:  # an older checkpoint, at the end of an epoch
            return
        self._norms = [torch.tensor(norm) for norm in so_far["norms"]]
        self._epoch_start = time.monotonic() - so_far["seconds"]
        if self.global_rank == 0:
            self._loss_sum, self._clips = torch.tensor(so_far["loss"]), so_far["clips"]
