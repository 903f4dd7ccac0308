"""Training an autoencoder: one loop for every model."""

import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
import torch
from tqdm.auto import tqdm

from kanlib.data.images import Images
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.grids import GRID_EPS, Layer, refine_model, update_grids
from kanlib.training.batches import summable
from kanlib.training.checkpoint import Checkpoint, State, training_of
from kanlib.training.config import OF_GRIDS, TrainingConfig
from kanlib.training.cpu import compiler
from kanlib.training.diagnostics import StepLog
from kanlib.training.evaluation import check_images, reconstruction_error, reconstruction_loss
from kanlib.training.validation import hold_out

SAMPLE = 4096  # images that grids follow, at most
SAMPLE_VALUES = 2**24  # of these images
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
        best_epoch: whose weights were kept, from 1; None: the last epoch's.
        resumed_after: numbers of epochs after which training was cut off and resumed.
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    peak_memory: int = 0
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    resumed_after: list[int] = field(default_factory=list)

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
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train ``model`` in place on ``images.train``, on the device on which both are.

    With ``config.validation`` a part of it is held out, and ``images.test`` is never read. The
    model is fitted first (``Autoencoder.fit``). PCA, which has nothing to train, then has a history
    without epochs. The order of the batches depends on ``seed`` alone, so that on one machine the
    same call gives the same weights, bit for bit.

    Args:
        model: with parameters on the device of ``images``.
        images: the data.
        config: optimizer settings.
        seed: of the shuffling.
        on_step: called at each step with the model, whose parameters have their gradients then, and
            the loss, a tensor (); see ``StepLog``.
        compiled: compile model and loss, where there is a C++ compiler (see ``training.cpu``).
        checkpoint: a file that gets the state after each epoch; delete it when you have the
            weights. Where it is there, the same call goes on from it, and ends with the same
            weights, bit for bit, and a ``StepLog`` with the same entries. None: no file.
        progress: show a bar, unless the environment variable TQDM_DISABLE is set.

    Raises:
        TrainingDiverged: a loss, or the error after an epoch, is infinite or NaN; names the epoch.
        OSError: there is no folder for ``checkpoint``, and it could not be made.
        ValueError: ``images`` do not fit the model, or have NaN or infinite values; or
            ``config`` moves grids that the model does not have; or ``config.validation`` leaves
            nothing to train on; or ``checkpoint`` is damaged, or of another training.

    Examples:
        >>> from kanlib import build_model
        >>> from kanlib.data import load_images
        >>> from kanlib.training import TrainingConfig, train
        >>> images = load_images("digits")
        >>> model = build_model("kan", images.shape, 8)
        >>> history = train(model, images, TrainingConfig(epochs=2), progress=False)
        >>> history.train_loss[1] < history.train_loss[0]
        True
    """
    images = _checked(model, images, config, seed)
    start = time.perf_counter()
    model.fit(images.train.images)
    fitted = History(seconds=time.perf_counter() - start)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        fitted.peak_memory = _peak_memory(images.train.images.device)
        return fitted
    training = _Training(model, images, config, seed, on_step, fitted, progress)
    training.finish(compiled, checkpoint)
    return training.history


def _checked(model: Autoencoder, images: Images, config: TrainingConfig, seed: int) -> Images:
    """The images to train and watch, once they and the model are known to fit the settings."""
    if config.validation is None:
        check_images(model, images)
    else:  # the test split is not read
        check_images(model, images, ["train"])
        images = hold_out(images, config.validation, seed)
    for name in OF_GRIDS:
        how = getattr(config, name)
        if how and not any(isinstance(layer, Layer) for layer in model.modules()):
            raise ValueError(f"{name}={how!r} must be None for a model without a KAN layer")
    return images


class _Training:
    """A training between two of its epochs."""

    def __init__(
        self,
        model: Autoencoder,
        images: Images,
        config: TrainingConfig,
        seed: int,
        on_step: OnStep | None,
        history: History,
        progress: bool,
    ) -> None:
        # tqdm's bar for notebooks does not read the variable.
        self.silent = not progress or bool(os.environ.get("TQDM_DISABLE"))
        self.model, self.images, self.config, self.on_step = model, images, config, on_step
        self.seed = seed
        self.log = on_step if isinstance(on_step, StepLog) else None
        self.optimizer, self.schedule = _optimizer(model, config, config.learning_rate)
        self.shuffle = torch.Generator().manual_seed(seed)
        self.history = history
        self.best: dict[str, torch.Tensor] | None = None  # weights

    def finish(self, compiled: bool, checkpoint: str | Path | None) -> None:
        """Train to the end, from where a training with this checkpoint was cut off."""
        with _reproducible(), compiler(compiled) as compile_:
            loss_of = compile_(reconstruction_loss)
            if checkpoint is None:
                self.run(loss_of)
                return
            named = self.config.model_dump() | {
                "seed": self.seed,
                "log": self.log and self.log.every,
            }
            kept = Checkpoint(checkpoint, training_of(self.model, self.images, compiled, **named))
            if state := kept.load():
                self.restore(state)
            with kept.explained():
                self.run(loss_of, kept)

    def run(self, loss_of: Loss, checkpoint: Checkpoint | None = None) -> None:
        """All epochs that are left."""
        bar = tqdm(desc="training", unit="epoch", total=self.config.epochs, disable=self.silent)
        bar.update(self.epochs)
        while self.epochs < self.config.epochs and not self._patience_is_over():
            try:
                self._train_epoch(loss_of)
            except TrainingDiverged:
                if checkpoint:  # from which it would diverge again
                    checkpoint.remove()
                raise
            if checkpoint:
                checkpoint.save(self._state())
            errors = self.history.train_loss[-1], self.history.watched_loss[-1]
            bar.set_postfix(train=errors[0], watched=errors[1])
            bar.update()
        bar.close()
        if self.best:
            self.model.load_state_dict(self.best)

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.history.train_loss)

    def _patience_is_over(self) -> bool:
        patience, best = self.config.patience, self.history.best_epoch
        return bool(patience and best and self.epochs - best >= patience)

    def _train_epoch(self, loss_of: Loss) -> None:
        """One pass over the training images, and the error after it."""
        start, epoch, config, history = time.perf_counter(), self.epochs, self.config, self.history
        if config.update_grid and epoch < config.epochs // 2:
            update_grids(self.model, _sample(self.images), GRID_EPS[config.update_grid])
        if config.refine and epoch == config.epochs // 2:
            self._refine()
        losses = _train_epoch(
            self.model,
            self.images,
            config.batch_size,
            loss_of,
            self.optimizer,
            self.shuffle,
            self.on_step,
        )
        history.train_loss.append(_mean_loss(losses, epoch, config))
        history.seconds += time.perf_counter() - start
        watched = history.test_loss if config.validation is None else history.validation_loss
        watched.append(_watched_error(self.model, self.images, epoch, config))
        self.schedule.step()
        peak = _peak_memory(self.images.train.images.device)
        history.peak_memory = max(peak, history.peak_memory)
        self._keep_best()

    def _refine(self) -> None:
        """A finer or longer grid, and a fresh optimizer that goes on at the same rate."""
        assert self.config.refine
        refine_model(self.model, self.config.refine)
        rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer, self.schedule = _optimizer(self.model, self.config, rate)

    def _keep_best(self) -> None:
        """Its weights, where training may stop early; weights on a first grid would not fit."""
        config, losses, best = self.config, self.history.validation_loss, self.history.best_epoch
        if config.patience is None or (config.refine and self.epochs <= config.epochs // 2):
            return
        if best is None or losses[-1] < losses[best - 1]:
            self.history.best_epoch = self.epochs
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}

    def _state(self) -> State:
        """All that the next epochs depend on."""
        device = self.images.train.images.device
        return {
            "model": self.model.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "shuffle": self.shuffle.get_state(),
            # Models of one's own may draw numbers, for dropout say.
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            "history": asdict(self.history),
            "log": self.log and self.log.state(),
        }

    def restore(self, state: State) -> None:
        """Go on from what ``_state`` returned."""
        self.history = History(**state["history"])
        self.history.resumed_after.append(self.epochs)
        if self.config.refine and self.epochs > self.config.epochs // 2:
            self._refine()
        self.model.load_state_dict(state["model"])
        self.best = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.shuffle.set_state(state["shuffle"])
        torch.set_rng_state(state["random"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.images.train.images.device)
        if self.log:
            self.log.restore(state["log"], self.images.train.images.device)


def _sample(images: Images) -> torch.Tensor:
    """Training images that grids follow, evenly spaced; large ones are fewer."""
    pixels = images.train.images
    most = max(1, min(SAMPLE, SAMPLE_VALUES // pixels[0].numel()))
    return pixels[:: math.ceil(len(pixels) / most)]


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
    return summable(losses).mean(dtype=torch.float64).item()


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
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
