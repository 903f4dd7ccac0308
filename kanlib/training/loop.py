"""Training an autoencoder: one loop for every model."""

import math
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from tqdm.auto import tqdm

from kanlib.data.datasets import Images
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.grids import GRID_EPS, Layer, refine_model, update_grids
from kanlib.training.config import OF_GRIDS, TrainingConfig
from kanlib.training.cpu import compiler
from kanlib.training.evaluation import check_images, reconstruction_error, reconstruction_loss
from kanlib.training.validation import hold_out

SAMPLE = 4096  # images that grids follow
OnStep = Callable[[Autoencoder, torch.Tensor], None]
Loss = Callable[[Autoencoder, torch.Tensor], torch.Tensor]


class TrainingDiverged(RuntimeError):
    """The training loss, or the error that is watched, became infinite or NaN."""


@dataclass
class History:
    """What happened during training.

    Attributes:
        train_loss: mean squared error of each epoch, averaged over its steps as they were taken.
        test_loss: mean squared error on the test split after each epoch; watched, never used.
            Empty where there is a validation split.
        validation_loss: likewise on the validation split, where there is one.
        seconds: spent in the fit and in training steps, evaluation left out.
        peak_memory: bytes, of the process (CPU) or the allocator (CUDA), up to the end of training.
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    peak_memory: int = 0
    validation_loss: list[float] = field(default_factory=list)

    @property
    def watched_loss(self) -> list[float]:
        """The error after each epoch, on the validation split or else on the test split."""
        return self.validation_loss or self.test_loss


def train(
    model: Autoencoder,
    images: Images,
    config: TrainingConfig,
    *,
    seed: int = 0,
    on_step: OnStep | None = None,
    compiled: bool = False,
) -> History:
    """Train ``model`` in place on ``images.train``, on the device on which both are.

    With ``config.validation`` a part of it is held out, and ``images.test`` is never read. The
    model is fitted first (``Autoencoder.fit``). PCA, which has nothing to train, then has a history
    without epochs. The order of the batches depends on ``seed``
    alone, so that on one machine the same call gives the same weights, bit for bit. A bar shows
    the progress, unless the environment variable TQDM_DISABLE is set.

    Args:
        model: with parameters on the device of ``images``.
        images: the data.
        config: optimizer settings.
        seed: of the shuffling.
        on_step: called at each step with the model, whose parameters have their gradients then, and
            the loss, a tensor (); see ``StepLog``.
        compiled: compile model and loss, where there is a C++ compiler (see ``training.cpu``).

    Raises:
        TrainingDiverged: a loss, or the error after an epoch, is infinite or NaN; names the epoch.
        ValueError: ``images`` do not fit the model, or have NaN or infinite values; or
            ``config`` moves grids that the model does not have; or ``config.validation`` leaves
            nothing to train on.
    """
    if config.validation is None:
        check_images(model, images)
    else:  # the test split is not read
        check_images(model, images, ["train"])
        images = hold_out(images, config.validation, seed)
    for name in OF_GRIDS:
        how = getattr(config, name)
        if how and not any(isinstance(layer, Layer) for layer in model.modules()):
            raise ValueError(f"{name}={how!r} must be None for a model without a KAN layer")
    start = time.perf_counter()
    model.fit(images.train.images)
    history = History(seconds=time.perf_counter() - start)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        history.peak_memory = _peak_memory(images.train.images.device)
        return history
    watched = history.test_loss if config.validation is None else history.validation_loss
    optimizer, schedule = _optimizer(model, config, config.learning_rate)
    shuffle = torch.Generator().manual_seed(seed)
    # tqdm's bar for notebooks does not read the variable itself.
    silent = bool(os.environ.get("TQDM_DISABLE"))
    bar = tqdm(range(config.epochs), desc="training", unit="epoch", disable=silent)
    with _reproducible(), compiler(compiled) as compile_:
        loss_of = compile_(reconstruction_loss)
        for epoch in bar:
            start = time.perf_counter()
            if config.update_grid and epoch < config.epochs // 2:
                update_grids(model, _sample(images), GRID_EPS[config.update_grid])
            if config.refine and epoch == config.epochs // 2:
                refine_model(model, config.refine)
                optimizer, schedule = _optimizer(model, config, optimizer.param_groups[0]["lr"])
            losses = _train_epoch(
                model, images, config.batch_size, loss_of, optimizer, shuffle, on_step
            )
            history.train_loss.append(_mean_loss(losses, epoch, config))
            history.seconds += time.perf_counter() - start
            watched.append(_watched_error(model, images, epoch, config))
            schedule.step()
            bar.set_postfix(train=history.train_loss[-1], watched=watched[-1])
    history.peak_memory = _peak_memory(images.train.images.device)
    return history


def _sample(images: Images) -> torch.Tensor:
    """At most ``SAMPLE`` training images, evenly spaced."""
    pixels = images.train.images
    return pixels[:: math.ceil(len(pixels) / SAMPLE)]


def _reproducible() -> AbstractContextManager[None]:
    """The same convolutions at each call on a GPU; what is not named here, flags() would reset."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=cudnn.allow_tf32
    )


def _optimizer(
    model: Autoencoder, config: TrainingConfig, learning_rate: float
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.ExponentialLR]:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, weight_decay=config.weight_decay, fused=True
    )
    return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, config.decay)


def _train_epoch(
    model: Autoencoder,
    images: Images,
    batch_size: int,
    full_batch_loss: Loss,
    optimizer: torch.optim.Optimizer,
    shuffle: torch.Generator,
    on_step: OnStep | None,
) -> torch.Tensor:
    """One pass over the training images; the loss of every step, (steps,), on their device."""
    pixels = images.train.images
    order = torch.randperm(len(pixels), generator=shuffle, device="cpu").to(pixels.device)
    batches = order.split(batch_size)
    losses = torch.empty(len(batches), device=pixels.device)
    model.train()
    for step, batch in enumerate(batches):
        # Compiling is not worth it for a last, smaller batch.
        loss_of = full_batch_loss if len(batch) == batch_size else reconstruction_loss
        loss = loss_of(model, pixels[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if on_step is not None:
            on_step(model, loss.detach())
        optimizer.step()
        losses[step] = loss.detach()  # no .item(): it would make a GPU wait at each step
    return losses


def _mean_loss(losses: torch.Tensor, epoch: int, config: TrainingConfig) -> float:
    if not losses.isfinite().all():
        step = int((~losses.isfinite()).nonzero()[0])
        raise TrainingDiverged(
            f"the training loss became {losses[step].item()} at epoch {epoch + 1}, step {step + 1} "
            f"of {len(losses)}; try a learning_rate below {config.learning_rate}"
        )
    return losses.mean(dtype=torch.float64).item()


def _watched_error(model: Autoencoder, images: Images, epoch: int, config: TrainingConfig) -> float:
    error = reconstruction_error(model, images.test.images)
    if not math.isfinite(error):  # after the last step of an epoch no loss would tell
        split = "test" if config.validation is None else "validation"
        raise TrainingDiverged(
            f"the {split} error became {error} after epoch {epoch + 1}; "
            f"try a learning_rate below {config.learning_rate}"
        )
    return error


def _peak_memory(device: torch.device) -> int:
    """Bytes at the highest point so far: of this process (CPU) or of torch's allocator (CUDA)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
