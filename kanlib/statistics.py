"""Means, intervals and paired differences over seeds.

Needs pandas and scipy. A seed is the unit of observation: what varies between runs of one
configuration is the random start and the order of the batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; low and high are NaN when there is one value only."""

    mean: float
    low: float
    high: float
    count: int


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean with Student's t interval.

    The bootstrap is too narrow for the handful of seeds that a configuration has.

    Args:
        values: one number a seed, finite; at least one.
        confidence: in (0, 1).

    Raises:
        ValueError: no values, a value that is not finite, or a confidence out of range.
    """
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise ValueError(f"values={values!r} must be finite numbers, at least one")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1")
    mean, error = float(sample.mean()), np.nan
    if len(sample) > 1:
        error = float(stats.sem(sample) * stats.t.ppf((1 + confidence) / 2, len(sample) - 1))
    return Interval(mean, mean - error, mean + error, len(sample))


def paired_difference(first: pd.Series, second: pd.Series, confidence: float = 0.95) -> Interval:
    """Mean of first - second over the seeds that both have.

    Args:
        first: one number a seed; the index holds the seeds.
        second: likewise.
        confidence: in (0, 1).

    Raises:
        ValueError: they have no seed in common.
    """
    both = pd.concat([first, second], axis=1, join="inner")
    if both.empty:
        raise ValueError(
            f"first has seeds {list(first.index)}, second {list(second.index)}: none in common"
        )
    return mean_interval((both.iloc[:, 0] - both.iloc[:, 1]).tolist(), confidence)


def verdict(difference: Interval) -> str:
    """Whether the interval of a difference excludes 0: "lower", "higher" or "undecided"."""
    if difference.high < 0:
        return "lower"
    return "higher" if difference.low > 0 else "undecided"


def summarise(records: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each model at each bottleneck.

    Args:
        records: as ``kanlib.results.load_records`` returns.
        metrics: numeric columns.

    Returns:
        One row for each label and bottleneck, in their order of appearance: label, bottleneck,
        seeds (how many), and for each metric its mean under its own name and its standard
        deviation as <metric>_sd (NaN for one seed).
    """
    groups = records.groupby(["label", "bottleneck"], sort=False)
    table = pd.DataFrame({"seeds": groups.size()})
    for metric in metrics:
        table[metric] = groups[metric].mean()
        table[f"{metric}_sd"] = groups[metric].std()
    return table.reset_index()
