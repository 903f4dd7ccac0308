"""Records as DataFrames. Whatever is chosen, compared or drawn goes by their columns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanlib.experiments.record import Record, check_one_split, load_arrays
from kanlib.experiments.run import PLACE, Run
from kanlib.training.evaluation import Score

if TYPE_CHECKING:
    import pandas as pd

# What a model is and how it is trained, beside where it stands: data set, code size, seed.
SETTINGS = [name for name in Run.model_fields if name not in PLACE]
COSTS = ["seconds", "peak_mib"]


def to_frame(records: Sequence[Record]) -> "pd.DataFrame":
    """One row a record.

    Returns:
        Columns: every parameter of the run; every metric under its name, of a score its
        <metric>_accuracy and <metric>_f1 (NaN where a record lacks it); seconds of training;
        peak_mib.

    Raises:
        ValueError: a metric has the name of another column, or the records were measured on
            different splits.
    """
    import pandas as pd

    check_one_split(record.run for record in records)
    rows = [row(record) for record in records]
    own = dict.fromkeys([*Run.model_fields, *COSTS])
    metrics = dict.fromkeys(name for columns in rows for name in columns if name not in own)
    return pd.DataFrame(rows, columns=[*Run.model_fields, *metrics, *COSTS])


def row(record: Record) -> dict[str, Any]:
    """What ``to_frame`` makes of one record: column -> value.

    Raises:
        ValueError: a metric has the name of another column.
    """
    seconds, peak = record.history.seconds, record.history.peak_memory
    columns = record.run.model_dump() | {"seconds": seconds, "peak_mib": peak / 2**20}
    for name, value in record.evaluation.items():
        own: dict[str, Any] = {name: value}
        if isinstance(value, Score):
            own = {f"{name}_accuracy": value.accuracy, f"{name}_f1": value.f1}
        if taken := own.keys() & columns.keys():
            raise ValueError(f"metric={name!r}: {min(taken)} is the name of another column")
        columns |= own
    return columns


def measured(frame: "pd.DataFrame") -> list[str]:
    """The columns of ``to_frame`` that were measured: metrics and costs."""
    return [str(name) for name in frame if name not in Run.model_fields]


def histories(records: Sequence[Record]) -> "pd.DataFrame":
    """The losses of every epoch.

    Returns:
        Columns: every parameter of the run; epoch (from 1), train_loss, and test_loss or
        validation_loss, whichever was watched. Runs without epochs (PCA) have no rows.

    Raises:
        ValueError: some runs have a validation split, and some have not.
    """
    import pandas as pd

    losses = {"test_loss" if r.run.validation is None else "validation_loss" for r in records}
    if len(losses) > 1:
        raise ValueError("validation: all of these runs must have a validation split, or none")
    (loss,) = losses or {"test_loss"}
    rows = [
        record.run.model_dump() | {"epoch": epoch, "train_loss": train, loss: watched}
        for record in records
        for epoch, (train, watched) in enumerate(
            zip(record.history.train_loss, record.history.watched_loss, strict=True), 1
        )
    ]
    return pd.DataFrame(rows, columns=[*Run.model_fields, "epoch", "train_loss", loss])


def watched_loss(history: "pd.DataFrame") -> str:
    """The column of ``histories`` with the error that was watched."""
    return "validation_loss" if "validation_loss" in history else "test_loss"


def step_log(record: Record, arrays: Mapping[str, NDArray[Any]]) -> "pd.DataFrame":
    """The logged steps of one run.

    Args:
        record: of the run.
        arrays: that came out of it, with step_loss and gradient_norm.

    Returns:
        Columns: every parameter of the run; step (from 1), epoch (the part of the training so far,
        in epochs), loss, gradient_norm. A run without steps (PCA) has no rows.

    Raises:
        ValueError: a trained run has no log: it was made before there was one.
    """
    import pandas as pd

    epochs, loss = len(record.history.train_loss), arrays.get("step_loss", np.empty(0))
    if epochs and not len(loss):
        raise ValueError(f"the run {record.run!r} has no log of its steps; run it again")
    entries = np.arange(len(loss))
    log = pd.DataFrame([record.run.model_dump()] * len(loss), columns=[*Run.model_fields])
    return log.assign(
        step=1 + record.step_log_every * entries,
        epoch=entries * epochs / max(len(loss), 1),
        loss=loss,
        gradient_norm=arrays.get("gradient_norm", np.empty(0)),
    )


def step_logs(records: Sequence[Record]) -> "pd.DataFrame":
    """``step_log`` of every run, read from the files beside the records."""
    import pandas as pd

    logs = [step_log(record, load_arrays(record)) for record in records]
    return pd.concat([log for log in logs if len(log)] or logs, ignore_index=True)
