"""What an autoencoder costs: parameters, multiply-adds, memory and time.

Only the shapes of models matter here, not what they learned.
"""

import random
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from statistics import median
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kanlib.models.autoencoder import Autoencoder, count_parameters

COSTS = ("parameters", "multiply_adds", "training_mib", "step_ms", "image_us")
THREADS = 1  # as a run of the workflow has
_ROUNDS = 15
_BATCH = 64  # images a training step, as in the paper
_INFERENCE = 1024
_Name = TypeVar("_Name", bound=Hashable)


def costs(models: Mapping[_Name, Autoencoder], images: Tensor) -> pd.DataFrame:
    """What each model costs. All models are timed in turn, so that a busy machine hits them all.

    Args:
        models: by name; trained or not. A model without a parameter that asks for a gradient
            (PCA) is fitted, and has no training step. Steps are taken at a rate of 1e-9, and leave
            gradients behind.
        images: (N, C, H, W), on the CPU, to be encoded and decoded; batches repeat them.

    Returns:
        Index model; columns ``COSTS``. parameters; multiply_adds of one image through encoder and
        decoder (matrix products and convolutions only, by torch's counter: splines, activations
        and sums are left out); training_mib (parameters, gradients, both moments of Adam, and what
        a step of 64 images keeps for its backward); step_ms (milliseconds of forward, backward and
        AdamW on 64 images); image_us (microseconds to reconstruct one, 1,024 at a time). Times are
        medians of fifteen rounds.
    """
    steps = step_times(models, images).groupby("model", sort=False)["step_ms"].median()
    small, large = _batch(images, _BATCH), _batch(images, _INFERENCE)
    passes = _interleaved({name: partial(_infer, m, large) for name, m in models.items()})
    rows: Any = {
        name: {
            "parameters": count_parameters(model),
            "multiply_adds": multiply_adds(model, small[:1]),
            "training_mib": training_bytes(model, small) / 2**20 if name in steps else None,
            "step_ms": steps.get(name),
            "image_us": 1e6 * median(passes[name]) / len(large),
        }
        for name, model in models.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float).rename_axis("model")


def step_times(models: Mapping[_Name, Autoencoder], images: Tensor) -> pd.DataFrame:
    """How long a training step takes, all models in turn; arguments as of ``costs``.

    Returns:
        Columns model, round (0 to 14), step_ms; none for models that are fitted.
    """
    batch = _batch(images, _BATCH)
    steps = {
        name: partial(_step, model, torch.optim.AdamW(model.parameters(), 1e-9, fused=True), batch)
        for name, model in models.items()
        if any(parameter.requires_grad for parameter in model.parameters())
    }
    rows = [
        (name, number, 1e3 * taken)
        for name, seconds in _interleaved(steps).items()
        for number, taken in enumerate(seconds)
    ]
    return pd.DataFrame(rows, columns=["model", "round", "step_ms"])


def multiply_adds(model: nn.Module, inputs: Tensor) -> int:
    """Of the matrix products and convolutions in ``model(inputs)``, by torch's FLOP counter."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(inputs)
    return counter.get_total_flops() // 2  # it counts a multiply-add as two


def training_bytes(model: nn.Module, inputs: Tensor) -> int:
    """Parameters, gradients and Adam's two moments, and what one step keeps for its backward."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    own = {parameter.untyped_storage().data_ptr() for parameter in trained}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        """Count what is saved for the backward, and save it as it is."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:  # each storage once, whatever views of it are kept
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = nn.functional.mse_loss(model(inputs), inputs)  # alive, so that no address is reused
    del loss
    return 4 * sum(p.numel() * p.element_size() for p in trained) + sum(kept.values())


def _batch(images: Tensor, size: int) -> Tensor:
    return images[torch.arange(size) % len(images)]


def _step(model: Autoencoder, optimizer: torch.optim.Optimizer, batch: Tensor) -> None:
    """A training step, as ``kanlib.training`` takes it."""
    loss = nn.functional.mse_loss(model(batch), batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.inference_mode()
def _infer(model: Autoencoder, batch: Tensor) -> None:
    model(batch)


def _interleaved(calls: Mapping[_Name, Callable[[], None]]) -> dict[_Name, list[float]]:
    """Seconds of each call, one a round, on one thread.

    Every round has an order of its own, and calls each twice: the first call finds the caches as
    another left them, and is not timed.
    """
    seconds: dict[_Name, list[float]] = {name: [] for name in calls}
    order, threads = random.Random(0), torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        for _ in range(_ROUNDS):
            for name in order.sample(list(calls), len(calls)):
                calls[name]()
                start = time.perf_counter()
                calls[name]()
                seconds[name].append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return seconds
