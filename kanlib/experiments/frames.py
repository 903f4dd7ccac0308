"""Records as DataFrames."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanlib.experiments.record import CURE, Record, load_record
from kanlib.experiments.run import Run, labels

if TYPE_CHECKING:
    import pandas as pd

# Columns of ``load_records`` that a table shows.
METRICS = (
    "test_mse",
    "knn_accuracy",
    "knn_f1",
    "leaky_knn_code_accuracy",
    "leaky_knn_reconstruction_accuracy",
    "parameters",
    "seconds",
    "peak_mib",
)


def load_records(runs: Iterable[Run], results_dir: str | Path) -> "pd.DataFrame":
    """The records of ``runs``, one row each.

    Returns:
        Columns: label (see ``labels``); every parameter of the run; test_mse;
        {knn, leaky_knn_code, leaky_knn_reconstruction}_{accuracy, f1}; parameters; seconds;
        peak_mib; path.

    Raises:
        FileNotFoundError: a run has no record; says how to make it.
        ValueError: a record is invalid, or of another run than its name says; its training is not
            what the run stands for now; two of one data set are of different data; there are no
            runs, or one is there twice.
    """
    import pandas as pd

    runs, rows, first = list(runs), [], {}
    if not runs or len(set(runs)) < len(runs):  # a run counted twice would narrow an interval
        raise ValueError(f"runs: {len(runs)}, {len(set(runs))} different; must be >= 1, each once")
    for run, label in zip(runs, labels(runs), strict=True):
        path = run.path(results_dir)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; `make paper EXPERIMENT=...` makes it")
        record = load_record(path)
        if record.run != run:
            wrong = [n for n in type(run).model_fields if getattr(run, n) != getattr(record.run, n)]
            wrong = ", ".join(wrong)
            raise ValueError(f"{path} is the record of another run: {wrong} differ; {CURE}")
        if record.training != run.training():  # of a preset that has changed since
            raise ValueError(
                f"{path} was trained with {record.training}, not {run.training()}; {CURE}"
            )
        data, other = first.setdefault(run.dataset, (record.data_fingerprint, path))
        if data != record.data_fingerprint:
            raise ValueError(f"{path} is of other data than {other}, both {run.dataset}; {CURE}")
        rows.append({"label": label} | _row(record) | {"path": str(path)})
    return pd.DataFrame(rows)


def load_histories(records: "pd.DataFrame") -> "pd.DataFrame":
    """The losses of every epoch.

    Args:
        records: as ``load_records`` returns.

    Returns:
        Columns label, bottleneck, seed, epoch (from 1), train_loss, test_loss; runs without
        epochs (PCA) have no rows.
    """
    import pandas as pd

    rows = [
        (row["label"], row["bottleneck"], row["seed"], epoch, *losses)
        for row in records.to_dict("records")
        for history in [load_record(row["path"]).history]
        for epoch, losses in enumerate(zip(history.train_loss, history.test_loss, strict=True), 1)
    ]
    names = ["label", "bottleneck", "seed", "epoch", "train_loss", "test_loss"]
    return pd.DataFrame(rows, columns=names)


def _row(record: Record) -> dict[str, Any]:
    evaluation = record.evaluation
    row = record.run.model_dump() | {"test_mse": evaluation.test_mse}
    for name in ("knn", "leaky_knn_code", "leaky_knn_reconstruction"):
        score = getattr(evaluation, name)
        row |= {f"{name}_accuracy": score.accuracy, f"{name}_f1": score.f1}
    return row | {
        "parameters": evaluation.parameters,
        "seconds": record.history.seconds,
        "peak_mib": record.history.peak_memory / 2**20,
    }
