"""Does training run smoothly, and alike from seed to seed?

Reads the losses and gradient norms that ``kanlib.training.StepLog`` kept beside the records.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.frames import watched_loss
from kanlib.experiments.record import Record, load_arrays
from kanlib.experiments.run import Run
from kanlib.report.columns import CONFIGURATION, by_configuration

FAILED = 1.5  # a run failed if its test error is that many times the median over seeds
DEAD = ["dead_before_code", "dead_after_code"]
_NEIGHBOURS = 21  # entries of the log around a step that its loss is held against
_SPIKE = 1.5  # times their median


def dead_units(records: Sequence[Record]) -> pd.DataFrame:
    """ReLU units that are 0 for every training image, before the code and after it.

    Args:
        records: with their arrays.

    Returns:
        Columns dead_before_code and dead_after_code, one row a record, as ``to_frame`` has them; 0
        where a model has no ReLU, NaN where the record was made before they were counted.
    """
    rows = []
    for record in records:
        counts = load_arrays(record).get("dead_units")  # of each ReLU layer, in the model's order
        halves = [np.nan] * 2 if counts is None else [c.sum() for c in np.array_split(counts, 2)]
        rows.append(halves)
    return pd.DataFrame(rows, columns=DEAD, dtype=float)


def summarise(frame: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """How much the runs of each configuration differ, and how rough they were.

    Args:
        frame: as ``kanlib.experiments.to_frame`` returns, with ``dead_units`` beside it.
        steps: as ``kanlib.experiments.step_logs`` returns for the same records.

    Returns:
        One row a configuration, in order of appearance: every parameter of the run but the seed
        (NaN: None); seeds; test_mse (mean), test_mse_sd, test_mse_min and test_mse_max; cv
        (coefficient of variation: standard deviation over mean); failed (runs whose error is over
        ``FAILED`` times the median); spikes (logged losses of over 1.5 times the median of the 21
        around them, as a fraction); gradient_median, gradient_p99 (of the gradient norms after the
        first epoch); dead_before_code, dead_after_code (means).
    """
    logs: Any = by_configuration(steps)
    rows: list[dict[str, Any]] = []
    own: Any
    for run, own in by_configuration(frame).items():
        errors, log = own["test_mse"], logs.get(run, steps.iloc[:0])
        later = log.loc[log["epoch"] >= 1, "gradient_norm"]
        row = {name: getattr(run, name) for name in CONFIGURATION}
        row |= {
            "seeds": len(errors),
            "test_mse": errors.mean(),
            "test_mse_sd": errors.std(),
            "test_mse_min": errors.min(),
            "test_mse_max": errors.max(),
            "cv": errors.std() / errors.mean(),
            "failed": int((errors > FAILED * errors.median()).sum()),
            "spikes": float(_spikes(log).mean()),
            "gradient_median": later.median(),
            "gradient_p99": later.quantile(0.99),
        }
        rows.append(row | {name: own[name].mean() for name in DEAD})
    return pd.DataFrame(rows)


def jumps(history: pd.DataFrame) -> pd.DataFrame:
    """The largest rise of the error that is watched from one epoch to the next, of each run.

    Args:
        history: as ``kanlib.experiments.histories`` returns.

    Returns:
        One row a run, in order of appearance: every parameter (NaN: None); rise (a fraction of the
        error before; negative if it always falls, NaN after one epoch).
    """
    runs: Any = history.groupby(list(Run.model_fields), dropna=False, sort=False)[
        watched_loss(history)
    ]
    return runs.agg(lambda loss: loss.pct_change().max()).rename("rise").reset_index()


def _spikes(log: pd.DataFrame) -> Any:
    """For each entry, whether its loss stands out from its neighbours' in the same run."""
    losses: Any = log.groupby("seed")["loss"]
    around = losses.transform(
        lambda loss: loss.rolling(_NEIGHBOURS, center=True, min_periods=1).median()
    )
    return log["loss"] > _SPIKE * around


def answer_alike(records: Sequence[Record]) -> list[bool]:
    """Whether each run rebuilds the first test image of every class alike, number for number.

    Args:
        records: with their arrays.
    """
    made = [load_arrays(record)["reconstructions"] for record in records]
    return [bool((images == images[:1]).all()) for images in made]
