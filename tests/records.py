"""Records with made-up numbers, for tests of what is done with records."""

from pathlib import Path
from typing import Any

import numpy as np

from kanlib.experiments import Record, Run, save_record
from kanlib.experiments.environment import Environment
from kanlib.training import History, Score

PICTURES = np.arange(6.0).reshape(2, 3)
ARRAYS = {
    "originals": PICTURES,
    "reconstructions": PICTURES + 1,
    "edge_inputs": np.array([3, 1]),
}
SCORE = Score(0.75, 0.7, ((2, 1), (0, 1)))


def make_record(run: Run, **changes: Any) -> Record:
    """A record of two classes and two epochs."""
    whole: dict[str, Any] = {
        "run": run,
        "training": run.training(),
        "evaluation": {
            "test_mse": 0.125,
            "knn": SCORE,
            "leaky_knn_code": Score(0.5, 0.4, ((1, 1), (1, 1))),
            "leaky_knn_reconstruction": SCORE,
            "parameters": 1234,
        },
        "history": History([0.3, 0.2], [0.4, 0.25], 1.5, 3 * 2**20),
        "classes": ("cat", "dog"),
        "data_fingerprint": "0" * 64,
        "wall_seconds": 2.5,
        "environment": Environment(
            kanlib="0.1.0",
            git_commit="a" * 40,
            git_dirty=False,
            torch="2.0",
            python="3.11",
            platform="Linux x86_64",
            device="cpu",
            threads=2,
            products="default",
            malloc={"MALLOC_TOP_PAD_": "1"},
        ),
    }
    return Record(**whole | changes)


def made_up(run: Run, test_mse: float, folder: Path | None = None, **arrays: Any) -> Record:
    """A record with this error; with these arrays in ``folder``, where one is given."""
    record = make_record(run)
    evaluation = record.evaluation | {"test_mse": test_mse}
    history = History() if run.model == "pca" else record.history
    record = record.model_copy(update={"evaluation": evaluation, "history": history})
    if folder is None:
        return record
    return save_record(record, folder, {name: np.asarray(kept) for name, kept in arrays.items()})
