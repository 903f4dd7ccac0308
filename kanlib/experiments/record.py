"""Records of runs: what was asked for, what came out, and what produced it.

Tables and figures read nothing but records.

A record is one JSON file named by its run's parameters, with an .npz file of arrays beside it. Both
are written to a temporary name and renamed, the record last.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from kanlib.experiments.environment import Environment
from kanlib.experiments.run import LATER, STRICT, Run, explain
from kanlib.files import save_with_arrays
from kanlib.training.config import TrainingConfig
from kanlib.training.evaluation import Evaluation
from kanlib.training.loop import History

CURE = "delete it, and `make paper EXPERIMENT=...` makes it again"


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
