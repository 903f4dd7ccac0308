"""Run a run: the one place where a model is trained for a record."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from kanlib.data.datasets import Images
from kanlib.experiments.environment import environment
from kanlib.experiments.record import SCHEMA, Arrays, Record, load_record, save_record
from kanlib.experiments.run import Run
from kanlib.experiments.weights import pack
from kanlib.models.autoencoder import Autoencoder
from kanlib.training.cpu import fast_products, passes_of
from kanlib.training.diagnostics import (
    EVERY,
    StepLog,
    coverage_array,
    dead_units,
    picture_arrays,
)
from kanlib.training.evaluation import NEIGHBOURS, Value, check_images, evaluate
from kanlib.training.loop import train
from kanlib.training.validation import hold_out


@dataclass(frozen=True)
class Result:
    """What came out of a run.

    Attributes:
        record: all numbers.
        arrays: for pictures, by name: see ``picture_arrays``; step_loss and gradient_norm,
            (entries,); coverage_before and coverage_after, (KAN layers, 3); dead_units,
            (ReLU layers,).
        model: trained.
        weights: of the model as it was measured; what becomes of it later is not saved.
        checkpoint: of the training; it has no more use once the result is saved.
    """

    record: Record
    arrays: Arrays
    model: Autoencoder
    weights: bytes = field(repr=False)
    checkpoint: Path | None = None

    def save(self, results_dir: str | Path, *, replace_old: bool = False) -> "Result":
        """Keep record, arrays and weights in files; the result's record then has its path.

        The checkpoint is removed, once all is written.

        Args:
            results_dir: folder that holds runs/; made if missing.
            replace_old: write over a record of this run that has other numbers.

        Raises:
            FileExistsError: there is such a record.
            OSError: a file could not be written; what was there before is untouched.
            ValueError: there is a record, and it is damaged.
        """
        path = self.record.run.path(results_dir)
        if path.exists() and not replace_old:
            old = load_record(path)
            if old.evaluation != self.record.evaluation:
                raise FileExistsError(
                    f"{path} has other numbers: delete it, save elsewhere, or pass replace_old=True"
                )
        record = save_record(self.record, results_dir, self.arrays, self.weights)
        if self.checkpoint:
            self.checkpoint.unlink(missing_ok=True)
        return replace(self, record=record, checkpoint=None)


def execute(
    run: Run,
    images: Images,
    *,
    fast_cpu: bool = False,
    compiled: bool = False,
    log_every: int = EVERY,
    checkpoint: str | Path | None = None,
) -> Result:
    """Build the model of a run, train it, measure it.

    Args:
        run: what to do.
        images: its data set, on the device to compute on.
        fast_cpu: take the faster library of products on a CPU (see ``kanlib.training.cpu``).
        compiled: train by compiled code (see there).
        log_every: steps between two entries of the log of the steps, >= 1.
        checkpoint: a file that gets the state after each epoch. Where a training of this run was
            cut off, it goes on from there (see ``kanlib.training.train``). None: no file.

    Returns:
        The record, arrays and trained model; nothing but the checkpoint is written.

    Raises:
        ValueError: ``images`` are another data set than the run's, do not fit the model, or cannot
            be measured; or the checkpoint is damaged, or of another training.
        OSError: there is no folder for the checkpoint, and it could not be made.
        TrainingDiverged: a loss became infinite or NaN.
    """
    seen = splits_of(run, images)
    _check(run, seen)
    start = time.perf_counter()
    device = images.train.images.device
    made_by = environment(device)  # what is committed while the run trains is not what it runs
    model = run.build_model(images.shape).to(device)
    check_images(model, seen)
    _check_code(run, model, seen)
    steps, before = StepLog(log_every), coverage_array(model, seen)
    del seen  # ``train`` splits for itself
    passes = passes_of(compiled)
    with fast_products(fast_cpu and device.type == "cpu") as products:
        history = train(
            model,
            images,
            run.training(),
            seed=run.seed,
            on_step=steps,
            compiled=compiled,
            checkpoint=checkpoint,
        )
        evaluation = measure(run, model, images)
    seen = splits_of(run, images)
    arrays = {
        **picture_arrays(model, seen),
        **steps.arrays(),
        "coverage_before": before,
        "coverage_after": coverage_array(model, seen),
        "dead_units": dead_units(model, seen),
    }
    record = Record(
        schema_version=SCHEMA,
        run=run,
        training=run.training(),
        evaluation=evaluation,
        history=history,
        classes=images.classes,
        data_fingerprint=images.fingerprint,
        data_notes=images.notes,
        shape=images.shape,
        wall_seconds=time.perf_counter() - start,
        step_log_every=log_every,
        environment=made_by.model_copy(update={"products": products, "passes": passes}),
    )
    weights = pack(model, run, images.shape)
    return Result(record, arrays, model, weights, None if checkpoint is None else Path(checkpoint))


def _check_code(run: Run, model: Autoencoder, images: Images) -> None:
    """Refuse a model whose code is not of the size that was asked for."""
    with torch.inference_mode():
        code = model.eval().encode(images.train.images[:1])
    if code.shape != (1, run.bottleneck):
        raise ValueError(
            f"model={run.model!r} makes a code of shape {tuple(code.shape)} of one image; must be "
            f"(1, {run.bottleneck}), as bottleneck={run.bottleneck} says"
        )


def splits_of(run: Run, images: Images) -> Images:
    """The splits that a run is trained and measured on.

    Args:
        run: says what is held out, and what is measured.
        images: its data set.

    Returns:
        The same data set. ``train`` is without what is held out; ``test`` is the validation split
        where the run is measured on that.

    Raises:
        ValueError: ``images`` are another data set than the run's, or all would be held out.
    """
    if images.name != run.dataset:
        raise ValueError(f"images={images.name!r} must be the data set of the run, {run.dataset!r}")
    if run.validation is None:
        return images
    parts = hold_out(images, run.validation, run.seed)
    return parts if run.measured_on == "validation" else replace(parts, test=images.test)


def measure(
    run: Run, model: Autoencoder, images: Images, metrics: Iterable[str] | None = None
) -> dict[str, Value]:
    """What a record says of a trained model, by the names of ``metric_name``.

    Args:
        run: that the model comes from.
        model: trained.
        images: the data set of the run, on the device of the model.
        metrics: names of ``kanlib.training.METRICS``; None: all.
    """
    found = evaluate(model, splits_of(run, images), metrics)
    return {metric_name(run, name): value for name, value in found.items()}


def metric_name(run: Run, metric: str) -> str:
    """What the record of a run calls a metric: "test_mse" is "validation_mse" on that split."""
    named = metric.startswith("test_")
    return f"{run.measured_on}_{metric.removeprefix('test_')}" if named else metric


def _check(run: Run, images: Images) -> None:
    """Refuse what could only fail after the training."""
    if (fewest := min(len(images.train), len(images.test))) < NEIGHBOURS:
        raise ValueError(
            f"images={images.name!r} has a split of {fewest}; must have at least {NEIGHBOURS}, the "
            "number of neighbours that are looked for"
        )
