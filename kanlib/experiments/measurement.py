"""What is measured of a model, trained or not, and how that becomes a record."""

from collections.abc import Iterable
from dataclasses import replace

from kanlib.data.images import Images
from kanlib.experiments.environment import Environment
from kanlib.experiments.record import SCHEMA, Arrays, Record
from kanlib.experiments.run import Run
from kanlib.models.autoencoder import Autoencoder
from kanlib.training.diagnostics import coverage_array, dead_units, picture_arrays
from kanlib.training.evaluation import TASK_METRICS, Value, default_metrics, evaluate
from kanlib.training.loop import History
from kanlib.training.validation import hold_out


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
    run: Run, model: Autoencoder, seen: Images, metrics: Iterable[str] | None = None
) -> dict[str, Value]:
    """What a record says of a trained model, by the names of ``metric_name``.

    Args:
        run: that the model comes from.
        model: trained.
        seen: the splits of the run, on the device of the model.
        metrics: their names; None: all that the run asks for.
    """
    if metrics is None:
        metrics = [*default_metrics(seen), *(TASK_METRICS if run.tasks else ())]
    found = evaluate(model, seen, metrics)
    return {metric_name(run, name): value for name, value in found.items()}


def metric_name(run: Run, metric: str) -> str:
    """What the record of a run calls a metric: "test_mse" is "validation_mse" on that split."""
    named = metric.startswith("test_")
    return f"{run.measured_on}_{metric.removeprefix('test_')}" if named else metric


def arrays_of(model: Autoencoder, seen: Images) -> Arrays:
    """What is kept of a trained model for pictures; see ``Result``.

    Args:
        model: trained.
        seen: the splits of its run, on the device of the model.
    """
    return {
        **picture_arrays(model, seen),
        "coverage_after": coverage_array(model, seen),
        "dead_units": dead_units(model, seen),
    }


def record_of(
    run: Run,
    images: Images,
    evaluation: dict[str, Value],
    history: History,
    *,
    seconds: float,
    log_every: int,
    made_by: Environment,
) -> Record:
    """A record that lies in no file yet; see there for what the arguments are."""
    return Record(
        schema_version=SCHEMA,
        run=run,
        training=run.training(),
        evaluation=evaluation,
        history=history,
        classes=images.classes,
        data_fingerprint=images.fingerprint,
        data_notes=images.notes,
        shape=images.shape,
        wall_seconds=seconds,
        step_log_every=log_every,
        environment=made_by,
    )
