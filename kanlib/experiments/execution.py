"""Run a run: the one place where a model is trained for a record."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from kanlib.data.images import Images
from kanlib.experiments.environment import environment
from kanlib.experiments.measurement import arrays_of, measure, record_of, splits_of
from kanlib.experiments.record import Arrays, Record, load_record, save_record
from kanlib.experiments.rehearsal import check_run
from kanlib.experiments.run import Run
from kanlib.experiments.weights import pack
from kanlib.models.autoencoder import Autoencoder
from kanlib.strict import check_flags, plain
from kanlib.training.cpu import fast_products, passes_of
from kanlib.training.diagnostics import EVERY, StepLog, coverage_array
from kanlib.training.loop import train


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
        check_flags(replace_old=replace_old)
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
    results_dir: str | Path | None = None,
    fast_cpu: bool = False,
    compiled: bool = False,
    log_every: int = EVERY,
    checkpoint: str | Path | None = None,
) -> Result:
    """Build the model of a run, train it, measure it.

    Args:
        run: what to do.
        images: its data set, on the device to compute on.
        results_dir: where the result is to be saved; whether it can be is tried before the
            training. None: that is not known.
        fast_cpu: take the faster library of products on a CPU (see ``kanlib.training.cpu``).
        compiled: train by compiled code (see there).
        log_every: steps between two entries of the log of the steps, >= 1.
        checkpoint: a file that gets the state after each epoch. Where a training of this run was
            cut off, it goes on from there (see ``kanlib.training.train``). None: no file.

    Returns:
        The record, arrays and trained model; nothing but the checkpoint is written.

    Raises:
        OSError, ValueError: the run or its checkpoint is refused; see ``check_run`` and ``train``.
        TrainingDiverged: a loss became infinite or NaN.
    """
    check_flags(fast_cpu=fast_cpu, compiled=compiled)
    every = _checked_every(log_every)
    check_run(run, images, results_dir)
    start = time.perf_counter()
    device = images.train.images.device
    made_by = environment(device)  # what is committed while the run trains is not what it runs
    model = run.build_model(images.shape).to(device)
    steps, before = StepLog(every), coverage_array(model, splits_of(run, images))
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
        seen = splits_of(run, images)
        evaluation = measure(run, model, seen)
    arrays = arrays_of(model, seen) | steps.arrays() | {"coverage_before": before}
    seconds = time.perf_counter() - start
    made_by = made_by.model_copy(update={"products": products, "passes": passes})
    record = record_of(
        run, images, evaluation, history, seconds=seconds, log_every=every, made_by=made_by
    )
    weights = pack(model, run, images.shape)
    return Result(record, arrays, model, weights, None if checkpoint is None else Path(checkpoint))


def _checked_every(log_every: object) -> int:
    every = plain(log_every)
    if type(every) is not int or every < 1:
        raise ValueError(f"log_every={log_every!r} must be an integer >= 1")
    return every
