"""What an autoencoder costs: parameters, multiply-adds, memory and time.

Only the shapes of models matter here, not what they learned.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kanlib.experiments.environment import environment
from kanlib.experiments.record import load_arrays
from kanlib.experiments.run import Run
from kanlib.models.autoencoder import Autoencoder, count_parameters

# What a model costs: column -> what it is.
COSTS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds an image",
    "training_mib": "training memory (MiB)",
    "step_ms": "training step (ms)",
    "image_us": "time an image (µs)",
}
_BATCH = 64  # images a training step, as in the paper
_INFERENCE = 1024
_THREADS = 1  # as a run of the workflow has


def costs(models: Mapping[str, Autoencoder], images: Tensor, rounds: int = 15) -> pd.DataFrame:
    """What each model costs; times of all models interleaved, so that a busy machine hits them all.

    Args:
        models: by name; trained or not. A parameter that asks for no gradient (PCA's) is fitted,
            and the model then has no training step. Steps are taken at a rate of 1e-9, and leave
            gradients behind.
        images: (N, C, H, W), to be encoded and decoded; batches are made of them by repetition.
        rounds: of timing, >= 1; medians are reported.

    Returns:
        Index model. parameters; multiply_adds (of one image through encoder and decoder, matrix
        products and convolutions only, by torch's counter: splines, activations and sums are left
        out); training_mib (parameters, gradients, both moments of Adam, and what a step of 64
        images keeps for its backward); step_ms (milliseconds of forward, backward and AdamW on 64
        images); image_us (microseconds to reconstruct one, 1,024 at a time).

    Raises:
        ValueError: no models, or ``rounds`` is no integer >= 1.
    """
    if not models or type(rounds) is not int or rounds < 1:
        raise ValueError(f"models={list(models)}, rounds={rounds!r}: must be at least one of each")
    small, large = _batch(images, _BATCH), _batch(images, _INFERENCE)
    steps, passes = {}, {}
    for name, model in models.items():
        if any(parameter.requires_grad for parameter in model.parameters()):
            steps[name] = _step_of(model, small)
        passes[name] = _pass_of(model, large)
    step_seconds, pass_seconds = (
        {name: median(seconds) for name, seconds in _interleaved(calls, rounds).items()}
        for calls in (steps, passes)
    )
    rows: Any = {
        name: {
            "parameters": count_parameters(model),
            "multiply_adds": multiply_adds(model, small[:1]),
            "training_mib": training_bytes(model, small) / 2**20 if name in steps else None,
            "step_ms": 1e3 * step_seconds[name] if name in steps else None,
            "image_us": 1e6 * pass_seconds[name] / len(large),
        }
        for name, model in models.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float).rename_axis("model")


def measured(models: Mapping[str, Autoencoder], images: Tensor) -> pd.DataFrame:
    """``costs``, with columns that say what timed them: device, threads, torch (version)."""
    made = environment(str(images.device), "default")
    return costs(models, images).assign(device=made.device, threads=_THREADS, torch=made.torch)


def training_steps(records: pd.DataFrame, runs: Sequence[Run], rounds: int = 15) -> pd.DataFrame:
    """How long every model's training step takes, all models of a data set and bottleneck in turn.

    A record's own seconds depend on what else its machine did; these can be compared.

    Args:
        records: as ``kanlib.experiments.load_records`` returns them for ``runs``.
        runs: of any data sets.
        rounds: of timing, >= 1.

    Returns:
        Columns dataset, bottleneck, label, round, step_ms (milliseconds of forward, backward and
        AdamW on 64 images), device, threads (1), torch; none for PCA, which is fitted.

    Raises:
        ValueError: ``records`` and ``runs`` are not as many.
    """
    if len(records) != len(runs):
        raise ValueError(f"records has {len(records)} rows, runs {len(runs)}: must be as many")
    made = environment("cpu", "default")
    table = pd.DataFrame(columns=["dataset", "bottleneck", "label", "round", "step_ms"])
    first: Any = records.assign(run=list(runs)).drop_duplicates(["dataset", "bottleneck", "label"])
    places: Any = first[first["model"] != "pca"].groupby(["dataset", "bottleneck"], sort=False)
    parts = []
    for (dataset, bottleneck), rows in places:
        images = _batch(torch.from_numpy(load_arrays(rows["path"].iloc[0])["originals"]), _BATCH)
        steps = {}
        for run, label in zip(rows["run"], rows["label"], strict=True):
            steps[label] = _step_of(run.build_model(tuple(images.shape[1:])), images)
        for label, seconds in _interleaved(steps, rounds).items():
            part = pd.DataFrame({"round": range(rounds), "step_ms": [1e3 * s for s in seconds]})
            parts.append(part.assign(dataset=dataset, bottleneck=bottleneck, label=label))
    if parts:
        table = pd.concat(parts, ignore_index=True)[table.columns]
    return table.assign(device=made.device, threads=_THREADS, torch=made.torch)


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


def pareto(table: pd.DataFrame, cost: str, loss: str) -> pd.Series:
    """Which rows no other row beats in both: as cheap and as good, and better in one.

    Args:
        table: with the two columns; less is better in both. Rows with a NaN are not on the front.
        cost: a column.
        loss: another.

    Returns:
        Booleans with the index of ``table``.
    """
    a, b = (table[name].to_numpy(float) for name in (cost, loss))
    beaten = (
        (a[None] <= a[:, None]) & (b[None] <= b[:, None])
        & ((a[None] < a[:, None]) | (b[None] < b[:, None]))
    ).any(1)  # fmt: skip
    return pd.Series(~beaten & np.isfinite(a) & np.isfinite(b), table.index)


def _batch(images: Tensor, size: int) -> Tensor:
    return images[torch.arange(size) % len(images)]


def _step_of(model: Autoencoder, batch: Tensor) -> Callable[[], None]:
    """A training step, as ``kanlib.training`` takes it, at a rate that changes next to nothing."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, fused=True)

    def step() -> None:
        """Forward, backward and update on the same batch."""
        loss = nn.functional.mse_loss(model(batch), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _pass_of(model: Autoencoder, batch: Tensor) -> Callable[[], None]:
    def infer() -> None:
        """Reconstruct the batch."""
        with torch.inference_mode():
            model(batch)

    return infer


def _interleaved(calls: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, one a round, on one thread.

    Every round has an order of its own, and calls each twice: the first call finds the caches as
    another left them, and is not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    order, threads = random.Random(0), torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        for _ in range(rounds):
            for name in order.sample(list(calls), len(calls)):
                calls[name]()
                _synchronize()
                start = time.perf_counter()
                calls[name]()
                _synchronize()
                seconds[name].append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return seconds


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
