"""Does training run smoothly, and alike from seed to seed?

Reads the losses and gradient norms that ``kanlib.training.StepLog`` kept beside the records.
"""

from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.record import load_arrays, load_record
from kanlib.training.diagnostics import EVERY

FAILED = 1.5  # a run failed if its test error is that many times the median over seeds
_NEIGHBOURS = 21  # entries of the log around a step that its loss is held against
_SPIKE = 1.5  # times their median


def load_steps(records: pd.DataFrame) -> pd.DataFrame:
    """The log of the steps of every run.

    Args:
        records: as ``kanlib.experiments.load_records`` returns.

    Returns:
        Columns label, seed, step (from 1), epoch (fraction of the training so far, in epochs),
        loss, gradient_norm; one row an entry. Runs without steps (PCA) have none.

    Raises:
        ValueError: a trained run has no log: it was made before there was one.
    """
    frames = []
    for row in records.to_dict("records"):
        arrays, record = load_arrays(row["path"]), load_record(row["path"])
        if not record.history.train_loss:
            continue
        if "step_loss" not in arrays:
            raise ValueError(f"{row['path']} has no log of its steps; delete it and run it again")
        count = len(arrays["step_loss"])
        frames.append(
            pd.DataFrame(
                {
                    "label": row["label"],
                    "seed": row["seed"],
                    "step": 1 + EVERY * np.arange(count),
                    "epoch": np.arange(count) * len(record.history.train_loss) / count,
                    "loss": arrays["step_loss"],
                    "gradient_norm": arrays["gradient_norm"],
                }
            )
        )
    if not frames:
        columns: Any = ["label", "seed", "step", "epoch", "loss", "gradient_norm"]
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True)


def dead_units(records: pd.DataFrame) -> pd.DataFrame:
    """ReLU units that are 0 for every training image, before the code and after it.

    Args:
        records: as ``kanlib.experiments.load_records`` returns.

    Returns:
        Columns dead_before_code and dead_after_code with the index of ``records``; 0 where a model
        has no ReLU, NaN where the record was made before they were counted.
    """
    rows = []
    for path in records["path"]:
        counts = load_arrays(path).get("dead_units")  # of each ReLU layer, in the model's order
        halves = [np.nan] * 2 if counts is None else [c.sum() for c in np.array_split(counts, 2)]
        rows.append(dict(zip(("dead_before_code", "dead_after_code"), halves, strict=True)))
    return pd.DataFrame(rows, records.index, dtype=float)


def summarise(records: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """How much the runs of each model differ, and how rough they were.

    Args:
        records: as ``kanlib.experiments.load_records`` returns; a model at one bottleneck a label.
        steps: as ``load_steps`` returns.

    Returns:
        One row a label, in order of appearance: seeds; test_mse (mean), test_mse_sd,
        test_mse_min and test_mse_max; cv (coefficient of variation: standard deviation over mean);
        failed (runs whose error is over ``FAILED`` times the median); spikes (logged losses of
        over 1.5 times the median of the 21 around them, as a fraction); gradient_median,
        gradient_p99 (of the gradient norms after the first epoch).
    """
    table = {}
    groups: Any = records.groupby("label", sort=False)
    for label, rows in groups:
        errors, own = rows["test_mse"], steps.query("label == @label")
        later = own.query("epoch >= 1")["gradient_norm"]
        table[label] = {
            "seeds": len(errors),
            "test_mse": errors.mean(),
            "test_mse_sd": errors.std(),
            "test_mse_min": errors.min(),
            "test_mse_max": errors.max(),
            "cv": errors.std() / errors.mean(),
            "failed": int((errors > FAILED * errors.median()).sum()),
            "spikes": float(_spikes(own).mean()),
            "gradient_median": later.median(),
            "gradient_p99": later.quantile(0.99),
        }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("model")


def _spikes(steps: pd.DataFrame) -> Any:
    """For each entry, whether its loss stands out from its neighbours'."""
    losses: Any = steps.groupby(["label", "seed"])["loss"]
    around = losses.transform(
        lambda loss: loss.rolling(_NEIGHBOURS, center=True, min_periods=1).median()
    )
    return steps["loss"] > _SPIKE * around
