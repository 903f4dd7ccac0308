"""Records of runs: what was asked for, what came out, and what produced it.

Needs ``runs.py``, and pandas for ``load_records``. Tables and figures read nothing but records.

A record is one JSON file named by its run's parameters, with an .npz file of arrays beside it. Both
are written to a temporary name and renamed, the record last.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from kanlib.cpu import Passes, Products
from kanlib.evaluation import Evaluation
from kanlib.files import save_with_arrays
from kanlib.runs import LATER, STRICT, Positive, Run, explain, labels
from kanlib.training import History, TrainingConfig

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
CURE = "delete it, and `make paper EXPERIMENT=...` makes it again"


class Environment(BaseModel):
    """What produced a record.

    Attributes:
        kanlib: version of the library.
        git_commit: of the checkout that the library was imported from; None outside a checkout.
        git_dirty: whether library or notebooks differed from that commit.
        torch: version.
        python: version.
        platform: operating system and processor architecture.
        device: name of the device.
        threads: of PyTorch on the CPU.
        products: library of float32 products, "default" or "onednn" (see ``kanlib.cpu``).
        malloc: glibc's malloc settings in force, if any.
        passes: of training, "eager" or "compiled" (see ``kanlib.cpu``).
    """

    model_config = STRICT

    kanlib: str
    git_commit: str | None
    git_dirty: bool | None
    torch: str
    python: str
    platform: str
    device: str
    threads: Positive
    products: Products
    malloc: dict[str, str]
    passes: Passes = "eager"  # older records do not name it


class Record(BaseModel):
    """One run, whole.

    Attributes:
        run: what was asked for.
        training: the settings that this came to.
        evaluation: every metric.
        history: losses of each epoch, seconds, peak memory.
        classes: names of the classes, in label order.
        data_fingerprint: SHA-256 of all pixels and labels.
        wall_seconds: from the start of the notebook to the writing of the record.
        environment: what produced it.
    """

    model_config = STRICT

    run: Run
    training: TrainingConfig
    evaluation: Evaluation
    history: History
    classes: tuple[str, ...]
    data_fingerprint: str
    wall_seconds: float
    environment: Environment


def save_record(
    record: Record, results_dir: str | Path, arrays: Mapping[str, NDArray[Any]]
) -> Path:
    """Write a record and the arrays that its pictures need; each whole or not at all.

    Args:
        record: to be written as JSON.
        results_dir: folder that holds runs/; made if missing.
        arrays: what figures need, by name, for the .npz file.

    Returns:
        The path of the record.

    Raises:
        OSError: the files could not be written; what was there before is untouched.
    """
    path = record.run.path(results_dir)
    save_with_arrays(path, record.model_dump_json(indent=1) + "\n", arrays)
    return path


def load_record(path: str | Path) -> Record:
    """Read one record.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is not a whole, valid record; names the file and the field.
    """
    text = Path(path).read_bytes()
    try:
        record = Record.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{path} is not a valid record: {explain(error, [])}; {CURE}") from None
    later: Any = {"run": LATER, "training": {"refine"}, "environment": {"passes"}}
    if lacking := _lacking(json.loads(text), record.model_dump(exclude=later)):
        raise ValueError(f"{path} is not a valid record: it lacks {', '.join(lacking)}; {CURE}")
    return record


def _lacking(given: dict[str, Any], whole: dict[str, Any], parent: str = "") -> list[str]:
    """Names of the fields that a file leaves to their defaults; a record states them all."""
    names = []
    for name, value in whole.items():
        if name not in given:
            names.append(parent + name)
        elif isinstance(value, dict):
            names += _lacking(given[name], value, f"{parent}{name}.")
    return names


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays stored beside the record at ``path``.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the file is damaged; names it, and says what to do.
    """
    path = Path(path).with_suffix(".npz")
    with path.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                return dict(file)
        except Exception as error:  # numpy meets damage with errors of many kinds
            raise ValueError(f"{path} is damaged: {error}; {CURE}") from error


def load_records(runs: Iterable[Run], results_dir: str | Path) -> "pd.DataFrame":
    """The records of ``runs``, one row each.

    Returns:
        Columns: label (see ``kanlib.runs.labels``); every parameter of the run; test_mse;
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
